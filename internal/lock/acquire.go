package lock

import (
	"strings"
	"unicode/utf8"
)

// acquire grants at once what is free and not waited for, and queues or
// refuses the rest.
func (t *Table) acquire(c *Acquire) Outcome {
	sid, code := t.caller(&c.Caller)
	if code != OK {
		return Outcome{Code: code}
	}
	if c.bySecret() && c.Wait != 0 {
		return refuse(FieldWait, 0)
	}
	digest := c.digest()
	if sid == t.outside {
		// Anybody may use any request id there: only who shows the key again is
		// the same caller.
		digest ^= c.Key.digest()
	}
	sl, o, how := t.recall(sid, &c.Caller, digest)
	switch how {
	case refused:
		return o
	case again:
		if sl.state == slotWaiting {
			return t.waitOn(requestID(sl.ref), c)
		}
		o := t.answer(sid, sl)
		o.Fences = t.fences(c, &o)
		return o
	case fresh: // below
	}
	o = t.askFresh(sid, c, digest)
	if o.Code != OK && o.Code != Queued {
		t.remember(sid, &c.Caller, done(digest, &o))
	}
	t.asked = t.asked[:0]
	return o
}

// askFresh carries out a request that was not seen before.
func (t *Table) askFresh(sid sessionID, c *Acquire, digest uint64) Outcome {
	if o, ok := t.checkAcquire(sid, c); !ok {
		return o
	}
	if o, ok := t.lookUp(c); !ok {
		return o
	}
	blocked := t.blocked(c)
	if blocked < 0 && !t.quiet() {
		return t.grantAtOnce(sid, c, digest)
	}
	if c.Wait == 0 {
		for _, id := range t.asked {
			if id != 0 {
				t.retouch(id)
			}
		}
		if blocked < 0 {
			return Outcome{Code: Quiet, Limit: int64(t.quietUntil - t.now)}
		}
		return t.held(sid, t.asked[blocked], c.Items[blocked].mode())
	}
	return t.enqueue(sid, c, digest)
}

// permits and mode of an item, with what is left out filled in.
func (it *Item) permits() uint32 { return max(it.Permits, 1) }
func (it *Item) mode() Mode      { return it.Mode }

// checkAcquire checks everything that can be judged without looking at locks.
func (t *Table) checkAcquire(sid sessionID, c *Acquire) (Outcome, bool) {
	s := &t.settings
	switch {
	case len(c.Items) == 0 || len(c.Items) > s.MaxNames:
		return refuse(FieldNames, int64(s.MaxNames)), false
	case c.Lease < 0 || c.Lease > MaxDuration:
		return refuse(FieldLease, int64(MaxDuration)), false
	case c.Wait < Forever || c.Wait > MaxDuration:
		return refuse(FieldWait, int64(MaxDuration)), false
	case c.LockDelay < 0 || c.LockDelay > s.MaxLockDelay:
		return refuse(FieldLockDelay, int64(s.MaxLockDelay)), false
	case c.Key == (Key{}):
		return refuse(FieldKey, 0), false
	case sid == t.outside && c.Lease == 0:
		return refuse(FieldLease, 0), false
	case c.Wait != 0 && !c.named():
		return refuse(FieldSeq, 0), false
	}
	for i := range c.Items {
		if o, ok := t.checkItem(&c.Items[i]); !ok {
			return o, false
		}
		for j := range i {
			if c.Items[i].Name == c.Items[j].Name {
				return refuse(FieldNames, 0), false
			}
		}
	}
	return t.checkNote(c.Note)
}

func (t *Table) checkItem(it *Item) (Outcome, bool) {
	switch {
	case it.Name == "" || len(it.Name) > t.settings.MaxNameBytes || !utf8.ValidString(it.Name):
		return refuse(FieldName, int64(t.settings.MaxNameBytes)), false
	case it.Size > maxSize:
		return refuse(FieldSize, maxSize), false
	case it.Mode > Shared:
		return refuse(FieldMode, 0), false
	case it.Mode == Shared && (it.Size > 1 || it.Permits > 1):
		return refuse(FieldMode, 1), false
	case it.Size > 0 && it.permits() > it.Size:
		return refuse(FieldPermits, int64(it.Size)), false
	case it.Permits > maxSize:
		return refuse(FieldPermits, maxSize), false
	}
	return Outcome{}, true
}

func (t *Table) checkNote(n *Note) (Outcome, bool) {
	if n == nil {
		return Outcome{}, true
	}
	s := &t.settings
	switch {
	case t.badText(n.Reason):
		return refuse(FieldReason, int64(s.MaxTextBytes)), false
	case len(n.Value) > s.MaxValueBytes:
		return refuse(FieldValue, int64(s.MaxValueBytes)), false
	}
	return t.checkLabels(n.Labels)
}

