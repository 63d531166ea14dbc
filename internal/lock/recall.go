package lock

import (
	"crypto/subtle"
	"unicode/utf8"
)

// caller finds the session on whose behalf a command is, and checks that it
// may speak: over its present connection, or with its secret. A session that
// lives by calls is renewed.
func (t *Table) caller(c *Caller) (sessionID, Code) {
	if c.outside() {
		return t.outside, OK
	}
	id := t.sessionByNumber[c.Session]
	if c.Session == 0 {
		id = t.sessionBySecret[*c.Proof]
	}
	if id == 0 {
		return 0, SessionLost
	}
	s := t.sessions.at(id)
	if c.Attach != 0 {
		if c.Attach != s.attach || !s.attached() {
			return 0, Superseded
		}
		return id, OK
	}
	if c.Proof == nil || !s.proves(c.Proof) {
		return 0, SessionLost
	}
	if s.byCalls {
		t.renewByCall(id)
	}
	return id, OK
}

// outside reports whether the caller asks outside sessions.
func (c *Caller) outside() bool { return c.Session == 0 && c.Proof == nil }

// bySecret reports whether the caller names its session by the secret alone.
func (c *Caller) bySecret() bool { return c.Session == 0 && c.Proof != nil }

// proves compares a secret's hash in constant time.
func (s *sessionRow) proves(h *SecretHash) bool {
	return subtle.ConstantTimeCompare(s.secret[:], h[:]) == 1
}

func (t *Table) renewByCall(id sessionID) {
	s := t.openSession(id)
	s.floors = 0
	t.setSessionDeadline(id, t.now+Time(s.ttl))
}

// named reports whether a request can be found again.
func (c *Caller) named() bool { return c.Seq != 0 || c.RequestID != "" }

// checkName checks the request's name against the limits.
func (t *Table) checkName(c *Caller) (Outcome, bool) {
	if len(c.RequestID) > t.settings.MaxRequestIDBytes || !utf8.ValidString(c.RequestID) {
		return refuse(FieldRequestID, int64(t.settings.MaxRequestIDBytes)), false
	}
	if c.Seq != 0 && int64(c.Slot) >= int64(t.settings.MaxSlots) {
		return exceed(FieldSlot, t.settings.MaxSlots), false
	}
	return Outcome{}, true
}

// recalled is what is known of a request when it comes in.
type recalled uint8

const (
	// fresh: never seen; carry it out.
	fresh recalled = iota
	// again: seen, and asked for the same; answer as before.
	again
	// refused: the outcome says why.
	refused
)

// recall looks a request up by its name.
//
// Of a numbered slot, the newest seq may come again with the same question, and
// the next one is new; everything else is out of order. A request id is new
// unless it is remembered.
func (t *Table) recall(id sessionID, c *Caller, digest uint64) (*slot, Outcome, recalled) {
	if !c.named() {
		return nil, Outcome{}, fresh
	}
	if o, ok := t.checkName(c); !ok {
		return nil, o, refused
	}
	s := t.sessions.at(id)
	if c.RequestID != "" {
		n := s.slots.named[c.RequestID]
		if n == nil {
			return nil, Outcome{}, fresh
		}
		if c.Attempt < n.attempt {
			return nil, Outcome{Code: Superseded}, refused
		}
		sl, o, how := sameQuestion(&n.slot, digest)
		if how == again {
			t.sawAttempt(id, c, n)
		}
		return sl, o, how
	}
	sl := s.slots.get(c.Slot)
	switch {
	case sl == nil && c.Seq == 1, sl != nil && c.Seq == sl.seq+1 && sl.state != slotWaiting:
		return sl, Outcome{}, fresh
	case sl != nil && c.Seq == sl.seq+1:
		return nil, Outcome{Code: SlotMisused, Field: FieldSlot}, refused
	case sl != nil && c.Seq == sl.seq:
		return sameQuestion(sl, digest)
	default:
		return nil, Outcome{Code: Stale, Field: FieldSeq}, refused
	}
}

// sawAttempt notes a newer attempt of a named request. Whatever the older ones
// send from now on is refused: their caller has given up, while whoever sent this
// one may believe in its answer.
func (t *Table) sawAttempt(id sessionID, c *Caller, n *namedSlot) {
	if c.Attempt > n.attempt {
		t.putNamed(id, c.RequestID, c.Attempt, n.slot)
	}
}

func sameQuestion(sl *slot, digest uint64) (*slot, Outcome, recalled) {
	if sl.state != slotBarred && sl.digest != digest {
		return nil, Outcome{Code: SlotMisused, Field: FieldSlot}, refused
	}
	return sl, Outcome{}, again
}

