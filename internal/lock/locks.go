package lock

// makeLock puts a new lock into the table. It is idle until somebody holds it
// or waits for it, which the caller sees to in the same step.
func (t *Table) makeLock(name string, size uint32) lockID {
	id, l := t.newLock()
	t.lock++
	l.name, l.number, l.size, l.fence = name, t.lock, size, t.fenceFloor
	t.ledger.sum.add(l.hashName())
	t.names.add(name, id)
	t.counts.Locks++
	t.counts.Bytes += int64(len(name))
	t.linkIdle(id, l)
	return id
}

// forgetLock takes an idle lock out of the table.
func (t *Table) forgetLock(id lockID) {
	l := t.openLock(id)
	t.unlinkIdle(l)
	t.fenceFloor = max(t.fenceFloor, l.fence)
	t.ledger.sum.sub(l.hashName())
	t.names.remove(l.name, id)
	t.counts.Locks--
	t.counts.Bytes -= int64(len(l.name))
	t.locks.release(id)
}

// linkIdle puts an opened lock at the young end of the idle list.
func (t *Table) linkIdle(id lockID, l *lockRow) {
	t.touch++
	rest, r := t.idles.alloc()
	r.touched, r.touchNo, l.rest = t.now, t.touch, rest
	t.appendIdle(id, r)
}

func (t *Table) appendIdle(id lockID, r *idleRow) {
	t.idleBytes += int64(len(t.locks.at(id).name))
	r.prev, r.next = t.lastIdle, 0
	if t.lastIdle == 0 {
		t.firstIdle = id
	} else {
		t.restOf(t.lastIdle).next = id
	}
	t.lastIdle = id
}

// restOf returns the idle row of an idle lock.
func (t *Table) restOf(id lockID) *idleRow { return t.idles.at(t.locks.at(id).rest) }

func (t *Table) unlinkIdle(l *lockRow) {
	r := t.idles.at(l.rest)
	t.idleBytes -= int64(len(l.name))
	if r.prev == 0 {
		t.firstIdle = r.next
	} else {
		t.restOf(r.prev).next = r.next
	}
	if r.next == 0 {
		t.lastIdle = r.prev
	} else {
		t.restOf(r.next).prev = r.prev
	}
	t.idles.release(l.rest)
	l.rest = 0
}

// retouch makes an idle lock the youngest one, because somebody asked for it.
func (t *Table) retouch(id lockID) {
	if !t.locks.at(id).idle() {
		return
	}
	l := t.openLock(id)
	t.unlinkIdle(l)
	t.linkIdle(id, l)
}

// occupy is called on an opened lock right before it gets a hold or a waiter,
// and vacate right after it lost one.
func (t *Table) occupy(l *lockRow) {
	if l.idle() {
		t.unlinkIdle(l)
	}
}

func (t *Table) vacate(id lockID, l *lockRow) {
	if l.idle() {
		t.linkIdle(id, l)
	}
}

// collect forgets idle locks, oldest first, a bounded number.
func (t *Table) collect(c *Collect) Outcome {
	if c.Idle < 0 {
		return refuse(FieldIdle, 0)
	}
	if c.Max < 1 {
		return refuse(FieldMax, 1)
	}
	n := 0
	for n < c.Max && t.firstIdle != 0 && Duration(t.now-t.restOf(t.firstIdle).touched) > c.Idle {
		t.forgetLock(t.firstIdle)
		n++
	}
	return Outcome{Count: n}
}

// resize changes a lock's size. Holds stay, whatever they take; waiters that
// want more than there will ever be are refused.
func (t *Table) resize(c *Resize) Outcome {
	if c.Size < 1 || c.Size > maxSize {
		return refuse(FieldSize, maxSize)
	}
	id := t.findLock(c.Name)
	if id == 0 {
		return Outcome{Code: NotFound}
	}
	if c.Size > 1 && t.wantsShared(id) {
		return refuse(FieldMode, 1)
	}
	l := t.openLock(id)
	l.size = c.Size
	t.retouch(id)
	for p := l.firstPlace; p != 0; {
		place := t.places.at(p)
		p = place.next
		if place.permits > c.Size {
			t.endRequest(place.request, Outcome{Code: SizeMismatch, Reason: Resized})
		}
	}
	t.emit(Event{Type: LockResized, Name: l.name, Size: l.size})
	t.touchQueue(id)
	return Outcome{}
}

// wantsShared reports whether a lock is held or waited for in shared mode,
// which only locks of size 1 can be.
func (t *Table) wantsShared(id lockID) bool {
	l := t.locks.at(id)
	if l.shared() > 0 {
		return true
	}
	for p := l.firstPlace; p != 0; p = t.places.at(p).next {
		if t.places.at(p).mode == Shared {
			return true
		}
	}
	return false
}

