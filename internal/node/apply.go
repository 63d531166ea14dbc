package node

import (
	"slices"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// Everything in this file runs within Apply, under Node.mu, and waits for nobody.

// answer hands the outcomes of a batch to whoever proposed it.
func (n *Node) answer(b *batch, outcomes []lock.Outcome, index uint64) {
	switch {
	case len(b.parts) > 0:
		for _, part := range b.parts {
			n.answer(part, outcomes[:len(part.commands)], index)
			outcomes = outcomes[len(part.commands):]
		}
		return
	case b.link != nil:
		if !b.disowned { // nobody looks of himself who has been told already
			b.link.quietAt = index
		}
		b.link.putAnswers(b.commands, outcomes, b.disowned)
	case !b.foreign:
		b.outcomes = append(b.outcomes[:0], outcomes...)
	}
	for i, c := range b.commands {
		switch c := c.(type) {
		case *lock.Open:
			n.attached(b, c.Incarnation, &outcomes[i])
		case *lock.Resume:
			n.attached(b, c.Incarnation, &outcomes[i])
		case *lock.Beat:
			n.beaten(c, &outcomes[i])
			continue
		case *lock.Mark:
			n.marked(c, &outcomes[i], index)
			continue
		}
		n.marks.changed = true
	}
}

// attached notes that a session was attached to a member. If that is this one,
// either there is a link for it, which becomes the session's live one, or
// nobody waits for it any more, and the table is told so.
func (n *Node) attached(b *batch, in lock.Incarnation, o *lock.Outcome) {
	if o.Code != lock.OK || in == 0 || in != n.incarnation {
		return
	}
	l := b.joins
	if l == nil || b.disowned {
		n.clerk.add(&lock.Detach{Session: o.Session, Attach: o.Attach})
		return
	}
	if old := n.links[o.Session]; old != nil {
		old.finish(ErrSuperseded)
	}
	l.session, l.number, l.validFor, l.incarnation = o.Session, o.Attach, validFor(o.TTL), in
	if err := n.Err(); err != nil {
		l.finish(err)
		return
	}
	if n.links[o.Session] = l; len(n.links) == 1 {
		signal(n.wakeBeater)
	}
}

// settle tells whoever waits for a request how it ended: a Call, or the session's
// link. That a request was taken over by a newer connection concerns Calls
// only, since the older link has ended by then.
func (n *Node) settle(s *lock.Settled, index uint64) {
	if w := n.waiterOf(s); w != nil {
		w.settle(&s.Outcome)
		return
	}
	if s.Seq == 0 || s.Outcome.Code == lock.Superseded {
		return
	}
	if l := n.links[s.Session]; l != nil {
		l.put(Notice{Kind: Answer, Slot: s.Slot, Seq: s.Seq, Outcome: s.Outcome}, l.quietAt == index)
	}
}

// waiterOf returns the Call that waits for a request, nil if none does. Of native
// sessions none ever does, and very many requests can be settled at once.
func (n *Node) waiterOf(s *lock.Settled) *waiter {
	if len(n.waiters) == 0 {
		return nil
	}
	return n.waiters[requestName{
		session: s.Session, slot: s.Slot, seq: s.Seq, id: s.RequestID, attach: s.Attach, attempt: s.Attempt,
	}]
}

// tell puts notices of what ended without the client's asking into the
// mailboxes of those concerned, and ends links.
func (n *Node) tell(events []lock.Event, commands []lock.Command, index uint64) {
	releases := releases{commands: commands}
	for i := range events {
		e := &events[i]
		if e.Session == 0 {
			continue
		}
		switch e.Type {
		case lock.HoldReleased:
			// Other reasons are the client's own doing, or that of its session's end.
			if e.Reason == lock.Released && !releases.own(e) {
				n.tellHold(Lost, e, index)
			}
		case lock.HoldExpired:
			if e.Reason == lock.Expired {
				n.tellHold(Lost, e, index)
			}
		case lock.HoldForced:
			n.tellHold(Lost, e, index)
		case lock.HoldRevoked:
			n.tellHold(Revoked, e, index)
		case lock.SessionEnded:
			n.tellEnd(e, index)
		case lock.SessionDetached, lock.SessionResumed:
			n.tellMoved(e)
		default:
			// The client has an answer for it, or it does not concern the client.
		}
	}
}

func (n *Node) tellHold(kind NoticeKind, e *lock.Event, index uint64) {
	if l := n.links[e.Session]; l != nil {
		l.put(Notice{Kind: kind, Name: e.Name, Token: e.Token, Reason: e.Reason}, l.quietAt == index)
	}
}

func (n *Node) tellEnd(e *lock.Event, index uint64) {
	if l := n.links[e.Session]; l != nil {
		delete(n.links, e.Session)
		l.put(Notice{Kind: SessionEnd, Reason: e.Reason}, l.quietAt == index)
		l.finish(&SessionEndedError{Reason: e.Reason})
	}
}

// tellMoved ends a link that the table does not count any more: its session was
// detached, or resumed at another member.
func (n *Node) tellMoved(e *lock.Event) {
	l := n.links[e.Session]
	switch {
	case l == nil || e.Attach < l.number:
		return
	case e.Type == lock.SessionDetached:
		delete(n.links, e.Session)
		l.finish(ErrDetached)
	case e.Attach > l.number:
		delete(n.links, e.Session)
		l.finish(ErrSuperseded)
	}
}

// releases tells releases that a session asked for itself from those that
// somebody else made with the hold's key. Events come in the order of commands,
// so it goes on where it found the last one.
type releases struct {
	commands []lock.Command
	next     int
	// asker and askers are the sessions that release something in this entry,
	// listed when that is first of interest. Most entries have one.
	asker  lock.SessionNumber
	askers []lock.SessionNumber
	listed bool
}

// asks reports whether a session releases anything in this entry. Without it,
// each hold that was released by key would be looked for among all commands.
func (r *releases) asks(session lock.SessionNumber) bool {
	if !r.listed {
		r.listed = true
		for _, c := range r.commands {
			if c, ok := c.(*lock.Release); ok {
				r.list(c.Session)
			}
		}
	}
	return session == r.asker || slices.Contains(r.askers, session)
}

func (r *releases) list(session lock.SessionNumber) {
	switch {
	case r.asker == 0:
		r.asker = session
	case r.asker != session && !slices.Contains(r.askers, session):
		r.askers = append(r.askers, session)
	}
}

// own reports whether the session of an ended hold has released it in this entry.
func (r *releases) own(e *lock.Event) bool {
	if !r.asks(e.Session) {
		return false
	}
	for range r.commands {
		if r.next >= len(r.commands) {
			r.next = 0
		}
		if c, ok := r.commands[r.next].(*lock.Release); ok && c.Session == e.Session && namesHold(&c.Hold, e) {
			return true // it may name more holds
		}
		r.next++
	}
	return false
}

// namesHold reports whether a command names the hold of an event.
func namesHold(h *lock.Hold, e *lock.Event) bool {
	if !h.All && h.Name != e.Name {
		return false
	}
	if h.Key != (lock.Key{}) {
		return h.Key == e.Key
	}
	return h.Token == e.Token
}
