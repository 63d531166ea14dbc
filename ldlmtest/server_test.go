package ldlmtest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/ldlmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTwoClientsExcludeEachOther(t *testing.T) {
	ctx := t.Context()
	srv := ldlmtest.NewServer(t)
	a, b := srv.Client(t), srv.Client(t, ldlm.WithGRPC())
	l, err := a.Lock(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.TryLock(ctx, "x"); !errors.Is(err, ldlm.ErrHeld) {
		t.Errorf("try beside a holder: %v", err)
	}
	if !srv.Held("x") || srv.Held("y") {
		t.Errorf("held: x %v, y %v", srv.Held("x"), srv.Held("y"))
	}
	if err := l.Release(ctx); err != nil {
		t.Error(err)
	}
	if _, err := b.TryLock(ctx, "x"); err != nil {
		t.Errorf("try after the release: %v", err)
	}
}

func TestExpireTellsTheHolder(t *testing.T) {
	srv := ldlmtest.NewServer(t)
	l, err := srv.Client(t).Lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	srv.Expire("x")
	<-l.Done()
	var lost *ldlm.LostError
	if !errors.As(l.Err(), &lost) || lost.Reason != ldlm.ReasonForced {
		t.Errorf("error of an expired lock: %v", l.Err())
	}
	if srv.Held("x") {
		t.Error("still held")
	}
}

// A partition: the client knows before the server gives the lock away, and the
// server gives it away after the ttl.
func TestPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		srv := ldlmtest.NewServer(t)
		a, b := srv.Client(t, ldlm.WithTTL(10*time.Second)), srv.Client(t)
		l, err := a.Lock(ctx, "x")
		if err != nil {
			t.Fatal(err)
		}
		srv.Partition(a)
		cut := time.Now()
		told := make(chan time.Duration, 1)
		context.AfterFunc(l.Context(ctx), func() { told <- time.Since(cut) })
		if _, err := b.Lock(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		got := time.Since(cut)
		if knew := <-told; knew >= got || got > 10*time.Second {
			t.Errorf("the holder knew after %v, the next one got it after %v; ttl 10s", knew, got)
		}
		if !errors.Is(l.Err(), ldlm.ErrLost) {
			t.Errorf("error of the lost lock: %v", l.Err())
		}
		srv.Heal(a)
		if _, err := a.TryLock(ctx, "y"); err != nil {
			t.Errorf("after the partition: %v", err)
		}
	})
}

// A short partition costs neither the lock nor the place in a queue.
func TestShortPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		srv := ldlmtest.NewServer(t)
		a, b := srv.Client(t), srv.Client(t)
		l, err := a.Lock(ctx, "x")
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() {
			_, err := b.Lock(ctx, "x")
			waited <- err
		}()
		synctest.Wait()
		srv.Partition(a)
		srv.Partition(b)
		<-time.After(4 * time.Second)
		srv.Heal(a)
		srv.Heal(b)
		<-time.After(4 * time.Second)
		if err := l.Err(); err != nil {
			t.Errorf("the holder lost it: %v", err)
		}
		if n := srv.Waiting("x"); n != 1 {
			t.Errorf("%d wait, want 1", n)
		}
		if err := l.Release(ctx); err != nil {
			t.Error(err)
		}
		if err := <-waited; err != nil {
			t.Errorf("the waiter: %v", err)
		}
	})
}

// A reply that is lost is asked for again: one grant, one release.
func TestDropNextReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		srv := ldlmtest.NewServer(t)
		c := srv.Client(t)
		srv.DropNextReply(c, ldlmtest.Lock)
		l, err := c.Lock(ctx, "x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.TryLock(ctx, "x"); !errors.Is(err, ldlm.ErrHeld) {
			t.Errorf("a second hold: %v", err)
		}
		srv.DropNextReply(c, ldlmtest.Unlock)
		if err := l.Release(ctx); err != nil {
			t.Error(err)
		}
		if srv.Held("x") {
			t.Error("still held")
		}
	})
}

func TestAdvanceEndsLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		srv := ldlmtest.NewServer(t)
		l, err := srv.Client(t).Lock(ctx, "x", ldlm.Lease(time.Minute), ldlm.NoRenewal())
		if err != nil {
			t.Fatal(err)
		}
		srv.Advance(59 * time.Second)
		if !srv.Held("x") {
			t.Fatal("ended too early")
		}
		srv.Advance(time.Second)
		synctest.Wait()
		if srv.Held("x") || l.Err() == nil {
			t.Errorf("held %v, error %v", srv.Held("x"), l.Err())
		}
	})
}