// checkLabels wants few, short, sorted labels, each key once.
func (t *Table) checkLabels(labels []Label) (Outcome, bool) {
	s := &t.settings
	if len(labels) > s.MaxLabels {
		return refuse(FieldLabels, int64(s.MaxLabels)), false
	}
	for i, l := range labels {
		if len(l.Key)+len(l.Value) > s.MaxLabelBytes || l.Key == "" ||
			!utf8.ValidString(l.Key) || !utf8.ValidString(l.Value) {
			return refuse(FieldLabels, int64(s.MaxLabelBytes)), false
		}
		if i > 0 && strings.Compare(labels[i-1].Key, l.Key) >= 0 {
			return refuse(FieldLabels, 0), false
		}
	}
	return Outcome{}, true
}

// lookUp finds the locks of a request into t.asked, 0 for those that do not
// exist yet, and checks the request against them.
func (t *Table) lookUp(c *Acquire) (Outcome, bool) {
	t.asked = t.asked[:0]
	missing := 0
	for i := range c.Items {
		it := &c.Items[i]
		id := t.findLock(it.Name)
		t.asked = append(t.asked, id)
		if id == 0 {
			if missing++; it.Size == 0 && it.permits() > 1 {
				return refuse(FieldPermits, 1), false
			}
			continue
		}
		l := t.locks.at(id)
		switch {
		case it.Size != 0 && it.Size != l.size:
			t.retouch(id)
			return Outcome{Code: SizeMismatch, Field: FieldSize, Limit: int64(l.size)}, false
		case it.Mode == Shared && l.size > 1:
			return refuse(FieldMode, 1), false
		case it.permits() > l.size:
			return refuse(FieldPermits, int64(l.size)), false
		case t.holdByKey(id, c.Key) != 0:
			return refuse(FieldKey, 0), false
		}
	}
	if all := t.counts.Locks + missing; missing > 0 && all > t.settings.MaxLocks && all-t.expendable() > t.settings.MaxLocks {
		return exceed(FieldLocks, t.settings.MaxLocks), false
	}
	return Outcome{}, true
}

// blocked returns the first item that cannot be granted at once, -1 if all can.
func (t *Table) blocked(c *Acquire) int {
	for i, id := range t.asked {
		if id == 0 {
			continue
		}
		if l := t.locks.at(id); l.waiting > 0 || !l.fits(c.Items[i].mode(), c.Items[i].permits()) {
			return i
		}
	}
	return -1
}

// roomForHolds checks the limit on holds; waiting requests count as if granted.
func (t *Table) roomForHolds(sid sessionID, c *Acquire) (Outcome, bool) {
	names := len(c.Items)
	f, limit := FieldHoldsPerSession, t.settings.MaxHoldsPerSession
	if sid == t.outside {
		f, limit = FieldHoldsOutsideSessions, t.settings.MaxHoldsOutsideSessions
	}
	s := t.sessions.at(sid)
	if int(s.holds)+int(s.places)+names > limit {
		return exceed(f, limit), false
	}
	return t.roomForTexts(s, c)
}

// makeAsked makes the locks of the request that did not exist. Idle locks make
// room for them if they must.
func (t *Table) makeAsked(c *Acquire) {
	t.makeRoom(c)
	for i, id := range t.asked {
		if id == 0 {
			t.asked[i] = t.makeLock(c.Items[i].Name, max(c.Items[i].Size, 1))
		}
	}
}

func (t *Table) grantAtOnce(sid sessionID, c *Acquire, digest uint64) Outcome {
	if o, ok := t.roomForHolds(sid, c); !ok {
		return o
	}
	t.makeAsked(c)
	g := &t.grant
	*g = grant{
		session: sid, slot: c.Slot, named: c.named(), id: c.RequestID,
		key: c.Key, lease: c.Lease, delay: c.LockDelay, note: c.Note, atOnce: true, want: g.want[:0],
	}
	for i := range c.Items {
		g.want = append(g.want, wanted{t.asked[i], c.Items[i].mode(), c.Items[i].permits()})
	}
	o := t.give(g)
	t.remember(sid, &c.Caller, slot{digest: digest, state: slotGranted, token: g.token, ref: uint32(g.first)})
	o.Fences = t.fences(c, &o)
	return o
}

// fences lists the fences of a grant of several locks in the order asked.
func (t *Table) fences(c *Acquire, o *Outcome) []Token {
	if len(c.Items) < 2 || o.Code != OK {
		return nil
	}
	fences := make([]Token, len(c.Items))
	for i := range c.Items {
		if id := t.findLock(c.Items[i].Name); id != 0 {
			fences[i] = t.locks.at(id).fence
		}
	}
	o.Fence = fences[0]
	return fences
}

// held is the refusal of a try.
func (t *Table) held(sid sessionID, lock lockID, m Mode) Outcome {
	o := Outcome{Code: Held}
	o.Blocker, o.Self = t.blocker(sid, lock, m)
	return o
}
