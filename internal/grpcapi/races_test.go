package grpcapi_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
)

// untilCounts waits until the figures of the table are as they should be.
func (h *house) untilCounts(good func(lock.Counts) bool) {
	h.t.Helper()
	w, err := h.node.Watch(node.WatchFilter{}, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { w.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // a fuse
	defer cancel()
	for !good(h.counts()) {
		if _, err := w.Next(ctx); err != nil {
			w.Close()
			if w, err = h.node.Watch(node.WatchFilter{}, 0); err != nil || ctx.Err() != nil {
				h.t.Fatalf("the table stays at %+v: %v", h.counts(), err)
			}
		}
	}
}

// TestCancelledCallsRacingGrants: a call that its client cancels while the lock
// becomes free is either granted, and the client knows, or it holds nothing. Only
// an answer that was on its way may be lost; it ends with the session.
func TestCancelledCallsRacingGrants(t *testing.T) {
	const rounds = 200
	h := open(t)
	a := h.client()
	granted, cancelled, lost := 0, 0, 0
	for round := range rounds {
		b := h.client()
		key := a.take("l")
		p := b.start(want("l"))
		h.until("l", waiters(1))
		var both sync.WaitGroup
		both.Go(func() { a.release("l", key) })
		both.Go(p.cancel)
		both.Wait()
		r, err := p.wait()
		switch {
		case err == nil && r.Locked:
			granted++
			b.release("l", r.Key)
		case status.Code(err) == codes.Canceled:
			cancelled++
			h.until("l", waiters(0))
		default:
			t.Fatalf("round %d: %v, %v", round, r, err)
		}
		if !a.isFree("l") {
			lost++
		}
		b.close()
		h.until("l", unheld)
	}
	t.Logf("%d granted, %d cancelled, in %d of them an answer was on its way", granted, cancelled, lost)
	if cancelled == 0 {
		t.Error("no call was cancelled: nothing was tried")
	}
}

// TestCancelledTriesRacingTheirAnswers is the same for calls that do not wait.
func TestCancelledTriesRacingTheirAnswers(t *testing.T) {
	h := open(t)
	for range 100 {
		c := h.client()
		ctx, cancel := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(func() {
			for i := range 5 {
				_, _ = c.TryLock(ctx, try(fmt.Sprint(i)))
			}
		})
		both.Go(cancel)
		both.Wait()
		c.close()
	}
	h.untilCounts(func(n lock.Counts) bool { return n.Sessions == 0 })
	if got := h.counts(); got.Holds != 0 {
		t.Errorf("%d holds are left of dead connections", got.Holds)
	}
}

// TestDyingConnections: with calls of all kinds in flight, waiting ones too, a
// connection dies; nothing of it is left, however the two meet.
func TestDyingConnections(t *testing.T) {
	h := open(t)
	addr := h.listen()
	other := clientAt(t, addr)
	busy := other.take("busy")
	for round := range 60 {
		c := dialTCP(t, addr)
		held := c.granted(c.Lock(t.Context(), want("held"))) // the one before may not be over yet
		var calls sync.WaitGroup
		for i := range 10 {
			calls.Go(func() { _, _ = c.TryLock(t.Context(), try(fmt.Sprint("try", i))) })
			calls.Go(func() { _, _ = c.Lock(t.Context(), want(fmt.Sprint("lock", i%3))) })
		}
		calls.Go(func() { _, _ = c.Lock(t.Context(), want("busy")) })
		calls.Go(func() {
			_, _ = c.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "held", Key: held})
		})
		calls.Go(func() {
			_, _ = c.Renew(t.Context(), &ldlmv1.RenewRequest{Name: "held", Key: held, LockTimeoutSeconds: 5})
		})
		calls.Go(func() {
			if round%2 == 0 {
				_ = c.tcp.SetLinger(0)
			}
			_ = c.tcp.Close()
		})
		calls.Wait()
	}
	h.untilCounts(func(n lock.Counts) bool { return n.Sessions == 1 && n.Waiters == 0 })
	if got := h.counts(); got.Holds != 1 {
		t.Errorf("%d holds are left, want the one of the living connection", got.Holds)
	}
	other.release("busy", busy)
	if !other.isFree("busy") {
		t.Error("a waiting call of a dead connection was granted")
	}
}

// TestDyingConnectionsThatKeepTheirLocks: their waits end all the same, and
// nothing is granted to the dead.
func TestDyingConnectionsThatKeepTheirLocks(t *testing.T) {
	h := open(t, noClear)
	addr := h.listen()
	other := clientAt(t, addr)
	for range 30 {
		busy := other.take("busy")
		c := dialTCP(t, addr)
		c.take("x")
		waiting := c.start(want("busy"))
		h.until("busy", waiters(1))
		var both sync.WaitGroup
		both.Go(func() { _ = c.tcp.Close() })
		both.Go(func() { other.release("busy", busy) })
		both.Wait()
		_, _ = waiting.wait()
		h.untilCounts(func(n lock.Counts) bool { return n.Sessions == 1 })
		v, _, err := h.node.Lookup(t.Context(), "busy")
		if err != nil || v.WaiterCount != 0 {
			t.Fatalf("%d still wait (%v)", v.WaiterCount, err)
		}
		h.until("x", func(v lock.LockView) bool { return v.HolderCount == 1 })
		v, _, _ = h.node.Lookup(t.Context(), "x")
		other.release("x", v.Holders[0].Key.String())
		// The grant may have been faster than the end. The server gives it back by itself
		// if its answer was not on its way, which may come to pass while this asks.
		if v, _, _ = h.node.Lookup(t.Context(), "busy"); v.HolderCount > 0 {
			_, err = other.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "busy", Key: v.Holders[0].Key.String()})
			if err != nil {
				t.Fatal(err)
			}
			h.until("busy", unheld)
		}
	}
}

// TestUnlockRacesTheEnd: of a holder's connection, by another with its key.
func TestUnlockRacesTheEnd(t *testing.T) {
	h := open(t)
	b := h.client()
	for range 100 {
		a := h.client()
		key := a.takeFor("l", 60)
		var both sync.WaitGroup
		both.Go(a.close)
		both.Go(func() {
			if _, err := b.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "l", Key: key}); err != nil {
				t.Errorf("unlock: %v", err)
			}
		})
		both.Wait()
		h.until("l", unheld)
	}
	h.untilCounts(func(n lock.Counts) bool { return n.Sessions == 1 })
}