// remember puts the newest state of a request into its slot. Requests without
// a name leave nothing behind.
func (t *Table) remember(id sessionID, c *Caller, v slot) {
	switch {
	case c.RequestID != "":
		t.putNamed(id, c.RequestID, c.Attempt, v)
	case c.Seq != 0:
		v.seq = c.Seq
		t.putSlot(id, c.Slot, v)
	}
}

// slotOf finds the slot of a request by its name; nil if it was never used.
func (t *Table) slotOf(id sessionID, n uint32, name string) *slot {
	st := &t.sessions.at(id).slots
	if name == "" {
		return st.get(n)
	}
	if sl := st.named[name]; sl != nil {
		return &sl.slot
	}
	return nil
}

// putSlot replaces the content of a numbered slot.
func (t *Table) putSlot(id sessionID, n uint32, v slot) {
	s := t.sessions.at(id)
	ch, made := s.slots.chunk(n)
	if made {
		ch.epoch = t.snapshotEpoch
	}
	t.saveSlots(s, n/slotsPerChunk, ch)
	sl := &ch.slots[n%slotsPerChunk]
	if sl.state != slotEmpty {
		t.ledger.sum.sub(hashSlot(s.number, n, sl))
	}
	*sl = v
	t.ledger.sum.add(hashSlot(s.number, n, sl))
}

// putNamed replaces, or makes, a named slot; the oldest ones that have ended
// are forgotten beyond a number.
func (t *Table) putNamed(id sessionID, name string, attempt uint64, v slot) {
	s := t.sessions.at(id)
	n := s.slots.named[name]
	if n == nil {
		if s.slots.named == nil {
			s.slots.named = map[string]*namedSlot{}
		}
		n = &namedSlot{epoch: t.snapshotEpoch}
		s.slots.named[name] = n
	} else {
		t.saveNamed(s, name, n)
		t.ledger.sum.sub(hashNamed(s.number, name, n))
	}
	n.slot, n.attempt = v, max(n.attempt, attempt)
	if n.endNo == 0 && v.over() {
		t.touch++
		n.endNo = t.touch
		s.slots.ended = append(s.slots.ended, name)
	}
	t.ledger.sum.add(hashNamed(s.number, name, n))
	for len(s.slots.ended) > t.settings.MaxEndedRequestIDs {
		t.forgetNamed(s)
	}
}

// over reports whether the request neither waits nor holds any more.
func (s *slot) over() bool {
	return s.state == slotDone || s.state == slotBarred || s.state == slotGranted && s.ref == 0
}

func (t *Table) forgetNamed(s *sessionRow) {
	name := s.slots.ended[0]
	n := s.slots.named[name]
	t.saveNamed(s, name, n)
	t.ledger.sum.sub(hashNamed(s.number, name, n))
	delete(s.slots.named, name)
	s.slots.ended[0] = ""
	s.slots.ended = s.slots.ended[1:]
}

// saveSlots and saveNamed save slots for a running snapshot before they change.
func (t *Table) saveSlots(s *sessionRow, n uint32, ch *slotChunk) {
	if t.saving(ch.epoch) {
		ch.epoch = t.snapshotEpoch
		t.snapshot.saveSlots(s.number, n, ch)
	}
}

func (t *Table) saveNamed(s *sessionRow, name string, n *namedSlot) {
	if t.saving(n.epoch) {
		n.epoch = t.snapshotEpoch
		t.snapshot.saveNamed(s.number, name, n)
	}
}

// done is the slot of a request that ended with an outcome other than a grant.
func done(digest uint64, o *Outcome) slot {
	return slot{digest: digest, state: slotDone, token: o.Token, code: o.Code, reason: o.Reason, field: o.Field}
}

// answer is the outcome of a request whose slot was found again and that does
// not wait.
func (t *Table) answer(sid sessionID, sl *slot) Outcome {
	switch sl.state {
	case slotBarred:
		return Outcome{Code: Canceled}
	case slotGranted:
		if sl.ref == 0 {
			return Outcome{Code: Ended, Token: sl.token, Reason: sl.reason}
		}
		return t.grantedAgain(holdID(sl.ref))
	default:
		return Outcome{
			Code: sl.code, Token: sl.token, Reason: sl.reason, Field: sl.field, Limit: t.limitOf(sid, sl.field),
		}
	}
}

// grantedAgain repeats the outcome of a grant. Whoever asks again is told, and
// of a revocation as well: it came when the client did not know of the grant.
func (t *Table) grantedAgain(id holdID) Outcome {
	h := t.holds.at(id)
	o := Outcome{Token: h.token, Key: h.key, AtOnce: h.is(holdAtOnce)}
	for _, s := range t.group(id, true) {
		o.Count++
		t.openHold(s).flags |= holdDelivered
		if t.holds.at(s).is(holdRevoked) {
			t.emitHold(HoldRevoked, s, NotEnded)
		}
	}
	o.Fence = t.locks.at(h.lock).fence
	return o
}
