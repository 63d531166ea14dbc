package ldlm

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// Refused for the moment, and unknown: asked again with the same slot and seq.
func TestCallsAreAskedAgain(t *testing.T) {
	for _, code := range []ldlmv2.Code{ldlmv2.Code_CODE_UNAVAILABLE, ldlmv2.Code_CODE_UNKNOWN_OUTCOME} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newFakeServer(t)
				c := srv.client()
				conn, _ := openWithLock(t, srv, c, "x", 1)
				waiting := lockAsync(t.Context(), c, "y")
				op := conn.op()
				start := time.Now()
				for range 5 {
					conn.answer(op, code)
					again := conn.op()
					sameRequest(t, again, op)
				}
				if got := time.Since(start); got == 0 || got > 5*maxBackoff {
					t.Errorf("five times within %s", got)
				}
				conn.grant(op, 2)
				mustLock(t, waiting)
			})
		})
	}
}

func TestOutcomes(t *testing.T) {
	for _, test := range []struct {
		code ldlmv2.Code
		want error
		safe bool
	}{
		{ldlmv2.Code_CODE_HELD, ErrHeld, true},
		{ldlmv2.Code_CODE_WAIT_TIMEOUT, ErrWaitTimeout, true},
		{ldlmv2.Code_CODE_INVALID, ErrInvalid, true},
		{ldlmv2.Code_CODE_LIMIT, ErrLimit, true},
		{ldlmv2.Code_CODE_SIZE_MISMATCH, ErrSizeMismatch, true},
		{ldlmv2.Code_CODE_QUIET, ErrUnavailable, true},
		{ldlmv2.Code_CODE_UNSUPPORTED, ErrUnsupported, true},
		{ldlmv2.Code_CODE_DENIED, ErrDenied, true},
		{ldlmv2.Code_CODE_SLOT_MISUSED, ErrInternal, true},
		{ldlmv2.Code(9999), ErrInternal, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := newFakeServer(t)
			c := srv.client()
			result := lockAsync(t.Context(), c, "x")
			conn := srv.open()
			conn.answer(conn.op(), test.code)
			r := <-result
			if !errors.Is(r.err, test.want) || SafeToRetry(r.err) != test.safe || r.lock != nil {
				t.Errorf("%v: %v, %v; want %v, safe to retry %t", test.code, r.lock, r.err, test.want, test.safe)
			}
		})
	}
}

// A grant that ended while the client could not hear of it was none for the
// program: who waits joins the queue again, who tries is told.
func TestGrantThatEndedUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x", WaitAtMost(time.Minute))
		conn := srv.open()
		pass(time.Second)
		op := conn.op()
		conn.answer(op, ldlmv2.Code_CODE_ENDED)
		again := conn.op()
		if a := again.GetAcquire(); a.GetName() != "x" || a.GetWaitUs() > 59e6 || again.GetSeq() != op.GetSeq()+1 {
			t.Errorf("operation is %v, want the acquire anew, with a second less to wait", again)
		}
		conn.grant(again, 2)
		if l := mustLock(t, result); l.Token() != 2 || l.Name() != "x" {
			t.Errorf("lock is %s under token %d", l.Name(), l.Token())
		}
		tried := make(chan error, 1)
		go func() {
			_, err := c.TryLock(t.Context(), "y")
			tried <- err
		}()
		conn.answer(conn.op(), ldlmv2.Code_CODE_ENDED)
		if err := <-tried; !errors.Is(err, ErrUnavailable) || !SafeToRetry(err) {
			t.Errorf("try: %v, want ErrUnavailable", err)
		}
	})
}

func TestHeldErrorSaysWho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := make(chan error, 1)
		go func() {
			_, err := c.TryLock(t.Context(), "x")
			result <- err
		}()
		conn := srv.open()
		op := conn.op()
		if op.GetAcquire().GetWaitUs() != 0 {
			t.Errorf("a try waits %d µs", op.GetAcquire().GetWaitUs())
		}
		conn.answer(op, ldlmv2.Code_CODE_HELD, func(a *ldlmv2.Answer) {
			a.Status.Blocker = &ldlmv2.Blocker{Name: "x", Holders: 1, Waiting: 2, LongestWaitUs: 5e6, Holder: &ldlmv2.Holder{
				Token: 42, Client: &ldlmv2.ClientInfo{Host: "web-3", Pid: 4711, Program: "cron"}, AgeUs: 3e6, Reason: "monthly run",
			}}
		})
		err := <-result
		var held *HeldError
		if !errors.As(err, &held) || !errors.Is(err, ErrHeld) || errors.Is(err, ErrWaitTimeout) {
			t.Fatalf("error is %v", err)
		}
		if held.Holder.Token != 42 || held.Age != 3*time.Second || held.Waiting != 2 || held.LongestWait != 5*time.Second {
			t.Errorf("details are %+v", held)
		}
		want := `ldlm: lock "x" is held by web-3:4711 (cron) "monthly run" for 3s, 2 waiting`
		if got := err.Error(); got != want {
			t.Errorf("text is %q, want %q", got, want)
		}
	})
}

