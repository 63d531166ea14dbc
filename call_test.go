package ldlm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

func TestCanceledWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, _ := openWithLock(t, srv, c, "x", 1)
		ctx, cancel := context.WithCancelCause(t.Context())
		waiting := lockAsync(ctx, c, "y")
		op := conn.op()
		conn.answer(op, ldlmv2.Code_CODE_QUEUED)
		synctest.Wait()
		why := errors.New("enough")
		cancel(why)
		r := <-waiting
		if !errors.Is(r.err, context.Canceled) || !errors.Is(r.err, why) || !SafeToRetry(r.err) {
			t.Errorf("error is %v, want canceled because of %v", r.err, why)
		}
		cancelOp := conn.op()
		if cancelOp.Cancel == nil || cancelOp.GetSlot() != op.GetSlot() || cancelOp.GetSeq() != op.GetSeq() {
			t.Fatalf("operation is %v, want the cancel of %v", cancelOp, op)
		}

		// Until the cancel is answered the slot is in use.
		other := lockAsync(t.Context(), c, "z")
		next := conn.op()
		if next.GetSlot() == op.GetSlot() {
			t.Errorf("slot %d was used again before its outcome was known", op.GetSlot())
		}
		conn.answer(op, ldlmv2.Code_CODE_CANCELED)
		conn.grant(next, 2)
		mustLock(t, other)
		last := lockAsync(t.Context(), c, "y")
		again := conn.op()
		if again.GetSlot() != op.GetSlot() || again.GetSeq() != op.GetSeq()+1 {
			t.Errorf("slot %d, seq %d; want slot %d again with seq %d",
				again.GetSlot(), again.GetSeq(), op.GetSlot(), op.GetSeq()+1)
		}
		conn.grant(again, 3)
		mustLock(t, last)
	})
}

// The grant was faster than the cancel: the server gives it back, and until it
// has said so the slot stays in use.
func TestGrantFasterThanCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, _ := openWithLock(t, srv, c, "x", 1)
		ctx, cancel := context.WithCancel(t.Context())
		waiting := lockAsync(ctx, c, "y")
		op := conn.op()
		cancel()
		if r := <-waiting; !errors.Is(r.err, context.Canceled) {
			t.Fatalf("error is %v", r.err)
		}
		conn.grant(op, 2)
		if got := conn.op(); got.Cancel == nil {
			t.Fatalf("operation is %v, want a cancel", got)
		}
		other := lockAsync(t.Context(), c, "z")
		next := conn.op()
		if next.GetSlot() == op.GetSlot() {
			t.Errorf("slot %d was used again before the cancel was answered", op.GetSlot())
		}
		conn.grant(next, 3)
		mustLock(t, other)
		conn.answer(op, ldlmv2.Code_CODE_CANCELED)
		synctest.Wait()
		if n := holds(c); n != 2 {
			t.Errorf("%d locks in the books, want x and z", n)
		}
	})
}

func holds(c *Client) int {
	n := 0
	for _, s := range c.openSessions() {
		s.mu.Lock()
		n += len(s.holds)
		s.mu.Unlock()
	}
	return n
}

// A cancel outlives connections: the request itself is not sent again.
func TestCancelIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, _ := openWithLock(t, srv, c, "x", 1)
		ctx, cancel := context.WithCancel(t.Context())
		waiting := lockAsync(ctx, c, "y")
		op := conn.op()
		conn.raw.Close()
		synctest.Wait()
		cancel()
		<-waiting
		conn = srv.resume(1)
		got := conn.op()
		if got.Cancel == nil || got.Acquire != nil || got.GetSlot() != op.GetSlot() || got.GetSeq() != op.GetSeq() {
			t.Errorf("operation is %v, want only the cancel of %v", got, op)
		}
		conn.answer(op, ldlmv2.Code_CODE_CANCELED)
	})
}

func TestReleaseWithCanceledContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		lctx := l.Context(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Release(ctx) }()
		op := conn.op()
		<-lctx.Done()
		if err := context.Cause(lctx); err != ErrReleased {
			t.Errorf("cause is %v, want ErrReleased", err)
		}
		conn.ok(op)
		if err := <-done; err != nil {
			t.Errorf("release: %v", err)
		}
		if err := l.Release(ctx); err != nil {
			t.Errorf("second release: %v", err)
		}
		if err := l.Err(); err != ErrReleased {
			t.Errorf("Err() = %v, want ErrReleased", err)
		}
	})
}

func TestReleaseWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- l.Release(t.Context()) }()
		op := conn.op()
		err := <-done
		if !errors.Is(err, ErrUnknownOutcome) || SafeToRetry(err) {
			t.Errorf("error is %v, want an unknown outcome", err)
		}
		if got := time.Since(start); got != releasePatience {
			t.Errorf("after %s, want %s", got, releasePatience)
		}
		conn.raw.Close() // it is repeated until it is known
		conn = srv.resume()
		sameRequest(t, conn.op(), op)
		conn.ok(op)
		synctest.Wait()
		if n := busySlots(c); n != 0 {
			t.Errorf("%d slots in use, want none", n)
		}
	})
}

func busySlots(c *Client) int {
	n := 0
	for _, s := range c.openSessions() {
		s.mu.Lock()
		n += s.slots.busy
		s.mu.Unlock()
	}
	return n
}

func TestReleaseOfWhatIsNotHeldAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		done := make(chan error, 1)
		go func() { done <- l.Release(t.Context()) }()
		conn.answer(conn.op(), ldlmv2.Code_CODE_WRONG_KEY)
		if err := <-done; !errors.Is(err, ErrLost) {
			t.Errorf("error is %v, want ErrLost", err)
		}
	})
}

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

// More waiters than a session may have open another session.
func TestWaitersBeyondOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		var waiting []<-chan lockResult
		for i := range 8 {
			waiting = append(waiting, lockAsync(t.Context(), c, fmt.Sprint(i)))
		}
		first := srv.open()
		var ops []*ldlmv2.Op
		for range 8 {
			ops = append(ops, first.op())
		}
		ninth := lockAsync(t.Context(), c, "ninth")
		second := srv.open()
		op := second.op()
		if op.GetAcquire().GetName() != "ninth" || op.GetSlot() != 0 || op.GetSeq() != 1 {
			t.Errorf("first operation of the second session is %v", op)
		}
		second.grant(op, 100)
		mustLock(t, ninth)
		for i, op := range ops {
			first.grant(op, uint64(i+1))
		}
		for _, w := range waiting {
			mustLock(t, w)
		}
		// There is room in the first session again.
		tenth := lockAsync(t.Context(), c, "tenth")
		op = first.op()
		first.grant(op, 200)
		mustLock(t, tenth)
	})
}

// Calls that do not wait in queues wait for a slot if all are in use.
func TestReleasesWaitForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, first := openWithLock(t, srv, c, "0", 1)
		locks := []*Lock{first}
		for i := range 16 {
			locks = append(locks, lockOn(t, c, conn, fmt.Sprint(i+1), uint64(i+2)))
		}
		done := make(chan error, len(locks))
		for _, l := range locks {
			go func() { done <- l.Release(t.Context()) }()
		}
		var ops []*ldlmv2.Op
		for range 16 {
			ops = append(ops, conn.op())
		}
		synctest.Wait()
		if len(conn.pending) > 0 || len(conn.frames) > 0 {
			t.Fatal("more operations than there are slots")
		}
		conn.ok(ops[5])
		last := conn.op()
		if last.GetSlot() != ops[5].GetSlot() {
			t.Errorf("slot %d, want the free one, %d", last.GetSlot(), ops[5].GetSlot())
		}
		conn.ok(last)
		for i, op := range ops {
			if i != 5 {
				conn.ok(op)
			}
		}
		for range locks {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWhatIsAskedFor(t *testing.T) {
	for _, test := range []struct {
		name string
		call func(context.Context, *Client) (*Lock, error)
		want *ldlmv2.Op
	}{
		{"plain", func(ctx context.Context, c *Client) (*Lock, error) { return c.Lock(ctx, "x") },
			&ldlmv2.Op{Acquire: &ldlmv2.Acquire{Name: "x", WaitUs: -1}}},
		{"all options", func(ctx context.Context, c *Client) (*Lock, error) {
			return c.Lock(ctx, "x", Size(10), Permits(2), WaitAtMost(time.Second), LockDelay(2*time.Second),
				Reason("why"), Labels(map[string]string{"a": "b"}), Value([]byte("v")))
		}, &ldlmv2.Op{Acquire: &ldlmv2.Acquire{
			Name: "x", Size: 10, Permits: 2, WaitUs: 1e6, LockDelayUs: 2e6,
			Note: &ldlmv2.Note{Reason: "why", Labels: map[string]string{"a": "b"}, Value: []byte("v")},
		}}},
		{"try", func(ctx context.Context, c *Client) (*Lock, error) { return c.TryLock(ctx, "x", Shared()) },
			&ldlmv2.Op{Acquire: &ldlmv2.Acquire{Name: "x", Mode: ldlmv2.Mode_MODE_SHARED}}},
		{"shared", func(ctx context.Context, c *Client) (*Lock, error) { return c.RLock(ctx, "x", WaitAtMost(0)) },
			&ldlmv2.Op{Acquire: &ldlmv2.Acquire{Name: "x", Mode: ldlmv2.Mode_MODE_SHARED}}},
		{"short wait", func(ctx context.Context, c *Client) (*Lock, error) { return c.Lock(ctx, "x", WaitAtMost(1)) },
			&ldlmv2.Op{Acquire: &ldlmv2.Acquire{Name: "x", WaitUs: 1}}},
		{"several", func(ctx context.Context, c *Client) (*Lock, error) {
			return c.LockAll(ctx, []string{"b", "a"}, Reason("both"))
		}, &ldlmv2.Op{AcquireAll: &ldlmv2.AcquireAll{
			Items: []*ldlmv2.Item{{Name: "b"}, {Name: "a"}}, WaitUs: -1, Note: &ldlmv2.Note{Reason: "both"},
		}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newFakeServer(t)
				c := srv.client()
				result := make(chan lockResult, 1)
				go func() {
					l, err := test.call(t.Context(), c)
					result <- lockResult{l, err}
				}()
				conn := srv.open()
				op := conn.op()
				test.want.Seq = 1
				if op.String() != test.want.String() {
					t.Errorf("asked %v, want %v", op, test.want)
				}
				conn.grant(op, 5)
				mustLock(t, result)
			})
		})
	}
}

func TestLockAllIsOneHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := make(chan lockResult, 1)
		go func() {
			l, err := c.LockAll(t.Context(), []string{"b", "a"})
			result <- lockResult{l, err}
		}()
		conn := srv.open()
		conn.answer(conn.op(), ldlmv2.Code_CODE_OK, func(a *ldlmv2.Answer) { a.Token, a.Fence, a.Fences = 5, 5, []uint64{5, 4} })
		l := mustLock(t, result)
		if fmt.Sprintf("%s %v %d %v", l.Name(), l.Names(), l.Token(), l.Fences()) != "b [b a] 5 [5 4]" {
			t.Errorf("lock is %s %v %d %v", l.Name(), l.Names(), l.Token(), l.Fences())
		}
		done := make(chan error, 1)
		go func() { done <- l.Release(t.Context()) }()
		op := conn.op()
		if r := op.GetRelease(); r.GetName() != "b" || r.GetToken() != 5 || !r.GetAll() {
			t.Errorf("release is %v, want all under token 5", r)
		}
		conn.ok(op)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestInvalidRequestsAreNotSent(t *testing.T) {
	c, err := Dial("localhost", WithDialer(dialNobody))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	long := string(make([]byte, maxRequestBytes))
	for name, call := range map[string]func() (*Lock, error){
		"name":          func() (*Lock, error) { return c.Lock(t.Context(), "a\xff") },
		"names":         func() (*Lock, error) { return c.LockAll(t.Context(), nil) },
		"size":          func() (*Lock, error) { return c.TryLock(t.Context(), "a", Size(-1)) },
		"permits":       func() (*Lock, error) { return c.TryLock(t.Context(), "a", Permits(1<<31)) },
		"wait_us":       func() (*Lock, error) { return c.RLock(t.Context(), "a", WaitAtMost(-1000)) },
		"lease_us":      func() (*Lock, error) { return c.RLock(t.Context(), "a", Lease(-1)) },
		"lock_delay_us": func() (*Lock, error) { return c.RLock(t.Context(), "a", LockDelay(-1)) },
		"max_hold":      func() (*Lock, error) { return c.RLock(t.Context(), "a", MaxHold(-1)) },
		"reason":        func() (*Lock, error) { return c.Lock(t.Context(), "a", Reason("\xff")) },
		"labels":        func() (*Lock, error) { return c.Lock(t.Context(), "a", Labels(map[string]string{"\xff": ""})) },
		"request":       func() (*Lock, error) { return c.Lock(t.Context(), long) },
	} {
		l, err := call()
		var e *Error
		if !errors.Is(err, ErrInvalid) || !errors.As(err, &e) || l != nil {
			t.Errorf("%s: %v, %v; want ErrInvalid", name, l, err)
		} else if e.Field != name {
			t.Errorf("%s: error names field %q: %v", name, e.Field, err)
		}
	}
}

func dialNobody(context.Context, string) (net.Conn, error) {
	return nil, errors.New("dialled all the same")
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
