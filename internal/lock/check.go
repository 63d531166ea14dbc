package lock

import "fmt"

// Check verifies every invariant of the table and returns the first that does
// not hold. It walks everything: it is for tests, for restored snapshots and
// for doubt, not for every day.
func (t *Table) Check() error {
	c := checker{t: t, tallies: map[string]tally{}}
	for _, step := range []func(){
		c.scratch, c.locks, c.holds, c.requests, c.sessions, c.members, c.idle, c.deadlines, c.sums,
	} {
		if step(); c.err != nil {
			return c.err
		}
	}
	return nil
}

type checker struct {
	t    *Table
	err  error
	seen Counts
	// tallies by principal, and the bytes of the names of idle locks.
	tallies map[string]tally
	idles   int64
	sum     Hash
}

// want notes a broken invariant, the first one.
func (c *checker) want(ok bool, format string, args ...any) {
	if !ok && c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *checker) scratch() {
	t := c.t
	c.want(len(t.work) == 0 && len(t.heads) == 0 && len(t.due) == 0 && len(t.asked) == 0, "a step was left unfinished")
	c.want(len(t.ledger.locks)+len(t.ledger.holds)+len(t.ledger.requests)+
		len(t.ledger.sessions)+len(t.ledger.members) == 0, "the ledger was not settled")
}

func (c *checker) locks() {
	t := c.t
	for id := lockID(1); id < t.locks.end(); id++ {
		l := t.locks.at(id)
		if !l.live {
			continue
		}
		c.seen.Locks++
		c.sum.add(t.hashLock(l))
		c.sum.add(l.hashName())
		c.seen.Bytes += int64(len(l.name))
		if l.idle() {
			c.idles += int64(len(l.name))
		}
		c.want(!l.dirty && !l.queued, "lock %q is dirty or queued between steps", l.name)
		c.want(t.findLock(l.name) == id, "lock %q is not found by its name", l.name)
		c.want(l.number <= t.lock && l.fence <= t.token, "lock %q has a number or fence from the future", l.name)
		c.want(l.size >= 1 && l.size <= maxSize, "lock %q has size %d", l.name, l.size)
		c.lockHolds(id, l)
		c.lockQueue(id, l)
	}
	c.want(t.names.count == c.seen.Locks, "%d names for %d locks", t.names.count, c.seen.Locks)
}

func (c *checker) lockHolds(id lockID, l *lockRow) {
	t := c.t
	var held, shared, n uint32
	var prev holdID
	var last Token
	for hid := l.firstHold; hid != 0; hid = t.holds.at(hid).nextInLock {
		h := t.holds.at(hid)
		c.want(h.live && h.lock == id && h.prevInLock == prev, "lock %q: its list of holds is torn", l.name)
		c.want(h.token > last, "lock %q: holds out of order", l.name)
		if h.mode == Shared {
			shared += h.permits
		} else {
			held += h.permits
		}
		if cr := t.crowds[id]; cr != nil {
			c.inCrowd(cr, hid, l)
		}
		prev, last = hid, h.token
		n++
		if c.err != nil {
			return
		}
	}
	c.want(l.lastHold == prev && l.holds == n, "lock %q counts %d holds, has %d", l.name, l.holds, n)
	c.want(held == l.held && shared == l.shared(), "lock %q: %d held and %d shared, sums are %d and %d", l.name, l.held, l.shared(), held, shared)
	c.want(shared == 0 || l.size == 1 && held == 0, "lock %q is shared and exclusive at once", l.name)
	if n > 0 {
		c.seen.Held++
	}
	if cr := t.crowds[id]; cr != nil {
		c.want(len(cr.byToken) == int(n) && len(cr.byKey)+cr.twins == int(n) && n >= crowdSize/2, "lock %q has a crowd of %d for %d holds", l.name, len(cr.byToken), n)
	} else {
		c.want(n < crowdSize, "lock %q has %d holds and no crowd", l.name, n)
	}
}

