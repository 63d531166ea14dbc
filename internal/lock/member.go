package lock

// join begins a new incarnation of a member.
func (t *Table) join(c *Join) Outcome {
	if c.Member == "" || t.badText(c.Member) {
		return refuse(FieldMember, int64(t.settings.MaxTextBytes))
	}
	old := t.memberByName[c.Member]
	if old == 0 && t.counts.Members >= t.settings.MaxMembers {
		return exceed(FieldMembers, t.settings.MaxMembers)
	}
	if old != 0 {
		t.endMember(old, t.endOf(old, c.SameDirectory))
		t.endAllDue()
	}
	id, m := t.newMember()
	t.incarnation++
	m.name, m.number = c.Member, t.incarnation
	t.memberByName[m.name], t.memberByNumber[m.number] = id, id
	t.counts.Members++
	t.setMemberDeadline(id, t.now+Time(t.settings.MemberLease))
	return Outcome{Incarnation: m.number}
}

// beat extends a member's lease.
func (t *Table) beat(c *Beat) Outcome {
	id := t.memberByNumber[c.Incarnation]
	if id == 0 {
		return Outcome{Code: MemberEnded}
	}
	if c.Number <= t.members.at(id).beat {
		return Outcome{Code: Stale, Field: FieldSeq}
	}
	m := t.openMember(id)
	m.beat, m.floors = c.Number, 0
	t.setMemberDeadline(id, t.now+Time(t.settings.MemberLease))
	return Outcome{Incarnation: m.number, TTL: t.settings.MemberLease}
}

func (t *Table) endMemberCommand(c *EndMember) Outcome {
	id := t.memberByNumber[c.Incarnation]
	if id == 0 {
		return Outcome{Code: MemberEnded}
	}
	n := int(t.members.at(id).sessionCount)
	t.endMember(id, t.endOf(id, c.Own))
	t.endAllDue()
	return Outcome{Count: n}
}

// endOf is the time from which the sessions of a member that ends run: now if
// it is certain that it confirms nothing any more, else not before its lease.
func (t *Table) endOf(id memberID, certain bool) Time {
	if certain {
		return t.now
	}
	return max(t.now, t.members.at(id).deadline)
}

// endMember ends an incarnation. Its sessions run from the given time: those
// that end with their connections end then, the others live for their ttl. What
// is due by that is left to endAllDue.
func (t *Table) endMember(id memberID, from Time) {
	m := t.openMember(id)
	for m.first != 0 {
		sid := m.first
		at := from
		if s := t.sessions.at(sid); s.onEnd < OnEndAlways {
			at += Time(s.ttl)
		}
		t.detachUntil(sid, max(at, 1)) // 0 would be no deadline
	}
	if m.heap != 0 {
		t.setMemberDeadline(id, 0)
	}
	delete(t.memberByNumber, m.number)
	delete(t.memberByName, m.name)
	t.counts.Members--
	t.members.release(id)
}
