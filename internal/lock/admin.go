package lock

// birth begins a life of the table.
func (t *Table) birth(c *Birth) Outcome {
	const maxWall = 1 << 62
	if c.Wall > maxWall {
		return refuse(FieldToken, maxWall)
	}
	if c.Quiet < 0 || c.Quiet > MaxDuration {
		return refuse(FieldWait, int64(MaxDuration))
	}
	if lifted := Token(c.Wall); lifted > t.token {
		t.token = lifted
		t.liftFences()
	}
	if c.Quiet > 0 {
		t.quietUntil = max(t.quietUntil, t.now+Time(c.Quiet))
		t.schedule(deadline{at: t.quietUntil, kind: quietDeadline}, t.quietPlace)
		t.touchAllQueues()
	}
	return Outcome{Token: t.token}
}

// liftFences is for the begin of a life: the last exclusive grant of any lock may
// have been one of an earlier life, or later than the backup, and have had any
// token up to the counter. A fence below it would go back.
func (t *Table) liftFences() {
	t.fenceFloor = t.token
	for id := lockID(1); id < t.locks.end(); id++ {
		if t.locks.at(id).live {
			t.openLock(id).fence = t.token
		}
	}
}

func (t *Table) setSettings(c *SetSettings) Outcome {
	s := c.Settings
	s.Format = max(s.Format, t.settings.Format)
	if s = s.WithDefaults(); !s.valid() {
		return refuse(FieldSettings, 0)
	}
	t.settings = s
	return Outcome{}
}

// valid checks that no setting contradicts another or a bound of the design.
func (s *Settings) valid() bool {
	for _, n := range s.counts() {
		if *n < 0 {
			return false
		}
	}
	return s.Format <= FormatLevel && s.MaxWaiters >= 0 && s.MaxBytes >= 0 && s.MaxSlots <= mostSlots &&
		s.validTexts() && s.validSpans()
}

// validTexts wants texts so short that a record of the snapshot can hold the
// several that belong together, and so few names that comparing each with each
// is cheap.
func (s *Settings) validTexts() bool {
	const longest, mostLabels, mostNames = 1 << 20, 1 << 16, 1 << 10
	return max(s.MaxNameBytes, s.MaxValueBytes, s.MaxTextBytes, s.MaxRequestIDBytes, s.MaxLabelBytes) <= longest &&
		s.MaxLabels <= mostLabels && s.MaxLabels*s.MaxLabelBytes <= longest && s.MaxNames <= mostNames
}

func (s *Settings) validSpans() bool {
	const longestTTL = 10 * Minute
	return s.MinTTL > 0 && s.MinTTL <= s.DefaultTTL && s.DefaultTTL <= s.MaxTTL && s.MaxTTL <= longestTTL &&
		s.MaxIdleTTL > 0 && s.MaxIdleTTL <= MaxDuration && s.MemberLease > 0 && s.MemberLease <= longestTTL &&
		s.MaxLockDelay >= 0 && s.MaxLockDelay <= 60*Second
}

// forceRelease ends a hold that the token names. With Wait it is revoked
// instead, and ends when its holder must believe it lost. A delay ends at once.
func (t *Table) forceRelease(c *ForceRelease) Outcome {
	if t.badText(c.Reason) {
		return refuse(FieldReason, int64(t.settings.MaxTextBytes))
	}
	lock := t.findLock(c.Name)
	if lock == 0 {
		return Outcome{Code: NotFound}
	}
	id := t.holdByToken(lock, c.Token)
	if id == 0 {
		return Outcome{Code: TokenMoved}
	}
	h := t.holds.at(id)
	if h.is(holdDelay) {
		t.freeHold(id)
		return Outcome{Token: c.Token, Count: 1}
	}
	o := Outcome{Token: c.Token, MayBelieve: t.holdBelief(h, c.Wait)}
	if !c.Wait {
		t.endHold(id, Forced, true)
		t.explain(c.Reason)
		o.Count = 1
		return o
	}
	if !h.is(holdRevoked) {
		h = t.openHold(id)
		h.flags |= holdRevoked
		t.setHoldDeadline(id, t.now+Time(o.MayBelieve)) // never later than its lease
		t.emitHold(HoldRevoked, id, NotEnded)
		t.explain(c.Reason)
	}
	return o
}

// holdBelief is how long the holder may still believe in a hold: as long as in
// its session, outside sessions as long as its member lives, but not longer than
// the lease, if it has one. A hold that stands on gives a detached session the
// time to resume, and to believe for another ttl.
func (t *Table) holdBelief(h *holdRow, standsOn bool) Duration {
	belief := t.settings.MemberLease
	if h.session != t.outside {
		belief = t.mayBelieve(h.session)
		if s := t.sessions.at(h.session); standsOn && s.onEnd < OnEndAlways {
			belief = s.ttl + t.settings.MemberLease
		}
	}
	if left := Duration(h.deadline - t.now); h.deadline != 0 && (left < belief || h.session == t.outside) {
		belief = left
	}
	return belief
}

func (t *Table) lead(c *Lead) Outcome {
	if t.badText(c.Member) {
		return refuse(FieldMember, int64(t.settings.MaxTextBytes))
	}
	if t.leader != c.Member {
		t.leader = c.Member
		t.emit(Event{Type: LeaderChanged, Text: c.Member})
	}
	return Outcome{}
}
