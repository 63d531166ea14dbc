package ldlm

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// answerRenewals has every further operation answered.
func answerRenewals(conn *fakeConn, answer func(*ldlmv2.Op)) {
	go func() {
		for f := range conn.frames {
			for _, op := range f.Ops {
				answer(op)
			}
		}
	}()
}

func TestLeaseCountsFromTheAcquireIfGrantedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		lease := 5600 * time.Millisecond
		result := lockAsync(t.Context(), c, "x", Lease(lease), NoRenewal())
		conn := srv.open()
		op := conn.op()
		sent := time.Now()
		if got := op.GetAcquire().GetLeaseUs(); got != lease.Microseconds() {
			t.Errorf("lease of %d µs, want %s", got, lease)
		}
		pass(time.Second)
		conn.grant(op, 1)
		l := mustLock(t, result)
		<-l.Done()
		if got, want := time.Since(sent), 5*time.Second; got != want {
			t.Errorf("lost %s after the acquire was sent, want %s: lease / 1.12", got, want)
		}
		wantLost(t, l, ReasonExpired)
		synctest.Wait()
		if len(conn.frames) > 0 {
			t.Errorf("%v was sent; without renewal the hold ends by the server's clock alone", conn.op())
		}
	})
}

// A grant that waited does not say when its lease began; a renewal does, and it
// is answered before the program gets to see the lock.
func TestLeaseOfAWaitCountsFromARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x", Lease(5600*time.Millisecond), NoRenewal())
		conn := srv.open()
		op := conn.op()
		conn.answer(op, ldlmv2.Code_CODE_QUEUED)
		pass(3 * time.Second)
		conn.answer(op, ldlmv2.Code_CODE_OK, func(a *ldlmv2.Answer) { a.Token = 1 })
		renewal := conn.op()
		sent := time.Now()
		if r := renewal.GetRenew(); r.GetName() != "x" || r.GetToken() != 1 || r.GetLeaseUs() != 5_600_000 {
			t.Fatalf("operation is %v, want a renewal", renewal)
		}
		pass(time.Second)
		select {
		case <-result:
			t.Fatal("the lock was handed over before its renewal was answered")
		default:
		}
		conn.ok(renewal)
		l := mustLock(t, result)
		<-l.Done()
		if got, want := time.Since(sent), 5*time.Second; got != want {
			t.Errorf("lost %s after the renewal was sent, want %s", got, want)
		}
	})
}

func TestLeaseThatCannotBeConfirmedIsGivenBack(t *testing.T) {
	for _, code := range []ldlmv2.Code{ldlmv2.Code_CODE_INTERNAL, ldlmv2.Code_CODE_REVOKED} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newFakeServer(t)
				c := srv.client()
				result := lockAsync(t.Context(), c, "x", Lease(time.Minute))
				conn := srv.open()
				conn.answer(conn.op(), ldlmv2.Code_CODE_OK, func(a *ldlmv2.Answer) { a.Token = 1 })
				conn.answer(conn.op(), code)
				if r := <-result; !errors.Is(r.err, ErrUnavailable) || !SafeToRetry(r.err) || r.lock != nil {
					t.Errorf("%v, %v; want ErrUnavailable, safe to retry", r.lock, r.err)
				}
				if r := conn.op().GetRelease(); r.GetToken() != 1 {
					t.Errorf("not given back: %v", r)
				}
				synctest.Wait()
				if n := holds(c); n != 0 {
					t.Errorf("%d locks in the books", n)
				}
			})
		})
	}
}

func TestLeaseThatEndedBeforeItWasConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x", Lease(time.Minute))
		conn := srv.open()
		conn.answer(conn.op(), ldlmv2.Code_CODE_OK, func(a *ldlmv2.Answer) { a.Token = 1 })
		conn.answer(conn.op(), ldlmv2.Code_CODE_WRONG_KEY)
		op := conn.op()
		if op.GetAcquire().GetName() != "x" {
			t.Fatalf("operation is %v, want the acquire anew", op)
		}
		conn.grant(op, 2)
		if l := mustLock(t, result); l.Token() != 2 || l.Err() != nil {
			t.Errorf("token %d, %v", l.Token(), l.Err())
		}
	})
}

func TestContextEndsWhileALeaseIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		ctx, cancel := context.WithCancel(t.Context())
		result := lockAsync(ctx, c, "x", Lease(time.Minute))
		conn := srv.open()
		conn.answer(conn.op(), ldlmv2.Code_CODE_OK, func(a *ldlmv2.Answer) { a.Token = 1 })
		conn.op()
		cancel()
		r := <-result
		if !errors.Is(r.err, context.Canceled) || !SafeToRetry(r.err) {
			t.Errorf("error is %v, want canceled, and nothing is held", r.err)
		}
		if r := conn.op().GetRelease(); r.GetToken() != 1 {
			t.Errorf("not given back: %v", r)
		}
	})
}

func TestLeaseIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1, Lease(3*time.Second))
		var at []time.Duration
		answerRenewals(conn, func(op *ldlmv2.Op) {
			at = append(at, time.Since(start))
			conn.ok(op)
		})
		pass(3500 * time.Millisecond)
		synctest.Wait()
		if got := fmt.Sprint(at); got != "[1s 2s 3s]" {
			t.Errorf("renewed after %s, want every third of the lease", got)
		}
		if err := l.Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestRenewalsGoOutTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, _ := openWithLock(t, srv, c, "0", 1, Lease(60*time.Second))
		for i := range 9 {
			lockOn(t, c, conn, fmt.Sprint(i+1), uint64(i+2), Lease(60*time.Second))
		}
		if n := len(conn.frame().Ops); n != 10 {
			t.Errorf("first frame renews %d leases, want all 10", n)
		}
	})
}

