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

// suspicious is an error that says of itself that a session was lost, a hundred times.
type suspicious struct{ asked int }

func (s *suspicious) Error() string { return "the session of another was lost" }

func (s *suspicious) Is(target error) bool {
	s.asked++
	return target == errSessionLost && s.asked < 100
}

// As an errgroup does it: a context ends because a call of somebody else failed. That
// is no reason for this one to be tried again.
func TestContextEndedByALostSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeServer(t).client() // that never answers
		ctx, cancel := context.WithCancelCause(t.Context())
		waiting := lockAsync(ctx, c, "x")
		synctest.Wait()
		why := &suspicious{}
		cancel(why)
		r := <-waiting
		var e *Error
		if !errors.As(r.err, &e) || e.Op != "lock" || e.Name != "x" || !errors.Is(r.err, context.Canceled) {
			t.Errorf("error is %v, want that of a lock of x, canceled", r.err)
		}
		if why.asked > 20 {
			t.Errorf("tried again after the context had ended: its cause was looked at %d times", why.asked)
		}
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
