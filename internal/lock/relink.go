package lock

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// link puts the rows into their lists, in the orders that the numbers give.
func (r *Restorer) link() error {
	t := r.t
	holds := liveIDs(&t.holds, func(h *holdRow) bool { return h.live })
	slices.SortFunc(holds, func(a, b holdID) int {
		x, y := t.holds.at(a), t.holds.at(b)
		return cmp.Or(cmp.Compare(x.token, y.token),
			cmp.Compare(t.locks.at(x.lock).number, t.locks.at(y.lock).number))
	})
	r.linkHolds(holds)
	requests := liveIDs(&t.requests, func(q *requestRow) bool { return q.live })
	slices.SortFunc(requests, func(a, b requestID) int {
		return cmp.Compare(t.requests.at(a).number, t.requests.at(b).number)
	})
	for _, id := range requests {
		if err := r.linkWaiting(id); err != nil {
			return err
		}
	}
	if err := r.linkSessions(); err != nil {
		return err
	}
	if err := r.linkIdle(); err != nil {
		return err
	}
	if t.quietUntil > t.now {
		t.schedule(deadline{at: t.quietUntil, kind: quietDeadline}, 0)
	}
	return r.judgeHeads()
}

func liveIDs[ID ~uint32, T any](a *arena[ID, T], live func(*T) bool) []ID {
	var ids []ID
	for id := ID(1); id < a.end(); id++ {
		if live(a.at(id)) {
			ids = append(ids, id)
		}
	}
	return ids
}

// linkHolds links holds that are in the order of tokens; those of one grant
// follow each other.
func (r *Restorer) linkHolds(holds []holdID) {
	t := r.t
	for i, id := range holds {
		h := t.holds.at(id)
		h.sibling = id
		if h.is(holdDelay) {
			t.counts.Delays++
			h.session = 0
		} else {
			t.counts.Holds++
			t.linkToSession(h.session, id, h)
		}
		if i > 0 && !h.is(holdDelay) {
			r.joinRing(holds[:i], id, h)
		}
		t.linkHold(h.lock, t.locks.at(h.lock), id, h)
		if h.deadline != 0 {
			t.setHoldDeadline(id, h.deadline)
		}
		if e := t.extras[id]; e != nil {
			t.ledger.sum.add(t.hashExtra(h, e))
		}
		r.linkSlot(id, h)
	}
}

// joinRing links a hold with the holds of the same grant that stand before it.
// Delays among them have left the ring.
func (r *Restorer) joinRing(before []holdID, id holdID, h *holdRow) {
	for _, b := range slices.Backward(before) {
		other := r.t.holds.at(b)
		if other.token != h.token {
			return
		}
		if !other.is(holdDelay) {
			h.sibling, other.sibling = other.sibling, id
			return
		}
	}
}

// linkSlot resolves the reference of the slot that a hold was granted to: of the
// holds of a grant, the first refers to it.
func (r *Restorer) linkSlot(id holdID, h *holdRow) {
	if h.session == 0 || !h.is(holdNamed) {
		return
	}
	name := ""
	if e := r.t.extras[id]; e != nil {
		name = e.requestID
	}
	sl := r.t.slotOf(h.session, h.slot, name)
	if sl != nil && sl.state == slotGranted && sl.token == h.token && sl.ref == dangling {
		sl.ref = uint32(id)
	}
}

// linkWaiting puts a request into its queues and finds its slot.
func (r *Restorer) linkWaiting(id requestID) error {
	t := r.t
	q := t.requests.at(id)
	sl := r.t.slotOf(q.session, q.slot, q.id)
	if sl == nil || sl.state != slotWaiting || sl.ref != dangling {
		return fmt.Errorf("lock: snapshot: request %d waits without a slot", q.number)
	}
	sl.ref = uint32(id)
	for pid := q.firstPlace; pid != 0; pid = t.places.at(pid).nextInRequest {
		t.appendPlace(pid)
	}
	t.linkRequest(q.session, id, q)
	t.counts.Waiters++
	if q.deadline != 0 {
		t.setRequestDeadline(id, q.deadline)
	}
	return nil
}

// linkSessions attaches sessions to their members in the order of attach
// numbers, and sorts ended request ids. All references of slots are resolved by now.
func (r *Restorer) linkSessions() error {
	t := r.t
	ids := liveIDs(&t.sessions, func(s *sessionRow) bool { return s.live })
	slices.SortFunc(ids, func(a, b sessionID) int {
		return cmp.Compare(t.sessions.at(a).attach, t.sessions.at(b).attach)
	})
	for _, id := range ids {
		s := t.sessions.at(id)
		slices.SortFunc(s.slots.ended, func(a, b string) int {
			return cmp.Compare(s.slots.named[a].endNo, s.slots.named[b].endNo)
		})
		if s.attached() {
			t.linkToMember(id, s, s.member)
		}
		if s.slots.dangle() {
			return fmt.Errorf("lock: snapshot: a slot of session %d refers to nothing", s.number)
		}
	}
	return nil
}

// dangle reports whether a reference is not resolved.
func (st *slotTable) dangle() bool {
	for _, ch := range st.chunks {
		if ch != nil && slices.ContainsFunc(ch.slots[:], func(sl slot) bool { return sl.ref == dangling }) {
			return true
		}
	}
	// The order does not matter: one that dangles is enough.
	for _, n := range st.named {
		if n.ref == dangling {
			return true
		}
	}
	return false
}

// linkIdle puts the idle locks in the order in which they became so. A lock that
// says that it is idle and is not, or the other way round, is a mistake.
func (r *Restorer) linkIdle() error {
	t := r.t
	ids := liveIDs(&t.locks, func(l *lockRow) bool { return l.live && l.idle() })
	for _, id := range ids {
		if t.locks.at(id).rest == 0 {
			return fmt.Errorf("lock: snapshot: idle lock %d does not say since when", t.locks.at(id).number)
		}
	}
	if t.idles.len() != len(ids) {
		return errors.New("lock: snapshot: a lock that is not idle says that it is")
	}
	slices.SortFunc(ids, func(a, b lockID) int {
		return cmp.Compare(t.restOf(a).touchNo, t.restOf(b).touchNo)
	})
	for _, id := range ids {
		t.appendIdle(id, t.restOf(id))
	}
	return nil
}

// judgeHeads finds out which heads are ready. None can be granted: it would
// have been before it was saved.
func (r *Restorer) judgeHeads() error {
	t := r.t
	for id := lockID(1); id < t.locks.end(); id++ {
		l := t.locks.at(id)
		if !l.live || l.waiting == 0 {
			continue
		}
		p := t.places.at(l.firstPlace)
		if p.ready = !t.quiet() && l.fits(p.mode, p.permits); p.ready {
			q := t.requests.at(p.request)
			if q.ready++; q.ready == q.places {
				return fmt.Errorf("lock: snapshot: request %d waits for what is free", q.number)
			}
		}
	}
	return nil
}
