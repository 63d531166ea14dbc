package sessionapi_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// turnNode is a node whose links place what is submitted, if they are told to, and
// carry it out when they are let.
type turnNode struct {
	*fakeNode
	places    bool
	submitted chan uint32 // the slot of the first command
	let       chan struct{}
}

func (n *turnNode) Attach(ctx context.Context, o *lock.Open) (sessionapi.Link, lock.Outcome, error) {
	l, out, err := n.fakeNode.Attach(ctx, o)
	return turnLink{l.(*fakeLink), n}, out, err
}

type turnLink struct {
	*fakeLink
	node *turnNode
}

func (l turnLink) Submit(_ context.Context, commands []lock.Command, placed func()) error {
	l.node.submitted <- commands[0].(*lock.Acquire).Slot
	if l.node.places {
		placed()
	}
	<-l.node.let
	for _, c := range commands {
		a := c.(*lock.Acquire)
		l.put(sessionapi.Notice{Kind: sessionapi.Answer, Slot: a.Slot, Seq: a.Seq, Outcome: &lock.Outcome{Code: lock.OK}})
	}
	return nil
}

// What comes while earlier questions wait for the disk is submitted as soon as they have
// their place, behind them and by a few at a time; before that it waits.
func TestSubmittedInTurn(t *testing.T) {
	for places, want := range map[bool]int{true: 4, false: 1} {
		synctest.Test(t, func(t *testing.T) {
			n := &turnNode{
				fakeNode: &fakeNode{links: make(chan *fakeLink, 1), ttl: 60 * lock.Second},
				places:   places, submitted: make(chan uint32, 100), let: make(chan struct{}),
			}
			s := sessionapi.New(sessionapi.Config{Node: n})
			defer s.Close()
			c := dial(t, s)
			c.open()
			const all = 6
			for slot := range uint32(all) {
				c.ask(acquire(slot, 1, "x", 0))
				synctest.Wait() // it was read
			}
			if got := len(n.submitted); got != want {
				t.Errorf("places %v: %d are submitted, want %d", places, got, want)
			}
			close(n.let)
			for answers := 0; answers < all; {
				answers += len(c.next().GetAnswers())
			}
			close(n.submitted)
			last := -1
			for slot := range n.submitted {
				if int(slot) <= last {
					t.Errorf("places %v: slot %d is submitted after %d", places, slot, last)
				}
				last = int(slot)
			}
		})
	}
}
