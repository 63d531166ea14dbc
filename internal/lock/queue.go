package lock

// enqueue makes a request that waits, with one enqueue number in all its queues.
func (t *Table) enqueue(sid sessionID, c *Acquire, digest uint64) Outcome {
	if o, ok := t.roomToWait(sid, c); !ok {
		return o
	}
	t.makeAsked(c)
	id, r := t.newRequest()
	t.request++
	r.number, r.session, r.slot, r.seq, r.id = t.request, sid, c.Slot, c.Seq, c.RequestID
	r.attach, r.attempt, r.key, r.since = c.Attach, c.Attempt, c.Key, t.now
	r.lease, r.delay, r.note = c.Lease, c.LockDelay, c.Note
	if c.Wait != Forever {
		t.setRequestDeadline(id, t.now+Time(c.Wait))
	}
	o := Outcome{Code: Queued}
	var last placeID
	for i := range c.Items {
		lock := t.asked[i]
		o.Ahead = max(o.Ahead, t.locks.at(lock).waiting)
		o.Self = o.Self || t.holdsSome(sid, lock)
		last = t.addPlace(id, r, last, wanted{lock, c.Items[i].mode(), c.Items[i].permits()})
	}
	t.linkRequest(sid, id, r)
	t.counts.Waiters++
	t.remember(sid, &c.Caller, slot{digest: digest, state: slotWaiting, ref: uint32(id)})
	s := t.sessions.at(sid)
	for p := r.firstPlace; p != 0; p = t.places.at(p).nextInRequest {
		place := t.places.at(p)
		t.emit(Event{
			Type: RequestQueued, Name: t.locks.at(place.lock).name, Session: s.number, Info: s.info,
			Attach: s.attach, Mode: place.mode, Permits: place.permits,
		})
	}
	return o
}

// roomToWait checks the limits on queues.
func (t *Table) roomToWait(sid sessionID, c *Acquire) (Outcome, bool) {
	set, s := &t.settings, t.sessions.at(sid)
	if sid != t.outside && int(s.waits) >= set.MaxWaitersPerSession {
		return exceed(FieldWaitersPerSession, set.MaxWaitersPerSession), false
	}
	for _, id := range t.asked {
		if id != 0 && int(t.locks.at(id).waiting) >= set.MaxWaitersPerLock {
			return exceed(FieldWaitersPerLock, set.MaxWaitersPerLock), false
		}
	}
	if o, ok := t.roomForWaiter(s); !ok {
		return o, false
	}
	return t.roomForHolds(sid, c)
}

// addPlace puts a request at the end of one lock's queue, after place last of
// the request.
func (t *Table) addPlace(id requestID, r *requestRow, last placeID, w wanted) placeID {
	t.occupy(t.openLock(w.lock))
	pid, p := t.places.alloc()
	p.lock, p.request, p.mode, p.permits = w.lock, id, w.mode, w.permits
	t.appendPlace(pid)
	if last == 0 {
		r.firstPlace = pid
	} else {
		t.places.at(last).nextInRequest = pid
	}
	r.places++
	t.touchQueue(w.lock)
	return pid
}

// appendPlace links a place at the end of its lock's queue.
func (t *Table) appendPlace(pid placeID) {
	p := t.places.at(pid)
	l := t.locks.at(p.lock)
	p.prev = l.lastPlace
	if l.lastPlace == 0 {
		l.firstPlace = pid
		t.counts.Contended++
	} else {
		t.places.at(l.lastPlace).next = pid
	}
	l.lastPlace = pid
	l.waiting++
}

// leaveQueue takes a place out of its queue.
func (t *Table) leaveQueue(pid placeID) {
	p := t.places.at(pid)
	l := t.openLock(p.lock)
	if p.prev == 0 {
		l.firstPlace = p.next
	} else {
		t.places.at(p.prev).next = p.next
	}
	if p.next == 0 {
		l.lastPlace = p.prev
	} else {
		t.places.at(p.next).prev = p.prev
	}
	l.waiting--
	if l.waiting == 0 {
		t.counts.Contended--
	}
	t.vacate(p.lock, l)
	t.touchQueue(p.lock)
}

func (t *Table) linkRequest(sid sessionID, id requestID, r *requestRow) {
	s := t.sessions.at(sid)
	r.prevInSession = s.lastRequest
	if s.lastRequest == 0 {
		s.firstRequest = id
	} else {
		t.requests.at(s.lastRequest).nextInSession = id
	}
	s.lastRequest = id
	s.waits++
	s.places += r.places
	t.countRequest(r, 1)
}

