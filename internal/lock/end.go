package lock

// endHold ends a hold. After an involuntary end of a hold that was delivered,
// the lock delay that the holder asked for keeps its permits shut.
func (t *Table) endHold(id holdID, reason EndReason, involuntary bool) {
	h := t.openHold(id)
	t.emitHold(endType(reason), id, reason)
	t.forgetSlot(id, h, reason)
	t.leaveRing(id, h)
	var delay Duration
	if e := t.extras[id]; e != nil {
		delay = e.lockDelay
		t.dropExtra(id)
	}
	t.unlinkFromSession(id, h)
	t.counts.Holds--
	if involuntary && delay > 0 && h.is(holdDelivered) {
		t.shut(id, h, delay)
		return
	}
	t.freeHold(id)
}

// endType is the type of the event that tells of a hold's end.
func endType(r EndReason) EventType {
	switch r {
	case Expired, SessionExpired:
		return HoldExpired
	case Forced:
		return HoldForced
	default:
		return HoldReleased
	}
}

// shut turns an ended hold into a lock delay, which keeps its permits.
func (t *Table) shut(id holdID, h *holdRow, delay Duration) {
	if h.heap != 0 {
		t.deadlines.remove(h.heap)
	}
	h.flags |= holdDelay
	t.setHoldDeadline(id, t.now+Time(delay))
	t.counts.Delays++
	t.touchQueue(h.lock) // its waiters are not ready any more, if they were
}

// freeHold takes a hold, or a delay, out of its lock.
func (t *Table) freeHold(id holdID) {
	h := t.openHold(id)
	if h.is(holdDelay) {
		t.counts.Delays--
	}
	if h.heap != 0 {
		t.setHoldDeadline(id, 0)
	}
	lock := h.lock
	t.unlinkHold(lock, t.openLock(lock), id, h)
	t.touchQueue(lock)
	t.holds.release(id)
}

// leaveRing takes a hold out of the ring of its grant.
func (t *Table) leaveRing(id holdID, h *holdRow) {
	if h.sibling == id {
		return
	}
	prev := h.sibling
	for t.holds.at(prev).sibling != id {
		prev = t.holds.at(prev).sibling
	}
	t.holds.at(prev).sibling = h.sibling
	h.sibling = id
}

// forgetSlot tells the slot of the hold's request that this hold is gone: it
// refers to another one of the grant, or says why the last one ended.
func (t *Table) forgetSlot(id holdID, h *holdRow, reason EndReason) {
	if !h.is(holdNamed) {
		return
	}
	c := Caller{Slot: h.slot}
	if e := t.extras[id]; e != nil {
		c.RequestID = e.requestID
	}
	sl := t.slotOf(h.session, c.Slot, c.RequestID)
	if sl == nil || sl.state != slotGranted || sl.token != h.token || sl.ref != uint32(id) {
		return
	}
	v := *sl
	if v.ref = uint32(h.sibling); h.sibling == id {
		v.ref, v.reason = 0, reason
	}
	c.Seq = v.seq
	t.remember(h.session, &c, v)
}

// dropWaits ends all waits of a session that is about to end.
func (t *Table) dropWaits(sid sessionID, reason EndReason) {
	s := t.sessions.at(sid)
	for s.firstRequest != 0 {
		t.endRequest(s.firstRequest, Outcome{Code: SessionLost, Reason: reason})
	}
}

// endSession ends a session: first its waits, then its holds.
func (t *Table) endSession(sid sessionID, reason EndReason, involuntary bool) {
	t.dropWaits(sid, reason)
	s := t.openSession(sid)
	t.expect(2 * int(s.holds)) // most have somebody who waits
	for s.firstHold != 0 {
		t.endHold(s.firstHold, reason, involuntary)
	}
	t.emitSession(SessionEnded, sid, reason)
	t.detachFromMember(s)
	if s.heap != 0 {
		t.setSessionDeadline(sid, 0)
	}
	t.ledger.sum.sub(s.hashIdentity())
	t.forgetSlots(s)
	delete(t.sessionByNumber, s.number)
	delete(t.sessionBySecret, s.secret)
	t.counts.Sessions--
	t.uncountSession(s)
	t.sessions.release(sid)
}

// forgetSlots takes a session's slots out of the hash, and saves what a
// running snapshot has yet to see of them.
func (t *Table) forgetSlots(s *sessionRow) {
	for i, ch := range s.slots.chunks {
		if ch == nil {
			continue
		}
		t.saveSlots(s, uint32(i), ch)
		for j := range ch.slots {
			if sl := &ch.slots[j]; sl.state != slotEmpty {
				t.ledger.sum.sub(hashSlot(s.number, uint32(i*slotsPerChunk+j), sl))
			}
		}
	}
	// The order does not matter: sums commute, and a snapshot's records may
	// come in any order.
	for name, n := range s.slots.named {
		t.saveNamed(s, name, n)
		t.ledger.sum.sub(hashNamed(s.number, name, n))
	}
}

// emitHold emits an event of a hold.
func (t *Table) emitHold(typ EventType, id holdID, reason EndReason) {
	h := t.holds.at(id)
	l, s := t.locks.at(h.lock), t.sessions.at(h.session)
	e := Event{
		Type: typ, Reason: reason, Name: l.name, Session: s.number, Info: s.info, Attach: s.attach,
		Token: h.token, Key: h.key, Mode: h.mode, Permits: h.permits, Size: l.size,
	}
	if reason != NotEnded {
		e.Held = Duration(t.now - h.since)
	}
	t.emit(e)
}

// emitSession emits an event of a session.
func (t *Table) emitSession(typ EventType, id sessionID, reason EndReason) {
	s := t.sessions.at(id)
	t.emit(Event{Type: typ, Reason: reason, Session: s.number, Info: s.info, Attach: s.attach})
}