// linkHold puts a hold at the end of an opened lock's list and takes its permits.
func (t *Table) linkHold(lock lockID, l *lockRow, id holdID, h *holdRow) {
	h.lock, h.prevInLock = lock, l.lastHold
	if l.lastHold == 0 {
		l.firstHold = id
		t.counts.Held++
	} else {
		t.holds.at(l.lastHold).nextInLock = id
	}
	l.lastHold = id
	l.holds++
	l.take(h.mode, h.permits)
	t.joinCrowd(lock, l, id, h)
}

// unlinkHold is its reverse.
func (t *Table) unlinkHold(lock lockID, l *lockRow, id holdID, h *holdRow) {
	t.leaveCrowd(lock, l, id, h)
	if h.prevInLock == 0 {
		l.firstHold = h.nextInLock
	} else {
		t.holds.at(h.prevInLock).nextInLock = h.nextInLock
	}
	if h.nextInLock == 0 {
		l.lastHold = h.prevInLock
	} else {
		t.holds.at(h.nextInLock).prevInLock = h.prevInLock
	}
	l.holds--
	l.give(h.mode, h.permits)
	if l.holds == 0 {
		t.counts.Held--
	}
	t.vacate(lock, l)
}

func (l *lockRow) take(m Mode, permits uint32) {
	if m == Exclusive {
		l.held += permits
	}
}

func (l *lockRow) give(m Mode, permits uint32) {
	if m == Exclusive {
		l.held -= permits
	}
}

// fits reports whether the lock has room for so many permits in this mode, not
// looking at its queue.
func (l *lockRow) fits(m Mode, permits uint32) bool {
	if m == Shared {
		return l.held == 0
	}
	return l.shared() == 0 && uint64(l.held)+uint64(permits) <= uint64(l.size)
}

// crowd finds the holds of a lock that has many. Few are found faster by
// walking the list.
type crowd struct {
	byKey   map[Key]holdID // the newest hold with the key
	byToken map[Token]holdID
	twins   int // holds with the key of a newer one: keys may come from clients
}

// crowdSize is the number of holds from which a lock gets a crowd; it loses it
// below half of that.
const crowdSize = 16

func (t *Table) joinCrowd(lock lockID, l *lockRow, id holdID, h *holdRow) {
	if c := t.crowds[lock]; c != nil {
		c.add(id, h)
		return
	}
	if l.holds < crowdSize {
		return
	}
	c := &crowd{byKey: map[Key]holdID{}, byToken: map[Token]holdID{}}
	for id := l.firstHold; id != 0; id = t.holds.at(id).nextInLock {
		c.add(id, t.holds.at(id))
	}
	t.crowds[lock] = c
}

func (c *crowd) add(id holdID, h *holdRow) {
	if c.byKey[h.key] != 0 {
		c.twins++
	}
	c.byKey[h.key], c.byToken[h.token] = id, id
}

// leaveCrowd is called while the hold is still in the lock's list.
func (t *Table) leaveCrowd(lock lockID, l *lockRow, id holdID, h *holdRow) {
	if l.holds < crowdSize/2 {
		return
	}
	c := t.crowds[lock]
	if c == nil {
		return
	}
	delete(c.byToken, h.token)
	delete(c.byKey, h.key)
	if c.twins > 0 {
		if twin := t.newestByKey(l, h.key, id); twin != 0 {
			c.byKey[h.key] = twin
			c.twins--
		}
	}
	if l.holds-1 < crowdSize/2 {
		delete(t.crowds, lock)
	}
}

// newestByKey walks a lock's holds, but for one, from the newest on.
func (t *Table) newestByKey(l *lockRow, key Key, but holdID) holdID {
	for id := l.lastHold; id != 0; id = t.holds.at(id).prevInLock {
		if id != but && t.holds.at(id).key == key {
			return id
		}
	}
	return 0
}

// holdByKey and holdByToken find a hold, or a delay, of a lock; of several with
// one key the newest.
func (t *Table) holdByKey(lock lockID, key Key) holdID {
	if key == (Key{}) {
		return 0
	}
	if c := t.crowds[lock]; c != nil {
		return c.byKey[key]
	}
	return t.newestByKey(t.locks.at(lock), key, 0)
}

func (t *Table) holdByToken(lock lockID, token Token) holdID {
	if c := t.crowds[lock]; c != nil {
		return c.byToken[token]
	}
	for id := t.locks.at(lock).firstHold; id != 0; id = t.holds.at(id).nextInLock {
		if t.holds.at(id).token == token {
			return id
		}
	}
	return 0
}