// inCrowd wants a hold to be found by its token, and by its key unless a newer
// one has the same key.
func (c *checker) inCrowd(cr *crowd, id holdID, l *lockRow) {
	h := c.t.holds.at(id)
	newest := cr.byKey[h.key]
	c.want(cr.byToken[h.token] == id && newest != 0, "lock %q: hold %d is missing in the crowd", l.name, h.token)
	if newest != 0 {
		n := c.t.holds.at(newest)
		c.want(n.live && n.lock == h.lock && n.key == h.key && n.token >= h.token,
			"lock %q: hold %d stands in the crowd for another", l.name, n.token)
	}
}

func (c *checker) lockQueue(id lockID, l *lockRow) {
	t := c.t
	var prev placeID
	var last uint64
	var n uint32
	for pid := l.firstPlace; pid != 0; pid = t.places.at(pid).next {
		p := t.places.at(pid)
		r := t.requests.at(p.request)
		c.want(p.lock == id && r.live && p.prev == prev, "lock %q: its queue is torn", l.name)
		c.want(r.number > last, "lock %q: queue out of order", l.name)
		want := pid == l.firstPlace && !t.quiet() && l.fits(p.mode, p.permits)
		c.want(p.ready == want, "lock %q: place of request %d ready=%v, want %v", l.name, r.number, p.ready, want)
		c.want(p.permits <= l.size, "lock %q: request %d can never be granted", l.name, r.number)
		prev, last = pid, r.number
		n++
		if c.err != nil {
			return
		}
	}
	c.want(l.lastPlace == prev && l.waiting == n, "lock %q counts %d waiters, has %d", l.name, l.waiting, n)
	if n > 0 {
		c.seen.Contended++
	}
}

func (c *checker) holds() {
	t := c.t
	for id := holdID(1); id < t.holds.end(); id++ {
		h := t.holds.at(id)
		if !h.live {
			c.want(t.extras[id] == nil, "a freed hold has extras")
			continue
		}
		c.sum.add(t.hashHold(h))
		if e := t.extras[id]; e != nil {
			c.sum.add(t.hashExtra(h, e))
			if h.session != 0 {
				c.seen.Bytes += e.bytes()
			}
		}
		c.want(!h.dirty, "hold %d is dirty between steps", h.token)
		c.want(h.token <= t.token && h.token > 0, "hold %d has a token from the future", h.token)
		c.want((h.heap != 0) == (h.deadline != 0), "hold %d: deadline %d, place %d", h.token, h.deadline, h.heap)
		c.want((h.session == 0) == h.is(holdDelay), "hold %d belongs to a session and is a delay, or neither", h.token)
		c.want(!h.is(holdRevoked) || h.deadline != 0, "hold %d is revoked for ever", h.token)
		sib := t.holds.at(h.sibling)
		c.want(sib.live && sib.token == h.token && (h.sibling == id || !h.is(holdDelay)), "hold %d: its ring is torn", h.token)
		if h.is(holdDelay) {
			c.seen.Delays++
		} else {
			c.seen.Holds++
		}
	}
}

func (c *checker) requests() {
	t := c.t
	places := 0
	for id := requestID(1); id < t.requests.end(); id++ {
		r := t.requests.at(id)
		if !r.live {
			continue
		}
		c.seen.Waiters++
		c.sum.add(t.hashRequest(r))
		c.seen.Bytes += r.bytes()
		c.want(!r.dirty, "request %d is dirty between steps", r.number)
		c.want(r.number <= t.request, "request %d is from the future", r.number)
		c.want((r.heap != 0) == (r.deadline != 0), "request %d: deadline %d, place %d", r.number, r.deadline, r.heap)
		var n, ready uint32
		for pid := r.firstPlace; pid != 0; pid = t.places.at(pid).nextInRequest {
			p := t.places.at(pid)
			c.want(p.request == id, "request %d: its places are torn", r.number)
			if p.ready {
				ready++
			}
			n++
		}
		places += int(n)
		c.want(n == r.places && n > 0 && ready == r.ready, "request %d: %d places, %d ready; counted %d, %d", r.number, r.places, r.ready, n, ready)
		c.want(ready < n, "request %d could be granted and waits", r.number)
		sl := t.slotOf(r.session, r.slot, r.id)
		c.want(sl != nil && sl.state == slotWaiting && sl.ref == uint32(id), "request %d has no slot", r.number)
	}
	c.want(places == t.places.len(), "%d places of requests, %d in use", places, t.places.len())
}

