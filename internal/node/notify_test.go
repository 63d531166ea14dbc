package node

import (
	"testing"
	"testing/synctest"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// Notify tells of grants and of the end, not of what Submit has brought, and
// of what had gathered before it was called.
func TestNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := []*Link{h.link(1), h.link(2)}
		h.submit(l[0], ask(l[0], 0, 1, "a"))
		h.submit(l[1], queue(l[1], 0, 1, "a"), queue(l[1], 1, 1, "a"))
		calls := 0
		l[1].Notify(func() { calls++ })
		if calls != 0 {
			t.Errorf("%d calls for nothing", calls)
		}
		h.submit(l[1], ask(l[1], 2, 1, "b"))
		if calls != 0 {
			t.Errorf("%d calls for what Submit has brought", calls)
		}
		h.submit(l[0], &lock.Cancel{Caller: lock.Caller{Session: l[0].Session(), Attach: l[0].Number(), Seq: 1}})
		if calls != 1 {
			t.Errorf("%d calls for a grant, want 1", calls)
		}
		l[1].Notify(func() { calls += 10 })
		if calls != 11 {
			t.Errorf("%d calls where a grant had gathered, want 11", calls)
		}
		l[1].Take(nil)
		l[1].Detach(0, false)
		if calls != 21 {
			t.Errorf("%d calls at the end, want 21", calls)
		}
		l[1].Notify(func() { calls += 100 })
		if calls != 121 {
			t.Errorf("%d calls after the end, want 121", calls)
		}
	})
}
