package lock

import "slices"

func (m *model) lock(name string) *modelLock {
	for _, l := range m.locks {
		if l.name == name {
			return l
		}
	}
	return nil
}

// lockFor finds a lock or makes it.
func (m *model) lockFor(it *Item) *modelLock {
	if l := m.lock(it.Name); l != nil {
		return l
	}
	m.lastLock++
	l := &modelLock{number: m.lastLock, name: it.Name, size: max(it.Size, 1), fence: m.fenceFloor}
	m.locks = append(m.locks, l)
	return l
}

// taken adds up what is taken of a lock, delays included.
func (m *model) taken(l *modelLock) (exclusive, shared uint32) {
	for _, h := range m.holds {
		switch {
		case h.lock != l:
		case h.mode == Shared:
			shared += h.permits
		default:
			exclusive += h.permits
		}
	}
	return exclusive, shared
}

// fits says whether a lock has room, whoever waits for it.
func (m *model) fits(it modelItem) bool {
	exclusive, shared := m.taken(it.lock)
	if it.mode == Shared {
		return exclusive == 0
	}
	return shared == 0 && exclusive+it.permits <= it.lock.size
}

// waiters are the waits for a lock, the first in the queue first.
func (m *model) waiters(l *modelLock) []*modelWait {
	var list []*modelWait
	for _, w := range m.waits {
		if slices.ContainsFunc(w.items, func(it modelItem) bool { return it.lock == l }) {
			list = append(list, w)
		}
	}
	return list
}

func (m *model) holdersOf(l *modelLock) []*modelHold {
	var list []*modelHold
	for _, h := range m.holds {
		if h.lock == l {
			list = append(list, h)
		}
	}
	return list
}

// unused notes that a lock became idle if nobody holds it or waits for it, and
// used that it is not any more.
func (m *model) unused(l *modelLock) {
	m.used(l)
	if len(m.holdersOf(l)) == 0 && len(m.waiters(l)) == 0 {
		l.touched = m.now
		m.idle = append(m.idle, l)
	}
}

func (m *model) used(l *modelLock) {
	m.idle = slices.DeleteFunc(m.idle, func(x *modelLock) bool { return x == l })
}

// touch makes an idle lock the youngest.
func (m *model) touch(l *modelLock) {
	if slices.Contains(m.idle, l) {
		m.unused(l)
	}
}

// mayBeGranted says whether a wait is the first in all its queues, and all its
// locks have room.
func (m *model) mayBeGranted(w *modelWait) bool {
	for _, it := range w.items {
		if m.waiters(it.lock)[0] != w || !m.fits(it) {
			return false
		}
	}
	return !m.isQuiet()
}

// serve grants what may be granted, the oldest first.
func (m *model) serve() {
	for {
		i := slices.IndexFunc(m.waits, m.mayBeGranted)
		if i < 0 {
			return
		}
		w := m.waits[i]
		m.waits = slices.Delete(m.waits, i, i+1)
		w.request.wait = nil
		o := m.grant(w.session, w.request, w.command, w.items, Duration(m.now-w.since))
		m.settle(w, o)
	}
}

func (m *model) settle(w *modelWait, o Outcome) {
	c := &w.caller
	m.settled = append(m.settled, Settled{
		Session: w.session.number, Slot: c.Slot, Seq: c.Seq, RequestID: c.RequestID,
		Attach: c.Attach, Attempt: c.Attempt, Outcome: o,
	})
}

// grant makes the holds of a request; r is nil if it has no name.
func (m *model) grant(s *modelSession, r *modelRequest, c *Acquire, items []modelItem, waited Duration) Outcome {
	m.token++
	o := Outcome{Token: m.token, Key: c.Key, Waited: waited, Count: len(items)}
	byAge := slices.Clone(items)
	slices.SortFunc(byAge, func(a, b modelItem) int { return int(a.lock.number) - int(b.lock.number) })
	for _, it := range byAge {
		h := &modelHold{
			lock: it.lock, session: s, request: r, token: m.token, key: c.Key, mode: it.mode, permits: it.permits,
			since: m.now, delay: c.LockDelay, delivered: s.member != nil || s.calls || s == m.outside,
		}
		if c.Lease > 0 {
			h.end = m.now + Time(c.Lease)
		}
		if c.Note != nil {
			n := *c.Note
			h.note = &n
		}
		if it.mode == Exclusive && it.permits == it.lock.size {
			it.lock.fence = m.token
		}
		m.holds = append(m.holds, h)
		m.used(it.lock)
		e := m.holdEvent(HoldAcquired, h)
		e.Waited = waited
		m.say(e)
		if r != nil {
			r.holds = append(r.holds, h)
		}
	}
	if r != nil {
		r.token, r.key, r.items = m.token, c.Key, items
	}
	fencesOf(items, &o)
	return o
}