func (c *checker) sessions() {
	t := c.t
	for id := sessionID(1); id < t.sessions.end(); id++ {
		s := t.sessions.at(id)
		if !s.live {
			continue
		}
		c.sum.add(t.hashSession(s))
		c.sum.add(s.hashIdentity())
		c.want(!s.dirty, "session %d is dirty between steps", s.number)
		c.sessionLists(id, s)
		c.sessionSlots(s)
		if id == t.outside {
			continue
		}
		c.seen.Sessions++
		c.tally(s)
		if s.attached() {
			c.seen.Attached++
		}
		c.want(t.sessionByNumber[s.number] == id && t.sessionBySecret[s.secret] == id, "session %d is not found", s.number)
		c.want(s.number <= t.session && s.attach <= t.attach, "session %d is from the future", s.number)
		c.want(s.attached() != (s.deadline != 0), "session %d: attached=%v, deadline %d", s.number, s.attached(), s.deadline)
		c.want((s.heap != 0) == (s.deadline != 0), "session %d: deadline %d, place %d", s.number, s.deadline, s.heap)
	}
	c.want(len(t.sessionByNumber) == c.seen.Sessions && len(t.sessionBySecret) == c.seen.Sessions, "sessions left in an index")
}

// tally counts what a session has into the totals, and to its principal.
func (c *checker) tally(s *sessionRow) {
	own := s.info.bytes() + int64(len(s.value))
	c.seen.Bytes += own
	name := s.info.principal()
	c.want((s.tally != nil) == (name != ""), "session %d is counted to a principal and has none, or the other way round", s.number)
	if s.tally == nil || c.err != nil {
		return
	}
	c.want(s.tally == c.t.tallies[name], "session %d is counted to another principal than %q", s.number, name)
	y, share := c.tallies[name], c.t.share(s)
	y.take(&share, 1)
	y.sessions++
	y.bytes += own
	c.tallies[name] = y
}

func (c *checker) sessionLists(id sessionID, s *sessionRow) {
	t := c.t
	var holds, waits, places uint32
	var prev holdID
	for hid := s.firstHold; hid != 0 && c.err == nil; hid = t.holds.at(hid).nextInSession {
		h := t.holds.at(hid)
		c.want(h.live && h.session == id && h.prevInSession == prev, "session %d: its list of holds is torn", s.number)
		prev = hid
		holds++
	}
	c.want(s.lastHold == prev && s.holds == holds, "session %d counts %d holds, has %d", s.number, s.holds, holds)
	var before requestID
	for rid := s.firstRequest; rid != 0 && c.err == nil; rid = t.requests.at(rid).nextInSession {
		r := t.requests.at(rid)
		c.want(r.live && r.session == id && r.prevInSession == before, "session %d: its list of requests is torn", s.number)
		before = rid
		waits++
		places += r.places
	}
	c.want(s.lastRequest == before && s.waits == waits && s.places == places, "session %d counts %d waits, has %d", s.number, s.waits, waits)
}

func (c *checker) sessionSlots(s *sessionRow) {
	for i, ch := range s.slots.chunks {
		if ch == nil {
			continue
		}
		for j := range ch.slots {
			if sl := &ch.slots[j]; sl.state != slotEmpty {
				n := uint32(i*slotsPerChunk + j)
				c.sum.add(hashSlot(s.number, n, sl))
				c.slot(s, sl, n, "")
			}
		}
	}
	ended := 0
	// The order does not matter: sums commute, and one complaint is as good as another.
	for name, n := range s.slots.named {
		c.sum.add(hashNamed(s.number, name, n))
		c.slot(s, &n.slot, 0, name)
		c.want(n.over() == (n.endNo != 0), "session %d: request %q over=%v, end %d", s.number, name, n.over(), n.endNo)
		if n.endNo != 0 {
			ended++
		}
	}
	c.want(len(s.slots.ended) == ended, "session %d: %d request ids listed as ended, %d are", s.number, len(s.slots.ended), ended)
}

