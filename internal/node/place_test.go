package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// comingBackError is the cause of a context's end whose caller will ask again.
type comingBackError struct{}

func (comingBackError) Error() string    { return "the caller is coming back" }
func (comingBackError) KeepsPlace() bool { return true }

// A call whose caller will ask again leaves its request in the queue, and the
// next attempt finds it there, before those who came later.
func TestCallThatKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		held := h.call(queue(l, 0, 1, "a"))
		ctx, cancel := context.WithCancelCause(context.Background())
		first := h.goCall(ctx, queue(l, 1, 1, "a"))
		later := h.goCall(context.Background(), queue(l, 2, 1, "a"))
		cancel(comingBackError{})
		got := <-first
		wantError(t, got.err, journal.ErrUnknown)
		if errors.Is(got.err, context.Canceled) {
			t.Errorf("the call ended with %v, as if it had been cancelled", got.err)
		}
		h.wantHeld("a", 1, 2)
		again := h.goCall(context.Background(), queue(l, 1, 1, "a"))
		h.call(release(l, 0, 2, "a", held.Token))
		if got := <-again; got.err != nil || got.o.Code != lock.OK {
			t.Errorf("asked again: %+v, want the grant", got)
		}
		synctest.Wait()
		if len(later) > 0 {
			t.Error("who came later was served first")
		}
	})
}