// fencesOf puts the fences of a grant into its outcome.
func fencesOf(items []modelItem, o *Outcome) {
	o.Fence = items[0].lock.fence
	if len(items) > 1 {
		o.Fences = nil
		for _, it := range items {
			o.Fences = append(o.Fences, it.lock.fence)
		}
	}
}

func (m *model) holdEvent(typ EventType, h *modelHold) Event {
	return Event{
		Type: typ, Name: h.lock.name, Session: h.session.number, Attach: h.session.attach, Token: h.token,
		Key: h.key, Mode: h.mode, Permits: h.permits, Size: h.lock.size,
	}
}

// endHold ends a hold; after an involuntary end of one that was delivered its
// delay is left.
func (m *model) endHold(h *modelHold, reason EndReason, involuntary bool) {
	types := map[EndReason]EventType{Expired: HoldExpired, SessionExpired: HoldExpired, Forced: HoldForced}
	e := m.holdEvent(HoldReleased, h)
	if t, ok := types[reason]; ok {
		e.Type = t
	}
	e.Reason, e.Held = reason, Duration(m.now-h.since)
	m.say(e)
	if r := h.request; r != nil {
		r.holds = slices.DeleteFunc(r.holds, func(x *modelHold) bool { return x == h })
		if r.reason = reason; len(r.holds) == 0 {
			h.session.isOver(r, m.set.MaxEndedRequestIDs)
		}
	}
	if involuntary && h.delay > 0 && h.delivered {
		h.session, h.request, h.end, h.note = nil, nil, m.now+Time(h.delay), nil
		return
	}
	m.dropHold(h)
}

func (m *model) dropHold(h *modelHold) {
	m.holds = slices.DeleteFunc(m.holds, func(x *modelHold) bool { return x == h })
	m.unused(h.lock)
}

// endWait ends a wait without a grant.
func (m *model) endWait(w *modelWait, o Outcome) {
	o.Waited = Duration(m.now - w.since)
	for _, it := range w.items {
		m.say(Event{
			Type: WaitEnded, Reason: o.Reason, Name: it.lock.name, Session: w.session.number,
			Attach: w.session.attach, Mode: it.mode, Permits: it.permits, Waited: o.Waited,
		})
	}
	m.settle(w, o)
	w.request.wait = nil
	w.request.done = &Outcome{Code: o.Code, Reason: o.Reason}
	w.session.isOver(w.request, m.set.MaxEndedRequestIDs)
	m.waits = slices.DeleteFunc(m.waits, func(x *modelWait) bool { return x == w })
	for _, it := range w.items {
		m.unused(it.lock)
	}
}

// holdsInTheWay says whether the session of a wait holds the first of its locks
// that it does not get.
func (m *model) holdsInTheWay(w *modelWait) bool {
	for _, it := range w.items {
		if m.waiters(it.lock)[0] != w || !m.fits(it) || m.wasQuiet {
			return m.holdsOne(w.session, it.lock)
		}
	}
	return false
}

func (m *model) holdsOne(s *modelSession, l *modelLock) bool {
	return s != m.outside && slices.ContainsFunc(m.holds, func(h *modelHold) bool { return h.lock == l && h.session == s })
}

// find finds the hold that a command names: the newest with the key, else the
// caller's own with the token.
func (m *model) find(s *modelSession, n *Hold) (*modelHold, Code) {
	l := m.lock(n.Name)
	if l == nil {
		return nil, NotFound
	}
	var found *modelHold
	for _, h := range m.holdersOf(l) {
		byToken := n.Key == Key{} && n.Token != 0 && h.token == n.Token && h.session == s && s != m.outside
		if n.Key != (Key{}) && h.key == n.Key || byToken {
			found = h
		}
	}
	if found == nil || found.shut() {
		m.touch(l)
		return nil, WrongKey
	}
	return found, OK
}

// grantOf lists the holds of the grant of a hold, as the locks were made.
func (m *model) grantOf(h *modelHold, all bool) []*modelHold {
	if !all {
		return []*modelHold{h}
	}
	var list []*modelHold
	for _, x := range m.holds {
		if x.token == h.token && !x.shut() {
			list = append(list, x)
		}
	}
	return list
}
