package lock

import (
	"cmp"
	"slices"
)

// find finds the hold that a command names: by key, whoever asks; else by
// token, among the caller's own. Outside sessions only the key tells whose a
// hold is, because tokens are no secret. Delays are not holds.
func (t *Table) find(sid sessionID, h *Hold) (holdID, Code) {
	lock := t.findLock(h.Name)
	if lock == 0 {
		return 0, NotFound
	}
	id := t.holdByKey(lock, h.Key)
	if h.Key == (Key{}) && h.Token != 0 && sid != t.outside {
		if id = t.holdByToken(lock, h.Token); id != 0 && t.holds.at(id).session != sid {
			id = 0
		}
	}
	if id == 0 || t.holds.at(id).is(holdDelay) {
		t.retouch(lock)
		return 0, WrongKey
	}
	return id, OK
}

// group lists a hold, or all holds of its grant, into t.grouped, in the order
// of the locks' numbers: where the ring begins is an accident of memory.
func (t *Table) group(id holdID, all bool) []holdID {
	t.grouped = append(t.grouped[:0], id)
	if !all {
		return t.grouped
	}
	for s := t.holds.at(id).sibling; s != id; s = t.holds.at(s).sibling {
		t.grouped = append(t.grouped, s)
	}
	if len(t.grouped) > 1 {
		slices.SortFunc(t.grouped, func(a, b holdID) int {
			return cmp.Compare(t.locks.at(t.holds.at(a).lock).number, t.locks.at(t.holds.at(b).lock).number)
		})
	}
	return t.grouped
}

// onHold is the frame of all commands that name a hold: who asks, was it asked
// before, which hold; then do.
func (t *Table) onHold(c *Caller, h *Hold, digest uint64, do func(id holdID) Outcome) Outcome {
	sid, code := t.caller(c)
	if code != OK {
		return Outcome{Code: code}
	}
	sl, o, how := t.recall(sid, c, digest)
	switch how {
	case refused:
		return o
	case again:
		if sl.state != slotDone && sl.state != slotBarred {
			// Cannot be: the digest tells acquires from the rest.
			return Outcome{Code: SlotMisused, Field: FieldSlot}
		}
		return t.answer(sid, sl)
	case fresh: // below
	}
	id, code := t.find(sid, h)
	if code != OK {
		o = Outcome{Code: code}
	} else {
		o = do(id)
	}
	t.remember(sid, c, done(digest, &o))
	return o
}

func (t *Table) release(c *Release) Outcome {
	return t.onHold(&c.Caller, &c.Hold, c.digest(), func(id holdID) Outcome {
		o := Outcome{Token: t.holds.at(id).token}
		for _, id := range t.group(id, c.All) {
			t.endHold(id, Released, false)
			o.Count++
		}
		return o
	})
}

func (t *Table) renew(c *Renew) Outcome {
	return t.onHold(&c.Caller, &c.Hold, c.digest(), func(id holdID) Outcome {
		switch h := t.holds.at(id); {
		case c.Lease <= 0 || c.Lease > MaxDuration:
			return refuse(FieldLease, int64(MaxDuration))
		case h.is(holdRevoked):
			return Outcome{Code: Revoked}
		case h.deadline == 0:
			return Outcome{Code: NotLeased}
		}
		o := Outcome{Token: t.holds.at(id).token}
		for _, id := range t.group(id, c.All) {
			if h := t.holds.at(id); h.is(holdRevoked) || h.deadline == 0 {
				continue
			}
			t.openHold(id)
			t.setHoldDeadline(id, t.now+Time(c.Lease))
			t.emitHold(HoldRenewed, id, NotEnded)
			o.Count++
		}
		return o
	})
}

// downgrade turns an exclusive hold of a lock of size 1 into a shared one. It
// keeps its token and its place among the holders. A lock that was made smaller
// may have several holders beyond its size: none of them holds it exclusively.
func (t *Table) downgrade(c *Downgrade) Outcome {
	return t.onHold(&c.Caller, &c.Hold, c.digest(), func(id holdID) Outcome {
		lock := t.holds.at(id).lock
		if l := t.locks.at(lock); t.holds.at(id).mode != Exclusive || l.size != 1 || l.held != 1 {
			return refuse(FieldMode, 0)
		}
		l, h := t.openLock(lock), t.openHold(id)
		l.give(h.mode, h.permits)
		h.mode = Shared
		l.take(h.mode, h.permits)
		t.emitHold(HoldDowngraded, id, NotEnded)
		t.touchQueue(lock)
		return Outcome{Token: h.token, Fence: l.fence}
	})
}