func (t *Table) unlinkRequest(r *requestRow) {
	s := t.sessions.at(r.session)
	if r.prevInSession == 0 {
		s.firstRequest = r.nextInSession
	} else {
		t.requests.at(r.prevInSession).nextInSession = r.nextInSession
	}
	if r.nextInSession == 0 {
		s.lastRequest = r.prevInSession
	} else {
		t.requests.at(r.nextInSession).prevInSession = r.prevInSession
	}
	s.waits--
	s.places -= r.places
}

// removeRequest takes a request out of everything.
func (t *Table) removeRequest(id requestID) {
	r := t.openRequest(id)
	if r.heap != 0 {
		t.setRequestDeadline(id, 0)
	}
	t.countRequest(r, -1)
	for p := r.firstPlace; p != 0; {
		next := t.places.at(p).nextInRequest
		t.leaveQueue(p)
		t.places.release(p)
		p = next
	}
	t.unlinkRequest(r)
	t.counts.Waiters--
	t.requests.release(id)
}

// endRequest ends a wait without a grant.
func (t *Table) endRequest(id requestID, o Outcome) {
	r := t.requests.at(id)
	o.Waited = Duration(t.now - r.since)
	s := t.sessions.at(r.session)
	for p := r.firstPlace; p != 0; p = t.places.at(p).nextInRequest {
		place := t.places.at(p)
		t.emit(Event{
			Type: WaitEnded, Reason: o.Reason, Name: t.locks.at(place.lock).name, Session: s.number,
			Info: s.info, Attach: s.attach, Mode: place.mode, Permits: place.permits, Waited: o.Waited,
		})
	}
	t.settled(r, o)
	c := r.caller(s.number)
	t.remember(r.session, &c, done(t.digestOf(r), &o))
	t.removeRequest(id)
}

// caller is the name under which a waiting request was asked.
func (r *requestRow) caller(n SessionNumber) Caller {
	return Caller{Session: n, Attach: r.attach, Slot: r.slot, Seq: r.seq, RequestID: r.id, Attempt: r.attempt}
}

// digestOf is the digest that a waiting request has in its slot.
func (t *Table) digestOf(r *requestRow) uint64 {
	return t.slotOf(r.session, r.slot, r.id).digest
}

// settled tells whoever waits that the request is decided.
func (t *Table) settled(r *requestRow, o Outcome) {
	t.result.Settled = append(t.result.Settled, Settled{
		Session: t.sessions.at(r.session).number, Slot: r.slot, Seq: r.seq, RequestID: r.id,
		Attach: r.attach, Attempt: r.attempt, Outcome: o,
	})
}

// waitTimeout is the outcome of a wait that is over; it says who was in the way.
func (t *Table) waitTimeout(id requestID) Outcome {
	r := t.requests.at(id)
	o := Outcome{Code: WaitTimeout, Reason: TimedOut}
	for p := r.firstPlace; p != 0; p = t.places.at(p).nextInRequest {
		place := t.places.at(p)
		if !place.ready {
			o.Blocker, o.Self = t.blocker(r.session, place.lock, place.mode)
			break
		}
	}
	return o
}

// waitOn answers a retry of a request that waits. If it comes over a newer
// connection or attempt, whoever asked before is told that it is superseded.
func (t *Table) waitOn(id requestID, c *Acquire) Outcome {
	r := t.requests.at(id)
	if r.attach != c.Attach || r.attempt != c.Attempt {
		t.settled(r, Outcome{Code: Superseded})
		r = t.openRequest(id)
		r.attach, r.attempt = c.Attach, c.Attempt
	}
	o := Outcome{Code: Queued, Waited: Duration(t.now - r.since)}
	for p := r.firstPlace; p != 0; p = t.places.at(p).nextInRequest {
		o.Self = o.Self || t.holdsSome(r.session, t.places.at(p).lock)
	}
	return o
}

// queueHead is a lock on the work list, by the enqueue number of its head.
type queueHead struct {
	number uint64
	lock   lockID
}

// queueHeads is a heap: none stands behind one with a higher number. The end of a
// session can put a hundred thousand heads into it, so it is not one of package
// heap, which allocates for each.
type queueHeads []queueHead

