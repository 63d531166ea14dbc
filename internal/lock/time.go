package lock

// pass lets time go by, ends everything that is due by then, and serves the queues.
func (t *Table) pass(elapsed Duration) {
	if elapsed > 0 {
		t.now += Time(elapsed)
	}
	if t.endAllDue() {
		t.serve()
	}
}

// endAllDue ends everything that is due, in one step: first all waits of what ends
// are dropped, then the holds end; the queues are left to the caller. It reports
// whether something was due. When it returns all deadlines lie ahead.
func (t *Table) endAllDue() bool {
	if d := t.deadlines.min(); d == nil || d.at > t.now {
		return false
	}
	t.collectDue()
	for i := range t.due {
		t.dropDueWaits(&t.due[i])
	}
	for i := range t.due {
		t.endDue(&t.due[i])
	}
	t.due = recycle(t.due)
	return true
}

// collectDue takes everything that is due out of the heap, in its order, until
// nothing is. The end of a member gives deadlines to its sessions, which may be
// due as well.
func (t *Table) collectDue() {
	for {
		d := t.deadlines.min()
		if d == nil || d.at > t.now {
			return
		}
		next := *d
		t.deadlines.remove(1)
		if next.kind == memberDeadline {
			t.endMember(memberID(next.id), next.at)
			continue
		}
		t.due = append(t.due, next)
	}
}

func (t *Table) dropDueWaits(d *deadline) {
	switch d.kind {
	case sessionDeadline:
		t.dropWaits(sessionID(d.id), t.sessions.at(sessionID(d.id)).dueReason())
	case waitDeadline:
		// Dropped already if its session is due too.
		if id := requestID(d.id); t.requests.at(id).live && t.requests.at(id).number == d.number {
			t.endRequest(id, t.waitTimeout(id))
		}
	default: // nothing waits under the others
	}
}

func (t *Table) endDue(d *deadline) {
	switch d.kind {
	case sessionDeadline:
		t.endDueSession(sessionID(d.id))
	case holdDeadline, delayDeadline:
		t.endDueHold(d)
	case quietDeadline:
		t.endQuiet()
	default: // a member's sessions are due themselves, waits are dropped already
	}
}

// endDueSession ends a session whose time is over.
func (t *Table) endDueSession(id sessionID) {
	s := t.sessions.at(id)
	reason := s.dueReason()
	if s.onEnd == OnEndDisown {
		t.disownHolds(id, 0)
	}
	t.endSession(id, reason, true)
}

// dueReason is why a session ends whose time is over. One that was to end with
// its connection comes to that when the connection went with its member.
func (s *sessionRow) dueReason() EndReason {
	if s.onEnd >= OnEndAlways {
		return SessionClosed
	}
	return SessionExpired
}

// endDueHold ends a hold or a delay whose time is over, unless its session's
// end was faster in this step.
func (t *Table) endDueHold(d *deadline) {
	id := holdID(d.id)
	h := t.holds.at(id)
	if !h.live || uint64(h.token) != d.number || h.is(holdDelay) != (d.kind == delayDeadline) {
		return
	}
	switch {
	case h.is(holdDelay):
		t.freeHold(id)
	case h.is(holdRevoked):
		t.endHold(id, Forced, true)
	default:
		t.endHold(id, Expired, true)
	}
}

// endQuiet opens the table after a quiet time.
func (t *Table) endQuiet() {
	t.quietUntil = 0
	t.touchAllQueues()
}

// touchAllQueues is for the begin and the end of a quiet time, which concern
// every queue.
func (t *Table) touchAllQueues() {
	for id := lockID(1); id < t.locks.end(); id++ {
		if l := t.locks.at(id); l.live && l.waiting > 0 {
			t.touchQueue(id)
		}
	}
}

// quiet reports whether nothing may be granted yet.
func (t *Table) quiet() bool { return t.quietUntil > t.now }

// raiseFloors is carried out when an entry comes from a new term, before its
// time: between two leaders nobody could give a sign of life, so members get
// at least a lease from now on, and detached sessions their ttl. Who gives no
// sign of life between gets this three times at most.
func (t *Table) raiseFloors() {
	const maxFloors = 3
	lease := t.settings.MemberLease
	entries := append([]deadline(nil), t.deadlines.heap...)
	for _, d := range entries {
		switch d.kind {
		case memberDeadline:
			id := memberID(d.id)
			if m := t.members.at(id); m.floors < maxFloors && m.deadline < t.now+Time(lease) {
				t.openMember(id).floors++
				t.setMemberDeadline(id, t.now+Time(lease))
			}
		case sessionDeadline:
			id := sessionID(d.id)
			s := t.sessions.at(id)
			floor := t.now + Time(min(s.ttl, lease))
			if s.floors < maxFloors && s.deadline < floor {
				t.openSession(id).floors++
				t.setSessionDeadline(id, floor)
			}
		default: // leases, waits and delays are what was asked for
		}
	}
}
