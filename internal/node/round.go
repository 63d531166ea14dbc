package node

import (
	"context"
	"errors"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// Round gathers what several links submit at about the same time, to propose it as
// one entry: what an entry costs is then shared. It is for whoever serves many
// connections in one goroutine, and not safe for concurrent use.
type Round struct {
	node *Node
	// added has what was added, in order; a batch is nil if its link had ended.
	added []addition
	// whole is what is proposed; the commands of all parts.
	whole *batch
}

type addition struct {
	part *batch
	link *Link
}

// NewRound returns a round with nothing in it.
func (n *Node) NewRound() *Round { return &Round{node: n, whole: &batch{}} }

// Add adds what a link has to say. It is as with [Link.Submit], but for when it
// happens: the commands are the round's until Submit has reported on them.
func (r *Round) Add(l *Link, commands []lock.Command) {
	a := addition{link: l}
	if l.Reason() == nil {
		a.part = l.stage(commands)
		r.whole.parts = append(r.whole.parts, a.part)
		r.whole.commands = append(r.whole.commands, commands...)
	}
	r.added = append(r.added, a)
}

// Submit proposes all that was added and calls done for each, in the order of their
// adding, with what [Link.Submit] would have returned. The round is empty afterwards.
func (r *Round) Submit(ctx context.Context, done func(i int, err error)) {
	b := r.whole
	if len(b.parts) == 1 {
		b = b.parts[0]
	}
	var err error
	if len(r.whole.parts) > 0 {
		err = r.node.propose(ctx, b)
	}
	if errors.Is(err, journal.ErrUnknown) {
		r.node.disown(r.whole)
		r.whole = &batch{} // the journal may still look at the other one
	}
	for i, a := range r.added {
		if a.part == nil {
			done(i, refused(a.link.Reason()))
			continue
		}
		a.link.unstage(a.part, err)
		done(i, err)
	}
	clear(r.added)
	r.added = r.added[:0]
	r.whole.forget()
}

// forget empties a batch of several parts and keeps its memory, unless it is much.
func (b *batch) forget() {
	const most = 1024
	if cap(b.commands) > most {
		*b = batch{}
		return
	}
	clear(b.parts)
	clear(b.commands)
	b.parts, b.commands = b.parts[:0], b.commands[:0]
}
