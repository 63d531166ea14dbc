package node

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// A batch would wait if everything in it would.
func TestWouldWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := []*Link{h.link(1), h.link(2), h.link(3)}
		for i := range 2 {
			if err := l[i].Submit(context.Background(), []lock.Command{queue(l[i], 0, 1, "a")}); err != nil {
				t.Fatal(err)
			}
		}
		for want, commands := range map[bool][][]lock.Command{
			true: {{queue(l[2], 0, 1, "a")}, {queue(l[2], 0, 1, "a"), queue(l[2], 1, 1, "a")}},
			false: {
				{ask(l[2], 0, 1, "a")}, {queue(l[2], 0, 1, "b")},
				{queue(l[2], 0, 1, "a"), release(l[0], 1, 1, "a", 1)},
				{&lock.Beat{}},
			},
		} {
			for _, c := range commands {
				if got := (*machine)(h.Node).WouldWait(newBatch(c...)); got != want {
					t.Errorf("%T and %d more: %v, want %v", c[0], len(c)-1, got, want)
				}
			}
		}
	})
}