func (q *queueHeads) push(h queueHead) {
	*q = append(*q, h)
	heads := *q
	for i := len(heads) - 1; i > 0; {
		parent := (i - 1) / 2
		if heads[parent].number <= heads[i].number {
			return
		}
		heads[parent], heads[i] = heads[i], heads[parent]
		i = parent
	}
}

// pop takes out the head with the lowest number.
func (q *queueHeads) pop() queueHead {
	heads := *q
	first, last := heads[0], len(heads)-1
	heads[0] = heads[last]
	*q = heads[:last]
	q.down()
	return first
}

// down moves the first head to where it belongs.
func (q queueHeads) down() {
	for i := 0; ; {
		least := 2*i + 1
		if least >= len(q) {
			return
		}
		if right := least + 1; right < len(q) && q[right].number < q[least].number {
			least = right
		}
		if q[i].number <= q[least].number {
			return
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}

// touchQueue puts a lock on the work list of this step, because its queue or
// its room has changed.
func (t *Table) touchQueue(id lockID) {
	if l := t.locks.at(id); !l.queued {
		l.queued = true
		t.work = append(t.work, id)
	}
}

// serve looks at every touched queue, the one whose head has waited longest
// first, and grants what can be granted.
func (t *Table) serve() {
	for len(t.work) > 0 || len(t.heads) > 0 {
		if len(t.work) == 1 && len(t.heads) == 0 {
			id := t.work[0]
			t.work = t.work[:0]
			t.serveOne(id)
			continue
		}
		t.orderWork()
		if len(t.heads) == 0 {
			break
		}
		head := t.heads.pop()
		if number, ok := t.headNumber(head.lock); ok && number != head.number {
			t.heads.push(queueHead{number, head.lock})
			continue
		}
		t.serveOne(head.lock)
	}
	t.heads = recycle(t.heads)
	t.work = recycle(t.work)
}

// headNumber is the enqueue number of a queue's head.
func (t *Table) headNumber(id lockID) (uint64, bool) {
	l := t.locks.at(id)
	if l.waiting == 0 {
		return 0, false
	}
	return t.requests.at(t.places.at(l.firstPlace).request).number, true
}

// orderWork moves the work list into the heap of heads.
func (t *Table) orderWork() {
	t.expect(len(t.work))
	for _, id := range t.work {
		if number, ok := t.headNumber(id); ok {
			t.heads.push(queueHead{number, id})
		} else {
			t.locks.at(id).queued = false
		}
	}
	t.work = t.work[:0]
}

// serveOne grants what the head of one queue asks for, if everything else that
// it asks for is ready too, and goes on with the next head.
func (t *Table) serveOne(id lockID) {
	l := t.locks.at(id)
	l.queued = false
	if l.waiting == 0 {
		return
	}
	p := t.places.at(l.firstPlace)
	ready := !t.quiet() && l.fits(p.mode, p.permits)
	r := t.requests.at(p.request)
	if ready != p.ready {
		p.ready = ready
		if ready {
			r.ready++
		} else {
			r.ready--
		}
	}
	if r.ready == r.places {
		t.grantRequest(p.request)
	}
}

// grantRequest grants a request whose places are all ready heads.
func (t *Table) grantRequest(id requestID) {
	r := t.requests.at(id)
	g := &t.grant
	*g = grant{
		session: r.session, slot: r.slot, named: true, id: r.id, key: r.key,
		lease: r.lease, delay: r.delay, note: r.note, waited: Duration(t.now - r.since), want: g.want[:0],
	}
	several := r.places > 1
	for p := r.firstPlace; p != 0; p = t.places.at(p).nextInRequest {
		place := t.places.at(p)
		g.want = append(g.want, wanted{place.lock, place.mode, place.permits})
	}
	var asked []lockID
	if several {
		for _, w := range g.want {
			asked = append(asked, w.lock)
		}
	}
	o := t.give(g)
	for _, lock := range asked {
		o.Fences = append(o.Fences, t.locks.at(lock).fence)
	}
	if several {
		o.Fence = o.Fences[0]
	}
	c := r.caller(t.sessions.at(r.session).number)
	t.remember(g.session, &c, slot{digest: t.digestOf(r), state: slotGranted, token: g.token, ref: uint32(g.first)})
	t.settled(r, o)
	t.removeRequest(id)
}