// What is not confirmed in time is lost, and a late confirmation changes nothing.
func TestRenewalThatIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1, Lease(2800*time.Millisecond))
		other := lockOn(t, c, conn, "y", 2)
		renewal := conn.op()
		<-l.Done()
		if got, want := time.Since(start), 2500*time.Millisecond; got != want {
			t.Errorf("lost after %s, want %s", got, want)
		}
		conn.ok(renewal)
		synctest.Wait()
		wantLost(t, l, ReasonExpired)
		if err := other.Err(); err != nil {
			t.Errorf("the other lock: %v", err)
		}
		if r := conn.op().GetRelease(); r.GetToken() != 1 {
			t.Errorf("not given back: %v", r)
		}
	})
}

// The machine slept past the end of the lease, and the first thing to arrive is
// the answer to a renewal that was sent before.
func TestRenewalThatIsAnsweredAfterASuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		suspend := suspendable(c)
		conn, l := openWithLock(t, srv, c, "x", 1, Lease(2800*time.Millisecond))
		renewal := conn.op()
		suspend(2 * time.Second) // from the renewal on the lease would still be good
		conn.ok(renewal)
		synctest.Wait()
		wantLost(t, l, ReasonExpired)
	})
}

// Who asks is told the truth even if no timer has fired.
func TestLeaseThatEndsWhileSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		suspend := suspendable(c)
		_, l := openWithLock(t, srv, c, "x", 1, Lease(2800*time.Millisecond))
		suspend(2500 * time.Millisecond)
		wantLost(t, l, ReasonExpired)
	})
}

func TestRefusedRenewals(t *testing.T) {
	for _, test := range []struct {
		code   ldlmv2.Code
		reason EndReason
		after  time.Duration
	}{
		{ldlmv2.Code_CODE_WRONG_KEY, ReasonExpired, time.Second},
		{ldlmv2.Code_CODE_NOT_FOUND, ReasonExpired, time.Second},
		{ldlmv2.Code_CODE_REVOKED, ReasonRevoked, time.Second},
		{ldlmv2.Code_CODE_INTERNAL, ReasonExpired, 3 * time.Second / 112 * 100},
	} {
		t.Run(test.code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newFakeServer(t)
				c := srv.client()
				start := time.Now()
				conn, l := openWithLock(t, srv, c, "x", 1, Lease(3*time.Second))
				renewals := 0
				answerRenewals(conn, func(op *ldlmv2.Op) {
					renewals++
					conn.answer(op, test.code)
				})
				<-l.Done()
				wantLost(t, l, test.reason)
				if got := time.Since(start); got != test.after {
					t.Errorf("lost after %s, want %s", got, test.after)
				}
				synctest.Wait()
				if renewals > 10 {
					t.Errorf("asked %d times for what was refused", renewals)
				}
			})
		})
	}
}

func TestMaxHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1, MaxHold(30*time.Second))
		<-l.Done()
		wantLost(t, l, ReasonMaxHold)
		if got := time.Since(start); got != 30*time.Second {
			t.Errorf("lost after %s", got)
		}
		if r := conn.op().GetRelease(); r.GetToken() != 1 {
			t.Errorf("not given back: %v", r)
		}
	})
}

func TestRenewByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1, Lease(2800*time.Millisecond), NoRenewal())
		pass(time.Second)
		done := make(chan error, 1)
		go func() { done <- l.RenewFor(t.Context(), 5600*time.Millisecond) }()
		op := conn.op()
		if got := op.GetRenew().GetLeaseUs(); got != 5_600_000 {
			t.Errorf("renewed for %d µs", got)
		}
		conn.ok(op)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		go func() { done <- l.Renew(t.Context()) }()
		op = conn.op()
		if got := op.GetRenew().GetLeaseUs(); got != 5_600_000 {
			t.Errorf("renewed for %d µs, want as long as the last time", got)
		}
		conn.ok(op)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		<-l.Done()
		if got := time.Since(start); got != 7*time.Second {
			t.Errorf("lost after %s, want 7s", got)
		}
		if err := l.Renew(t.Context()); !errors.Is(err, ErrLost) {
			t.Errorf("renewal of a lost lock: %v", err)
		}
	})
}

func TestRenewWithoutLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		_, l := openWithLock(t, srv, c, "x", 1)
		if err := l.Renew(t.Context()); !errors.Is(err, ErrNotLeased) {
			t.Errorf("error is %v, want ErrNotLeased", err)
		}
	})
}

// Very many leases are renewed a part at a time, and expire in time all the
// same when no answer comes.
func TestManyLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, first := openWithLock(t, srv, c, "0", 1, Lease(56*time.Second))
		start := time.Now()
		locks := []*Lock{first}
		for i := range 99 {
			locks = append(locks, lockOn(t, c, conn, fmt.Sprint(i+1), uint64(i+2), Lease(56*time.Second)))
		}
		for _, l := range locks {
			<-l.Done()
			wantLost(t, l, ReasonExpired)
		}
		if got := time.Since(start); got != 50*time.Second {
			t.Errorf("lost after %s, want 50s", got)
		}
	})
}

func TestLeasesOverAResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1, Lease(5600*time.Millisecond))
		renewal := conn.op()
		sent := time.Since(start)
		conn.raw.Close()
		pass(0)
		conn = srv.accept()
		conn.hello()
		pass(time.Second)
		conn.welcomeBack(1)
		again := conn.op()
		sameRequest(t, again, renewal)
		conn.ok(again)
		synctest.Wait()
		conn.setBeats(true)
		<-l.Done() // later renewals are not answered
		if got, want := time.Since(start), sent+5*time.Second; got != want {
			t.Errorf("lost after %s, want %s: the lease counts from the first sending of the renewal", got, want)
		}
	})
}