func (t *Table) setValue(c *SetValue) Outcome {
	if c.Name == "" {
		return t.setSessionValue(c)
	}
	return t.onHold(&c.Caller, &c.Hold, c.digest(), func(id holdID) Outcome {
		if len(c.Value) > t.settings.MaxValueBytes {
			return refuse(FieldValue, int64(t.settings.MaxValueBytes))
		}
		old := t.extras[id]
		if o, ok := t.roomForValue(t.holds.at(id).session, int64(len(c.Value)-len(old.value()))); !ok {
			return o
		}
		t.openHold(id)
		e := holdExtra{note: &Note{}}
		if old != nil {
			e.lockDelay, e.requestID = old.lockDelay, old.requestID
			if old.note != nil {
				*e.note = *old.note
			}
			t.dropExtra(id)
		}
		e.note.Value = c.Value
		t.putExtra(id, &e)
		t.emitHold(ValueSet, id, NotEnded)
		return Outcome{Token: t.holds.at(id).token}
	})
}

func (t *Table) setSessionValue(c *SetValue) Outcome {
	sid, code := t.caller(&c.Caller)
	if code != OK {
		return Outcome{Code: code}
	}
	digest := c.digest()
	sl, o, how := t.recall(sid, &c.Caller, digest)
	switch {
	case how == refused:
		return o
	case how == again:
		return t.answer(sid, sl)
	case sid == t.outside:
		return Outcome{Code: SessionLost}
	case len(c.Value) > t.settings.MaxValueBytes:
		o = refuse(FieldValue, int64(t.settings.MaxValueBytes))
	default:
		o = t.replaceSessionValue(sid, c.Value)
	}
	t.remember(sid, &c.Caller, done(digest, &o))
	return o
}

func (t *Table) replaceSessionValue(sid sessionID, v []byte) Outcome {
	more := int64(len(v) - len(t.sessions.at(sid).value))
	if o, ok := t.roomForValue(sid, more); !ok {
		return o
	}
	s := t.openSession(sid)
	t.ledger.sum.sub(s.hashIdentity())
	s.value = v
	t.ledger.sum.add(s.hashIdentity())
	t.charge(sid, 0, more)
	t.emitSession(ValueSet, sid, NotEnded)
	return Outcome{}
}

// cancel ends the request that the caller names, whatever became of it.
func (t *Table) cancel(c *Cancel) Outcome {
	sid, code := t.caller(&c.Caller)
	switch {
	case code != OK:
		return Outcome{Code: code}
	case !c.named():
		return refuse(FieldSeq, 0)
	}
	if o, ok := t.checkName(&c.Caller); !ok {
		return o
	}
	sl, o, how := t.recallToCancel(sid, &c.Caller)
	switch how {
	case refused:
		return o
	case fresh:
		t.remember(sid, &c.Caller, slot{state: slotBarred})
		return Outcome{Code: Canceled, Reason: GivenBack}
	case again: // below
	}
	switch {
	case sl.state == slotWaiting:
		t.endRequest(requestID(sl.ref), Outcome{Code: Canceled, Reason: GivenBack})
		return Outcome{Code: Canceled, Reason: GivenBack}
	case sl.state == slotGranted && sl.ref != 0:
		o := Outcome{Code: Canceled, Reason: GivenBack, Token: sl.token}
		for _, id := range t.group(holdID(sl.ref), true) {
			t.endHold(id, GivenBack, false)
			o.Count++
		}
		return o
	default:
		return t.answer(sid, sl)
	}
}

// recallToCancel is recall for a request whose question does not matter.
func (t *Table) recallToCancel(sid sessionID, c *Caller) (*slot, Outcome, recalled) {
	s := t.sessions.at(sid)
	if c.RequestID != "" {
		n := s.slots.named[c.RequestID]
		switch {
		case n == nil:
			return nil, Outcome{}, fresh
		case c.Attempt < n.attempt:
			return nil, Outcome{Code: Superseded}, refused
		default:
			t.sawAttempt(sid, c, n)
			return &n.slot, Outcome{}, again
		}
	}
	sl := s.slots.get(c.Slot)
	switch {
	case sl == nil && c.Seq == 1, sl != nil && c.Seq == sl.seq+1 && sl.state != slotWaiting:
		return sl, Outcome{}, fresh
	case sl != nil && c.Seq == sl.seq:
		return sl, Outcome{}, again
	default:
		return nil, Outcome{Code: Stale, Field: FieldSeq}, refused
	}
}
