package lock

// openCommand opens a session, or finds the one that the same secret opened.
func (t *Table) openCommand(c *Open) Outcome {
	if c.Secret == (SecretHash{}) {
		return refuse(FieldSecret, 0)
	}
	var member memberID
	if c.Incarnation != 0 {
		if member = t.memberByNumber[c.Incarnation]; member == 0 {
			return Outcome{Code: MemberEnded}
		}
	}
	if id := t.sessionBySecret[c.Secret]; id != 0 {
		return t.openAgain(id, member)
	}
	ttl, o, ok := t.checkOpen(c)
	if !ok {
		return o
	}
	t.forgetIdle(0, c.Info.bytes()+int64(len(c.Value)))
	id, s := t.newSession()
	t.session++
	s.number, s.secret, s.ttl, s.onEnd, s.opened = t.session, c.Secret, ttl, c.OnEnd, t.now
	s.info, s.value = c.Info, c.Value
	t.sessionByNumber[s.number], t.sessionBySecret[s.secret] = id, id
	t.ledger.sum.add(s.hashIdentity())
	t.counts.Sessions++
	t.countSession(s)
	if member == 0 {
		s.byCalls = true
		t.setSessionDeadline(id, t.now+Time(ttl))
	} else {
		t.attachTo(id, s, member)
	}
	t.emitSession(SessionOpened, id, NotEnded)
	return Outcome{Session: s.number, Attach: s.attach, TTL: ttl}
}

// openAgain answers a retried Open.
func (t *Table) openAgain(id sessionID, member memberID) Outcome {
	s := t.openSession(id)
	if s.byCalls != (member == 0) {
		return refuse(FieldSecret, 0)
	}
	if s.byCalls {
		t.renewByCall(id)
		return Outcome{Session: s.number, TTL: s.ttl}
	}
	return t.reattach(id, s, member)
}

// checkOpen checks a new session against the limits and settles its ttl.
func (t *Table) checkOpen(c *Open) (Duration, Outcome, bool) {
	set := &t.settings
	ttl, longest := c.TTL, set.MaxTTL
	if c.Incarnation == 0 {
		longest = set.MaxIdleTTL
	}
	if ttl == 0 {
		ttl = set.DefaultTTL
	}
	switch {
	case c.OnEnd > OnEndDisown:
		return 0, refuse(FieldClient, 0), false
	case ttl < set.MinTTL && c.OnEnd < OnEndAlways && c.Incarnation != 0, ttl < 0:
		return 0, refuse(FieldTTL, int64(set.MinTTL)), false
	case ttl > longest:
		return 0, refuse(FieldTTL, int64(longest)), false
	case len(c.Value) > set.MaxValueBytes:
		return 0, refuse(FieldValue, int64(set.MaxValueBytes)), false
	case t.counts.Sessions >= set.MaxSessions:
		return 0, exceed(FieldSessions, set.MaxSessions), false
	}
	o, ok := t.checkInfo(c.Info)
	if ok {
		o, ok = t.roomForSession(c)
	}
	return ttl, o, ok
}

func (t *Table) checkInfo(i *Info) (Outcome, bool) {
	if i == nil {
		return Outcome{}, true
	}
	for _, s := range [...]string{i.Host, i.User, i.Program, i.Library, i.Remote, i.Transport, i.Principal} {
		if t.badText(s) {
			return refuse(FieldClient, int64(t.settings.MaxTextBytes)), false
		}
	}
	return t.checkLabels(i.Labels)
}

// resume attaches a session to a new connection. The older one counts no more.
func (t *Table) resume(c *Resume) Outcome {
	id := t.sessionByNumber[c.Session]
	if id == 0 || !t.sessions.at(id).proves(&c.Secret) || t.sessions.at(id).byCalls {
		return Outcome{Code: SessionLost}
	}
	member := t.memberByNumber[c.Incarnation]
	if member == 0 {
		return Outcome{Code: MemberEnded}
	}
	if o, ok := t.checkInfo(c.Info); !ok {
		return o
	}
	if c.OnEnd > OnEndDisown {
		return refuse(FieldClient, 0)
	}
	s := t.openSession(id)
	s.onEnd = c.OnEnd
	if c.Info != nil {
		t.ledger.sum.sub(s.hashIdentity())
		t.recount(s, c.Info)
		t.ledger.sum.add(s.hashIdentity())
	}
	return t.reattach(id, s, member)
}

