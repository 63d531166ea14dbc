package lock

import (
	"cmp"
	"slices"
)

func (m *model) session(n SessionNumber) *modelSession {
	for _, s := range m.sessions {
		if s.number == n {
			return s
		}
	}
	return nil
}

func (m *model) sessionOf(h SecretHash) *modelSession {
	for _, s := range m.sessions {
		if s.secret == h {
			return s
		}
	}
	return nil
}

func (m *model) member(n Incarnation) *modelMember {
	for _, x := range m.members {
		if x.number == n {
			return x
		}
	}
	return nil
}

// reasonOfEnd is why a session ends when its time is over.
func (s *modelSession) reasonOfEnd() EndReason {
	if s.onEnd == OnEndAlways || s.onEnd == OnEndDisown {
		return SessionClosed
	}
	return SessionExpired
}

func (m *model) sessionCommand(c Command) Outcome {
	switch c := c.(type) {
	case *Open:
		return m.open(c)
	case *Resume:
		return m.resume(c)
	case *KeepAlive:
		s, code := m.caller(&c.Caller)
		if code != OK {
			return Outcome{Code: code}
		}
		if !s.calls {
			return Outcome{Code: SessionLost}
		}
		return Outcome{Session: s.number, TTL: s.ttl}
	case *Detach:
		return m.detach(c)
	case *Close:
		s, code := m.caller(&c.Caller)
		if code != OK {
			return Outcome{Code: code}
		}
		if s == m.outside {
			return Outcome{Code: SessionLost}
		}
		n := len(m.holdsOf(s))
		m.endSession(s, SessionClosed, false)
		return Outcome{Count: n}
	case *Kill:
		return m.kill(c)
	case *Disown:
		return m.disown(c)
	}
	panic("not a command of sessions")
}

func (m *model) open(c *Open) Outcome {
	x := m.member(c.Incarnation)
	if c.Incarnation != 0 && x == nil {
		return Outcome{Code: MemberEnded}
	}
	for _, s := range m.sessions {
		if s.secret != c.Secret {
			continue
		}
		if s.calls {
			s.end, s.floors = m.now+Time(s.ttl), 0
			return Outcome{Session: s.number, TTL: s.ttl}
		}
		return m.reattach(s, x)
	}
	m.lastSession++
	s := &modelSession{
		number: m.lastSession, secret: c.Secret, ttl: c.TTL, onEnd: c.OnEnd, calls: x == nil, opened: m.now, value: c.Value,
	}
	m.sessions = append(m.sessions, s)
	if s.calls {
		s.end = m.now + Time(s.ttl)
	} else {
		m.attach(s, x)
	}
	m.say(Event{Type: SessionOpened, Session: s.number, Attach: s.attach})
	return Outcome{Session: s.number, Attach: s.attach, TTL: s.ttl}
}

func (m *model) attach(s *modelSession, x *modelMember) {
	m.lastAttach++
	s.attach, s.member, s.end, s.floors = m.lastAttach, x, 0, 0
}

func (m *model) resume(c *Resume) Outcome {
	s, x := m.session(c.Session), m.member(c.Incarnation)
	switch {
	case s == nil || s.secret != c.Secret || s.calls:
		return Outcome{Code: SessionLost}
	case x == nil:
		return Outcome{Code: MemberEnded}
	}
	s.onEnd = c.OnEnd
	return m.reattach(s, x)
}

// reattach gives a session a new connection and tells what it has.
func (m *model) reattach(s *modelSession, x *modelMember) Outcome {
	m.attach(s, x)
	alive := &Alive{}
	for _, h := range m.holdsOf(s) {
		h.delivered = true
		if !slices.Contains(alive.Tokens, h.token) {
			alive.Tokens = append(alive.Tokens, h.token)
		}
	}
	for _, r := range s.requests {
		if r.id == "" {
			alive.Slots = append(alive.Slots, SlotState{Slot: r.slot, Seq: r.seq, Waiting: r.wait != nil})
		}
	}
	slices.SortFunc(alive.Slots, func(a, b SlotState) int { return cmp.Compare(a.Slot, b.Slot) })
	m.say(Event{Type: SessionResumed, Session: s.number, Attach: s.attach})
	for _, h := range m.holdsOf(s) {
		if h.revoked {
			m.say(m.holdEvent(HoldRevoked, h))
		}
	}
	return Outcome{Session: s.number, Attach: s.attach, TTL: s.ttl, Alive: alive}
}