func TestWaitForOneself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		told := make(chan Wait, 1)
		c := srv.client(WithHooks(Hooks{OnWait: func(w Wait) { told <- w }}))
		conn, _ := openWithLock(t, srv, c, "x", 1)
		waiting := lockAsync(t.Context(), c, "x", WaitAtMost(time.Second))
		op := conn.op()
		conn.answer(op, ldlmv2.Code_CODE_QUEUED, func(a *ldlmv2.Answer) { a.Ahead, a.Self = 3, true })
		if got, want := <-told, (Wait{Name: "x", Ahead: 3, Self: true}); got != want {
			t.Errorf("told %+v, want %+v", got, want)
		}
		conn.answer(op, ldlmv2.Code_CODE_WAIT_TIMEOUT, func(a *ldlmv2.Answer) {
			a.Status.Blocker = &ldlmv2.Blocker{Name: "x", Holders: 1, Self: true, Holder: &ldlmv2.Holder{Token: 1, AgeUs: 1e6}}
		})
		r := <-waiting
		want := `ldlm: lock "x" was not free in time: it is held by this very session for 1s`
		if !errors.Is(r.err, ErrWaitTimeout) || r.err.Error() != want {
			t.Errorf("error is %q, want %q", r.err, want)
		}
	})
}

// The place in a queue and what came of the request may be told at once.
func TestPlaceBesideOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		var told Wait
		c := srv.client(WithHooks(Hooks{OnWait: func(w Wait) { told = w }}))
		conn, _ := openWithLock(t, srv, c, "y", 1)
		waiting := lockAsync(t.Context(), c, "x")
		op := conn.op()
		conn.send(&ldlmv2.ServerFrame{Answers: []*ldlmv2.Answer{
			{Slot: op.GetSlot(), Seq: op.GetSeq(), Code: ldlmv2.Code_CODE_QUEUED, Ahead: 3, Self: true},
			{Slot: op.GetSlot(), Seq: op.GetSeq(), Code: ldlmv2.Code_CODE_OK, Token: 2, Fence: 2, Key: make([]byte, 16)},
		}})
		mustLock(t, waiting)
		if want := (Wait{Name: "x", Ahead: 3, Self: true}); told != want {
			t.Errorf("told %+v, want %+v", told, want)
		}
	})
}

// A server's mistake is no outcome: the caller is told, and the slot is kept
// until the outcome is known.
func TestMistakeOfTheServer(t *testing.T) {
	unknown := func(a *ldlmv2.Answer) { a.Status.Ending = ldlmv2.Ending_ENDING_UNKNOWN }
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)

		waiting := lockAsync(t.Context(), c, "y")
		op := conn.op()
		conn.answer(op, ldlmv2.Code_CODE_INTERNAL, unknown)
		if r := <-waiting; !errors.Is(r.err, ErrUnknownOutcome) {
			t.Errorf("lock: %v, want an unknown outcome", r.err)
		}
		cancel := conn.op()
		if cancel.Cancel == nil || cancel.GetSlot() != op.GetSlot() || cancel.GetSeq() != op.GetSeq() {
			t.Errorf("operation is %v, want the cancel of %v", cancel, op)
		}
		conn.answer(cancel, ldlmv2.Code_CODE_CANCELED)

		done := make(chan error, 1)
		go func() { done <- l.Release(t.Context()) }()
		op = conn.op()
		conn.answer(op, ldlmv2.Code_CODE_INTERNAL, unknown)
		if err := <-done; !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("release: %v, want an unknown outcome", err)
		}
		again := conn.op()
		sameRequest(t, again, op)
		conn.answer(again, ldlmv2.Code_CODE_INTERNAL, unknown)
		again = conn.op()
		sameRequest(t, again, op)
		conn.ok(again)
		synctest.Wait()
		if n := busySlots(c); n != 0 {
			t.Errorf("%d slots in use, want none", n)
		}
	})
}