// reattach gives an opened session a new attach number at a member and lists
// what it still has. Its client is told of all of it.
func (t *Table) reattach(id sessionID, s *sessionRow, member memberID) Outcome {
	t.detachFromMember(s)
	t.attachTo(id, s, member)
	alive := &Alive{}
	var last Token
	for h := s.firstHold; h != 0; h = t.holds.at(h).nextInSession {
		t.openHold(h).flags |= holdDelivered
		if token := t.holds.at(h).token; token != last {
			alive.Tokens = append(alive.Tokens, token)
			last = token
		}
	}
	for i, ch := range s.slots.chunks {
		if ch == nil {
			continue
		}
		for j := range ch.slots {
			if sl := &ch.slots[j]; sl.state != slotEmpty {
				alive.Slots = append(alive.Slots, SlotState{
					Slot: uint32(i*slotsPerChunk + j), Seq: sl.seq, Waiting: sl.state == slotWaiting,
				})
			}
		}
	}
	t.emitSession(SessionResumed, id, NotEnded)
	t.remindRevoked(s)
	return Outcome{Session: s.number, Attach: s.attach, TTL: s.ttl, Alive: alive}
}

// remindRevoked tells again which holds of a session were revoked. Who told the
// client may have lost its connection first, and a client that is never told
// believes in the hold when its time is over.
func (t *Table) remindRevoked(s *sessionRow) {
	for h := s.firstHold; h != 0; h = t.holds.at(h).nextInSession {
		if t.holds.at(h).is(holdRevoked) {
			t.emitHold(HoldRevoked, h, NotEnded)
		}
	}
}

// attachTo attaches an opened, detached session under a new number.
func (t *Table) attachTo(id sessionID, s *sessionRow, member memberID) {
	t.attach++
	s.attach, s.member, s.floors = t.attach, member, 0
	if s.deadline != 0 {
		t.setSessionDeadline(id, 0)
	}
	t.linkToMember(id, s, member)
}

func (t *Table) linkToMember(id sessionID, s *sessionRow, member memberID) {
	m := t.members.at(member)
	s.prevInMember, s.nextInMember = m.last, 0
	if m.last == 0 {
		m.first = id
	} else {
		t.sessions.at(m.last).nextInMember = id
	}
	m.last = id
	m.sessionCount++
	t.counts.Attached++
}

// detachFromMember takes an opened session off its member, if it is attached.
func (t *Table) detachFromMember(s *sessionRow) {
	if s.member == 0 {
		return
	}
	m := t.members.at(s.member)
	if s.prevInMember == 0 {
		m.first = s.nextInMember
	} else {
		t.sessions.at(s.prevInMember).nextInMember = s.nextInMember
	}
	if s.nextInMember == 0 {
		m.last = s.prevInMember
	} else {
		t.sessions.at(s.nextInMember).prevInMember = s.prevInMember
	}
	s.member, s.prevInMember, s.nextInMember = 0, 0, 0
	m.sessionCount--
	t.counts.Attached--
}

// detach ends a connection: the session ends with it, or lives for what is
// left of its ttl.
func (t *Table) detach(c *Detach) Outcome {
	id := t.sessionByNumber[c.Session]
	if id == 0 {
		return Outcome{Code: SessionLost}
	}
	s := t.sessions.at(id)
	if !s.attached() || s.attach != c.Attach {
		return Outcome{Code: Superseded}
	}
	switch {
	case s.onEnd == OnEndDisown:
		t.disownHolds(id, 0)
		t.endSession(id, SessionClosed, true)
		return Outcome{}
	case s.onEnd == OnEndAlways, s.onEnd == OnEndClose && c.ByClient:
		t.endSession(id, SessionClosed, true)
		return Outcome{}
	}
	left := max(0, s.ttl-max(0, c.Silent))
	if left == 0 {
		t.endSession(id, SessionExpired, true)
		return Outcome{}
	}
	t.detachUntil(id, t.now+Time(left))
	return Outcome{}
}