func (m *model) holdsOf(s *modelSession) []*modelHold {
	var list []*modelHold
	for _, h := range m.holds {
		if h.session == s {
			list = append(list, h)
		}
	}
	return list
}

func (m *model) detach(c *Detach) Outcome {
	s := m.session(c.Session)
	switch {
	case s == nil:
		return Outcome{Code: SessionLost}
	case s.member == nil || s.attach != c.Attach:
		return Outcome{Code: Superseded}
	case s.onEnd == OnEndDisown, s.onEnd == OnEndAlways, s.onEnd == OnEndClose && c.ByClient:
		m.endSession(s, SessionClosed, true)
		return Outcome{}
	}
	left := s.ttl - max(c.Silent, 0)
	if left <= 0 {
		m.endSession(s, SessionExpired, true)
		return Outcome{}
	}
	m.detachUntil(s, m.now+Time(left))
	return Outcome{}
}

func (m *model) detachUntil(s *modelSession, end Time) {
	s.member, s.end = nil, end
	m.say(Event{Type: SessionDetached, Session: s.number, Attach: s.attach})
}

// dropWaits ends the waits of a session in the order they began.
func (m *model) dropWaits(s *modelSession, reason EndReason) {
	for _, w := range slices.Clone(m.waits) {
		if w.session == s {
			m.endWait(w, Outcome{Code: SessionLost, Reason: reason})
		}
	}
}

// endSession ends the waits, then the holds, then the session. One that disowns
// leaves its holds outside sessions.
func (m *model) endSession(s *modelSession, reason EndReason, involuntary bool) {
	m.dropWaits(s, reason)
	for _, h := range m.holdsOf(s) {
		if s.onEnd == OnEndDisown && reason == SessionClosed && involuntary {
			h.session, h.request = m.outside, nil
		} else {
			m.endHold(h, reason, involuntary)
		}
	}
	m.say(Event{Type: SessionEnded, Reason: reason, Session: s.number, Attach: s.attach})
	m.sessions = slices.DeleteFunc(m.sessions, func(x *modelSession) bool { return x == s })
}

// believes is how long a session's client may believe in it.
func (m *model) believes(s *modelSession) Duration {
	switch {
	case s.onEnd == OnEndAlways || s.onEnd == OnEndDisown:
		return m.set.MemberLease
	case s.member != nil:
		return s.ttl + m.set.MemberLease
	default:
		return Duration(s.end - m.now)
	}
}

func (m *model) kill(c *Kill) Outcome {
	s := m.session(c.Session)
	if s == nil {
		return Outcome{Code: SessionLost}
	}
	o := Outcome{Count: len(m.holdsOf(s)), MayBelieve: m.believes(s)}
	m.endSession(s, Forced, true)
	m.events[len(m.events)-1].Text = c.Reason
	return o
}

func (m *model) disown(c *Disown) Outcome {
	s := m.session(c.Session)
	switch {
	case s == nil:
		return Outcome{Code: SessionLost}
	case c.Attach != 0 && c.Attach != s.attach:
		return Outcome{Code: Superseded}
	}
	holds := m.holdsOf(s)
	for _, h := range holds {
		if end := m.now + Time(c.Lease); c.Lease > 0 && (h.end == 0 || h.end > end) {
			h.end = end
		}
	}
	s.onEnd = OnEndDisown
	m.endSession(s, SessionClosed, true)
	return Outcome{Count: len(holds)}
}

func (m *model) join(c *Join) Outcome {
	for _, x := range m.members {
		if x.name == c.Member {
			m.endMemberFrom(x, c.SameDirectory)
			break
		}
	}
	m.lastMember++
	m.members = append(m.members, &modelMember{
		number: m.lastMember, name: c.Member, end: m.now + Time(m.set.MemberLease),
	})
	return Outcome{Incarnation: m.lastMember}
}

func (m *model) beat(c *Beat) Outcome {
	x := m.member(c.Incarnation)
	switch {
	case x == nil:
		return Outcome{Code: MemberEnded}
	case c.Number <= x.beat:
		return Outcome{Code: Stale, Field: FieldSeq}
	}
	x.beat, x.floors, x.end = c.Number, 0, m.now+Time(m.set.MemberLease)
	return Outcome{Incarnation: x.number, TTL: m.set.MemberLease}
}

