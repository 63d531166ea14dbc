package lock

import (
	"cmp"
	"slices"
)

// wanted is one lock of a grant.
type wanted struct {
	lock    lockID
	mode    Mode
	permits uint32
}

// grant is all that is needed to make the holds of one request.
type grant struct {
	session sessionID
	slot    uint32
	named   bool
	atOnce  bool
	id      string
	key     Key
	lease   Duration
	delay   Duration
	note    *Note
	waited  Duration

	want []wanted

	token Token
	first holdID
}

// give makes the holds of a grant, under one token and one key, in the order
// of the locks' numbers, so that the order in memory can be restored.
func (t *Table) give(g *grant) Outcome {
	t.token++
	g.token = t.token
	if len(g.want) > 1 {
		slices.SortFunc(g.want, func(a, b wanted) int {
			return cmp.Compare(t.locks.at(a.lock).number, t.locks.at(b.lock).number)
		})
	}
	flags := t.grantFlags(g)
	var last holdID
	for i := range g.want {
		id := t.makeHold(g, &g.want[i], flags)
		if last == 0 {
			g.first = id
		} else {
			t.holds.at(last).sibling = id
		}
		t.holds.at(id).sibling = g.first
		last = id
	}
	return Outcome{
		Token: g.token, Fence: t.locks.at(t.holds.at(g.first).lock).fence, Key: g.key,
		AtOnce: g.atOnce, Waited: g.waited, Count: len(g.want),
	}
}

func (t *Table) grantFlags(g *grant) holdFlags {
	var f holdFlags
	if g.atOnce {
		f |= holdAtOnce
	}
	if g.named {
		f |= holdNamed
	}
	if s := t.sessions.at(g.session); s.attached() || s.byCalls || g.session == t.outside {
		f |= holdDelivered
	}
	return f
}

// makeHold makes one hold of a grant.
func (t *Table) makeHold(g *grant, w *wanted, flags holdFlags) holdID {
	l := t.openLock(w.lock)
	id, h := t.newHold()
	h.key, h.token, h.since, h.flags = g.key, g.token, t.now, flags
	h.slot, h.mode, h.permits = g.slot, w.mode, w.permits
	t.occupy(l)
	t.linkHold(w.lock, l, id, h)
	t.linkToSession(g.session, id, h)
	if w.mode == Exclusive && w.permits == l.size {
		l.fence = g.token
	}
	if g.delay != 0 || g.note != nil || g.id != "" {
		t.putExtra(id, &holdExtra{lockDelay: g.delay, note: g.note, requestID: g.id})
	}
	if g.lease != 0 {
		t.setHoldDeadline(id, t.now+Time(g.lease))
	}
	t.counts.Holds++
	s := t.sessions.at(g.session)
	t.emit(Event{
		Type: HoldAcquired, Name: l.name, Session: s.number, Info: s.info, Attach: s.attach,
		Token: h.token, Key: h.key, Mode: h.mode, Permits: h.permits, Size: l.size, Waited: g.waited,
	})
	return id
}

// putExtra gives a hold its rare parts; dropExtra takes them away.
func (t *Table) putExtra(id holdID, e *holdExtra) {
	t.extras[id] = e
	h := t.holds.at(id)
	t.ledger.sum.add(t.hashExtra(h, e))
	if h.session != 0 {
		t.charge(h.session, 0, e.bytes())
	}
}

func (t *Table) dropExtra(id holdID) {
	e := t.extras[id]
	if e == nil {
		return
	}
	h := t.holds.at(id)
	t.ledger.sum.sub(t.hashExtra(h, e))
	if h.session != 0 {
		t.charge(h.session, 0, -e.bytes())
	}
	delete(t.extras, id)
}

func (t *Table) linkToSession(sid sessionID, id holdID, h *holdRow) {
	s := t.sessions.at(sid)
	h.session, h.prevInSession, h.nextInSession = sid, s.lastHold, 0
	if s.lastHold == 0 {
		s.firstHold = id
	} else {
		t.holds.at(s.lastHold).nextInSession = id
	}
	s.lastHold = id
	s.holds++
	t.countHold(id, h, 1)
}

func (t *Table) unlinkFromSession(id holdID, h *holdRow) {
	t.countHold(id, h, -1)
	s := t.sessions.at(h.session)
	if h.prevInSession == 0 {
		s.firstHold = h.nextInSession
	} else {
		t.holds.at(h.prevInSession).nextInSession = h.nextInSession
	}
	if h.nextInSession == 0 {
		s.lastHold = h.prevInSession
	} else {
		t.holds.at(h.nextInSession).prevInSession = h.prevInSession
	}
	s.holds--
	h.session, h.prevInSession, h.nextInSession = 0, 0, 0
}

// holderNumber is the number of a hold's session; 0 outside sessions and for delays.
func (t *Table) holderNumber(h *holdRow) SessionNumber {
	if h.session == 0 {
		return 0
	}
	return t.sessions.at(h.session).number
}