// detachUntil detaches a session and lets it live until then.
func (t *Table) detachUntil(id sessionID, at Time) {
	s := t.openSession(id)
	t.detachFromMember(s)
	t.setSessionDeadline(id, at)
	t.emitSession(SessionDetached, id, NotEnded)
}

func (t *Table) keepAlive(c *KeepAlive) Outcome {
	id, code := t.caller(&c.Caller)
	switch {
	case code != OK:
		return Outcome{Code: code}
	case id == t.outside || !t.sessions.at(id).byCalls:
		return Outcome{Code: SessionLost}
	}
	s := t.sessions.at(id)
	return Outcome{Session: s.number, TTL: s.ttl}
}

func (t *Table) closeCommand(c *Close) Outcome {
	id, code := t.caller(&c.Caller)
	switch {
	case code != OK:
		return Outcome{Code: code}
	case id == t.outside:
		return Outcome{Code: SessionLost}
	}
	n := int(t.sessions.at(id).holds)
	t.endSession(id, SessionClosed, false)
	return Outcome{Count: n}
}

func (t *Table) kill(c *Kill) Outcome {
	id := t.sessionByNumber[c.Session]
	if id == 0 {
		return Outcome{Code: SessionLost}
	}
	if t.badText(c.Reason) {
		return refuse(FieldReason, int64(t.settings.MaxTextBytes))
	}
	o := Outcome{Count: int(t.sessions.at(id).holds), MayBelieve: t.mayBelieve(id)}
	t.endSession(id, Forced, true)
	t.explain(c.Reason)
	return o
}

// mayBelieve is how long the client of a session may still believe that it
// holds its locks.
func (t *Table) mayBelieve(id sessionID) Duration {
	s := t.sessions.at(id)
	switch {
	case s.onEnd >= OnEndAlways:
		return t.settings.MemberLease
	case s.attached():
		return s.ttl + t.settings.MemberLease
	default:
		return max(0, Duration(s.deadline-t.now))
	}
}

// disown ends a session and leaves its holds outside sessions.
func (t *Table) disown(c *Disown) Outcome {
	id := t.sessionByNumber[c.Session]
	switch {
	case id == 0:
		return Outcome{Code: SessionLost}
	case c.Attach != 0 && c.Attach != t.sessions.at(id).attach:
		return Outcome{Code: Superseded}
	case c.Lease < 0 || c.Lease > MaxDuration:
		return refuse(FieldLease, int64(MaxDuration))
	}
	n := int(t.sessions.at(id).holds)
	t.disownHolds(id, c.Lease)
	t.endSession(id, SessionClosed, true)
	return Outcome{Count: n}
}

// disownHolds moves the holds of a session that is about to end outside
// sessions. Its waits are dropped first. Each hold gets the lease if it has
// none or a longer one.
func (t *Table) disownHolds(id sessionID, lease Duration) {
	t.dropWaits(id, SessionClosed)
	s := t.sessions.at(id)
	for s.firstHold != 0 {
		hid := s.firstHold
		h := t.openHold(hid)
		t.unlinkFromSession(hid, h)
		t.forgetRequest(hid, h)
		t.linkToSession(t.outside, hid, h)
		if end := t.now + Time(lease); lease > 0 && (h.deadline == 0 || h.deadline > end) {
			t.setHoldDeadline(hid, end)
		}
	}
}

// forgetRequest cuts a hold off from the request that it was granted to,
// whose session ends.
func (t *Table) forgetRequest(id holdID, h *holdRow) {
	h.flags &^= holdNamed
	h.slot = 0
	if e := t.extras[id]; e != nil && e.requestID != "" {
		kept := holdExtra{lockDelay: e.lockDelay, note: e.note}
		t.dropExtra(id)
		t.putExtra(id, &kept)
	}
}