func (m *model) endMemberCommand(c *EndMember) Outcome {
	x := m.member(c.Incarnation)
	if x == nil {
		return Outcome{Code: MemberEnded}
	}
	return Outcome{Count: m.endMemberFrom(x, c.Own)}
}

// endMemberFrom ends a member now. Its sessions run from now if it is certain to
// confirm nothing any more, else from the end of its lease.
func (m *model) endMemberFrom(x *modelMember, certain bool) int {
	from := m.now
	if !certain {
		from = max(from, x.end)
	}
	n := m.endMember(x, from)
	m.endWhatIsDue()
	return n
}

func (m *model) endMember(x *modelMember, from Time) int {
	var its []*modelSession
	for _, s := range m.sessions {
		if s.member == x {
			its = append(its, s)
		}
	}
	slices.SortFunc(its, func(a, b *modelSession) int { return cmp.Compare(a.attach, b.attach) })
	for _, s := range its {
		end := from
		if s.onEnd == OnEndKeep || s.onEnd == OnEndClose {
			end += Time(s.ttl)
		}
		m.detachUntil(s, max(end, 1))
	}
	m.members = slices.DeleteFunc(m.members, func(y *modelMember) bool { return y == x })
	return len(its)
}

func (m *model) forceRelease(c *ForceRelease) Outcome {
	l := m.lock(c.Name)
	if l == nil {
		return Outcome{Code: NotFound}
	}
	for _, h := range m.holdersOf(l) {
		if h.token != c.Token {
			continue
		}
		if h.shut() {
			m.dropHold(h)
			return Outcome{Token: c.Token, Count: 1}
		}
		return m.force(c, h)
	}
	return Outcome{Code: TokenMoved}
}

func (m *model) force(c *ForceRelease, h *modelHold) Outcome {
	left := Duration(h.end - m.now)
	o := Outcome{Token: h.token}
	believes := Duration(0)
	if h.session != m.outside {
		believes = m.believes(h.session)
		if v1 := h.session.onEnd == OnEndAlways || h.session.onEnd == OnEndDisown; c.Wait && !v1 {
			// It may resume, and believe anew.
			believes = h.session.ttl + m.set.MemberLease
		}
	}
	switch {
	case h.session == m.outside && h.end == 0:
		o.MayBelieve = m.set.MemberLease
	case h.session == m.outside:
		o.MayBelieve = left
	case h.end == 0:
		o.MayBelieve = believes
	default:
		o.MayBelieve = min(left, believes)
	}
	switch {
	case !c.Wait:
		o.Count = 1
		m.endHold(h, Forced, true)
	case h.revoked:
		return o
	default:
		h.revoked = true
		if end := m.now + Time(o.MayBelieve); h.end == 0 || h.end > end {
			h.end = end
		}
		m.say(m.holdEvent(HoldRevoked, h))
	}
	m.events[len(m.events)-1].Text = c.Reason
	return o
}

func (m *model) resize(c *Resize) Outcome {
	l := m.lock(c.Name)
	if l == nil {
		return Outcome{Code: NotFound}
	}
	_, shared := m.taken(l)
	for _, w := range m.waiters(l) {
		for _, it := range w.items {
			if it.lock == l && it.mode == Shared {
				shared++
			}
		}
	}
	if c.Size > 1 && shared > 0 {
		return Outcome{Code: Invalid, Field: FieldMode}
	}
	l.size = c.Size
	m.touch(l)
	for _, w := range m.waiters(l) {
		if slices.ContainsFunc(w.items, func(it modelItem) bool { return it.lock == l && it.permits > l.size }) {
			m.endWait(w, Outcome{Code: SizeMismatch, Reason: Resized})
		}
	}
	m.say(Event{Type: LockResized, Name: l.name, Size: l.size})
	return Outcome{}
}

func (m *model) collect(c *Collect) Outcome {
	o := Outcome{}
	for o.Count < c.Max && len(m.idle) > 0 && Duration(m.now-m.idle[0].touched) > c.Idle {
		l := m.idle[0]
		m.used(l)
		m.locks = slices.DeleteFunc(m.locks, func(x *modelLock) bool { return x == l })
		m.fenceFloor = max(m.fenceFloor, l.fence)
		o.Count++
	}
	return o
}