func (c *checker) slot(s *sessionRow, sl *slot, n uint32, name string) {
	t := c.t
	switch sl.state {
	case slotWaiting:
		c.want(sl.ref != 0, "session %d: slot %d%s waits for nothing", s.number, n, name)
		if sl.ref == 0 {
			return
		}
		r := t.requests.at(requestID(sl.ref))
		c.want(r.live && (r.slot == n || name != "") && r.id == name && t.sessions.at(r.session) == s, "session %d: slot %d%s waits for no request", s.number, n, name)
	case slotGranted:
		if sl.ref != 0 {
			h := t.holds.at(holdID(sl.ref))
			c.want(h.live && h.token == sl.token && !h.is(holdDelay) && t.sessions.at(h.session) == s,
				"session %d: slot %d%s refers to no hold of its own", s.number, n, name)
		}
	case slotEmpty, slotDone, slotBarred: // refer to nothing
	}
}

func (c *checker) members() {
	t := c.t
	for id := memberID(1); id < t.members.end(); id++ {
		m := t.members.at(id)
		if !m.live {
			continue
		}
		c.seen.Members++
		c.sum.add(m.hash())
		c.want(!m.dirty && m.heap != 0, "member %q is dirty, or without a deadline", m.name)
		c.want(t.memberByName[m.name] == id && t.memberByNumber[m.number] == id, "member %q is not found", m.name)
		var n uint32
		var prev sessionID
		var last uint64
		for sid := m.first; sid != 0 && c.err == nil; sid = t.sessions.at(sid).nextInMember {
			s := t.sessions.at(sid)
			c.want(s.live && s.member == id && s.prevInMember == prev && s.attach > last, "member %q: its list of sessions is torn", m.name)
			prev, last = sid, s.attach
			n++
		}
		c.want(m.last == prev && m.sessionCount == n, "member %q counts %d sessions, has %d", m.name, m.sessionCount, n)
	}
	c.want(len(t.memberByName) == c.seen.Members && len(t.memberByNumber) == c.seen.Members, "members left in an index")
}

func (c *checker) idle() {
	t := c.t
	var prev lockID
	var last uint64
	n := 0
	for id := t.firstIdle; id != 0 && c.err == nil; id = t.restOf(id).next {
		l := t.locks.at(id)
		c.want(l.live && l.idle() && l.rest != 0, "a lock in the list of idle ones is not idle: %q", l.name)
		r := t.idles.at(l.rest)
		c.want(r.prev == prev && r.touchNo > last, "the list of idle locks is torn at %q", l.name)
		prev, last = id, r.touchNo
		n++
	}
	c.want(t.lastIdle == prev, "the list of idle locks has a wrong end")
	c.want(t.idles.len() == n, "%d idle rows for %d idle locks", t.idles.len(), n)
	for id := lockID(1); id < t.locks.end(); id++ {
		if l := t.locks.at(id); l.live && l.idle() {
			n--
		}
	}
	c.want(n == 0, "the list of idle locks has %d too many", n)
}

func (c *checker) deadlines() {
	q := &c.t.deadlines
	for i := range q.heap {
		if i > 0 {
			c.want(!q.heap[i].before(&q.heap[(i-1)/2]), "the deadlines are out of order at %d", i)
		}
		c.want(q.heap[i].at > c.t.now, "a deadline of kind %d has passed unnoticed", q.heap[i].kind)
	}
}

func (c *checker) sums() {
	t := c.t
	c.want(len(c.tallies) == len(t.tallies), "%d principals are counted to, %d have sessions", len(t.tallies), len(c.tallies))
	// The order does not matter: one complaint is as good as another.
	for name, y := range c.tallies {
		c.want(*t.tallies[name] == y, "principal %q is counted to have %+v, has %+v", name, *t.tallies[name], y)
	}
	c.want(c.idles == t.idleBytes, "names of idle locks have %d bytes, not %d", c.idles, t.idleBytes)
	c.want(c.seen == t.counts, "counts are %+v, should be %+v", t.counts, c.seen)
	c.want(c.sum == t.ledger.sum, "the incremental hash differs from the one made anew")
}
