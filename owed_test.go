package ldlm

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// crowded returns a session with one slot, and the call that has it.
func crowded(t *testing.T) (*session, *call) {
	t.Helper()
	c, err := Dial("server")
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(c)
	s.phase, s.slots.max, s.slots.maxWaiting = attached, 1, 1
	ca := s.newCall()
	ca.background = true
	s.askRelease(ca, &Lock{session: s, token: 1})
	if err := s.begin(ca); err != nil {
		t.Fatal(err)
	}
	return s, ca
}

// A hold that nobody wants is released even if all slots are taken just then:
// as soon as one is free.
func TestReleaseIsOwedWithoutASlot(t *testing.T) {
	s, first := crowded(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseInBackground(&Lock{session: s, token: 7})
	if len(s.owed) != 1 {
		t.Fatalf("%d releases owed, want 1", len(s.owed))
	}
	s.complete(first)
	next := s.slots.calls[0]
	if len(s.owed) != 0 || next == nil || next.op.GetRelease().GetToken() != 7 {
		t.Errorf("%d owed, slot has %+v", len(s.owed), next)
	}
}

// Whoever waits for a slot is woken by the first one that becomes free.
func TestPatienceIsRewarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, first := crowded(t)
		done := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			ca := s.newCall()
			s.askRelease(ca, &Lock{session: s, token: 2})
			done <- s.beginPatiently(ctx, ca)
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("did not wait: %v", err)
		default:
		}
		s.mu.Lock()
		s.complete(first)
		s.mu.Unlock()
		if err := <-done; err != nil {
			t.Error(err)
		}
		late := s.newCall()
		s.askRelease(late, &Lock{session: s, token: 3})
		cancel()
		if err := s.beginPatiently(ctx, late); !errors.Is(err, context.Canceled) {
			t.Errorf("patience beyond its context: %v", err)
		}
	})
}
