package ldlm

import (
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// A renewal to a shorter lease may have been carried out though its answer never
// comes, so the shorter one counts as soon as it is sent.
func TestAShorterLeaseCountsFromItsSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x", Lease(time.Minute), NoRenewal())
		conn := srv.open()
		conn.grant(conn.op(), 1)
		l := mustLock(t, result)
		pass(time.Second)
		sent := time.Now()
		go l.RenewFor(t.Context(), 2800*time.Millisecond) // ends with the test
		conn.op()
		<-l.Done()
		if got, want := time.Since(sent), 2500*time.Millisecond; got != want {
			t.Errorf("lost %s after the renewal was sent, want %s: its lease / 1.12", got, want)
		}
		wantLost(t, l, ReasonExpired)
	})
}

// The answer to a longer renewal that was sent earlier does not undo that.
func TestAnEarlierRenewalIsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x", Lease(time.Minute), NoRenewal())
		conn := srv.open()
		conn.grant(conn.op(), 1)
		l := mustLock(t, result)
		go l.RenewFor(t.Context(), time.Minute)
		long := conn.op()
		pass(time.Second)
		sent := time.Now()
		go l.RenewFor(t.Context(), 2800*time.Millisecond)
		conn.op()
		conn.ok(long)
		<-l.Done()
		if got, want := time.Since(sent), 2500*time.Millisecond; got != want {
			t.Errorf("lost %s after the shorter renewal was sent, want %s", got, want)
		}
	})
}

// A renewal to a longer lease counts when it is answered.
func TestALongerLeaseCountsFromItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x", Lease(2800*time.Millisecond), NoRenewal())
		conn := srv.open()
		conn.grant(conn.op(), 1)
		l := mustLock(t, result)
		granted := time.Now()
		go l.RenewFor(t.Context(), time.Minute)
		conn.op()
		<-l.Done()
		if got, want := time.Since(granted), 2500*time.Millisecond; got != want {
			t.Errorf("lost %s after the grant, want %s: the renewal was never answered", got, want)
		}
	})
}

// A renewal that is asked again may be carried out then, after one that was sent
// later: the shorter lease counts again from that sending.
func TestAShorterLeaseCountsFromItsLastSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x", Lease(time.Minute), NoRenewal())
		conn := srv.open()
		conn.grant(conn.op(), 1)
		l := mustLock(t, result)
		go l.RenewFor(t.Context(), 2800*time.Millisecond) // ends with the test
		short := conn.op()
		conn.answer(short, ldlmv2.Code_CODE_UNAVAILABLE)
		long := make(chan error, 1)
		go func() { long <- l.RenewFor(t.Context(), time.Minute) }()
		again := conn.op()
		for again.GetSlot() == short.GetSlot() {
			conn.answer(again, ldlmv2.Code_CODE_UNAVAILABLE)
			again = conn.op()
		}
		conn.ok(again)
		if err := <-long; err != nil {
			t.Fatal(err)
		}
		if again = conn.op(); again.GetSlot() != short.GetSlot() || again.GetSeq() != short.GetSeq() {
			t.Fatalf("%v is asked, want %v again", again, short)
		}
		sent := time.Now()
		<-l.Done()
		if got, want := time.Since(sent), 2500*time.Millisecond; got != want {
			t.Errorf("lost %s after the shorter renewal was sent again, want %s", got, want)
		}
	})
}
