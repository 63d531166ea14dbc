package lock

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// Restorer makes a table from the chunks of a snapshot. Cut them as you like:
// records are only put aside until the end has been read and the checksum
// agrees, and the table is handed out only if its hash does too.
type Restorer struct {
	t       *Table
	buf     []byte
	crc     uint32
	records uint64
	kept    [recordEnd][][]byte // payloads by kind
	ended   bool
	err     error

	want  Hash
	locks map[uint64]lockID // by number
}

// NewRestorer returns a restorer that has read nothing.
func NewRestorer() *Restorer {
	return &Restorer{t: New(), locks: map[uint64]lockID{}}
}

// maxRecordBytes bounds a record; the longest hold a few texts of bounded length.
const maxRecordBytes = 16 << 20

// Write takes the next piece of the snapshot.
func (r *Restorer) Write(chunk []byte) error {
	if r.err != nil {
		return r.err
	}
	r.buf = append(r.buf, chunk...)
	for r.err == nil && r.next() {
	}
	return r.err
}

// next takes one record from the front of the buffer; false if it is not there
// yet, or bad.
func (r *Restorer) next() bool {
	d := decoder{b: r.buf}
	kind, size := d.byte(), d.uint()
	switch {
	case d.err != nil && len(r.buf) < 16:
		return false
	case d.err != nil:
		r.err = fmt.Errorf("lock: snapshot record %d: %w", r.records, d.err)
		return false
	case size > maxRecordBytes:
		r.err = fmt.Errorf("lock: snapshot record of %d bytes is longer than the limit of %d", size, maxRecordBytes)
		return false
	case size > uint64(len(d.b)):
		return false
	}
	n := len(r.buf) - len(d.b) + int(size)
	r.err = r.keep(kind, d.b[:size], r.buf[:n])
	r.buf = r.buf[n:]
	r.records++
	return r.err == nil
}

// keep puts a record's payload aside; whole is the record with its frame.
func (r *Restorer) keep(kind byte, payload, whole []byte) error {
	switch {
	case r.ended:
		return errors.New("lock: snapshot goes on after its end")
	case (kind == recordHead) != (r.records == 0):
		return errors.New("lock: not a snapshot: it does not begin with the head of one")
	case kind == recordEnd:
		r.ended = true
		return r.checkEnd(payload)
	case kind == 0 || kind > recordEnd:
		return fmt.Errorf("lock: snapshot record %d is of the unknown kind %d: written by a newer version?", r.records, kind)
	}
	r.crc = crc32.Update(r.crc, castagnoli, whole)
	if kind == recordHead {
		return r.parse(kind, payload, r.readHead)
	}
	r.kept[kind] = append(r.kept[kind], slices.Clone(payload))
	return nil
}

func (r *Restorer) checkEnd(payload []byte) error {
	d := decoder{b: payload}
	records, crc := d.uint(), d.fixed()
	switch {
	case d.err != nil:
		return fmt.Errorf("lock: the snapshot's last record: %w", d.err)
	case records != r.records:
		return fmt.Errorf("lock: snapshot has %d records where %d were written", r.records, records)
	case crc != uint64(r.crc):
		return errors.New("lock: the snapshot's checksum does not match: it was damaged")
	}
	return nil
}

// Table returns the restored table.
func (r *Restorer) Table() (*Table, error) {
	if r.err == nil && !r.ended {
		r.err = errors.New("lock: the snapshot ends early")
	}
	if r.err == nil {
		r.err = r.build()
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.t, nil
}

// build makes the rows, each kind after those it refers to.
func (r *Restorer) build() error {
	for _, step := range []struct {
		kind byte
		read func(*decoder)
	}{
		{recordMember, r.readMember},
		{recordSession, r.readSession},
		{recordSlots, r.readSlots},
		{recordNamed, r.readNamed},
		{recordLock, r.readLock},
		{recordHold, r.readHold},
		{recordRequest, r.readRequest},
	} {
		for _, payload := range r.kept[step.kind] {
			if err := r.parse(step.kind, payload, step.read); err != nil {
				return err
			}
		}
		r.kept[step.kind] = nil
	}
	if err := r.link(); err != nil {
		return err
	}
	t := r.t
	t.settle()
	if err := t.Check(); err != nil {
		return fmt.Errorf("lock: the snapshot contradicts itself: %w", err)
	}
	if t.Hash() != r.want {
		return errors.New("lock: the restored table differs from the one that was saved")
	}
	return nil
}

func (r *Restorer) parse(kind byte, payload []byte, read func(*decoder)) error {
	d := decoder{b: payload}
	read(&d)
	if d.err == nil && len(d.b) > 0 {
		d.err = fmt.Errorf("%d bytes too many", len(d.b))
	}
	if d.err != nil {
		return fmt.Errorf("lock: snapshot record of kind %d: %w", kind, d.err)
	}
	return nil
}

func (r *Restorer) readHead(d *decoder) {
	if d.text() != snapshotMagic {
		d.fail(errors.New("not a snapshot of a lock table"))
		return
	}
	if format := d.uint(); format == 0 || format > FormatLevel {
		d.fail(fmt.Errorf("written in format %d, this version reads up to %d: use a newer version", format, FormatLevel))
		return
	}
	words := make([]uint64, len(r.t.words()))
	if n := d.uint(); n != uint64(len(words)) {
		d.fail(fmt.Errorf("head has %d numbers, not %d", n, len(words)))
		return
	}
	for i := range words {
		words[i] = d.uint()
	}
	r.t.setWords(words)
	r.t.leader = d.text()
	r.want = d.hash()
	if r.t.quietUntil < 0 || !r.t.settings.valid() {
		d.fail(errors.New("head has settings that cannot be"))
	}
}

func (r *Restorer) readMember(d *decoder) {
	t := r.t
	id, m := t.newMember()
	m.name, m.number, m.beat = d.text(), Incarnation(d.uint()), d.uint()
	m.deadline, m.floors = Time(d.int()), d.byte()
	if m.number == 0 || t.memberByNumber[m.number] != 0 || t.memberByName[m.name] != 0 || m.deadline <= 0 {
		d.fail(errors.New("a member stands twice, or has no number or deadline"))
		return
	}
	t.memberByNumber[m.number], t.memberByName[m.name] = id, id
	t.counts.Members++
	t.setMemberDeadline(id, m.deadline)
}

func (r *Restorer) readSession(d *decoder) {
	t := r.t
	id, s := t.newSession()
	s.number, s.secret, s.ttl, s.attach = SessionNumber(d.uint()), d.secret(), Duration(d.int()), d.uint()
	s.opened, s.deadline = Time(d.int()), Time(d.int())
	in := Incarnation(d.uint())
	s.floors, s.onEnd, s.byCalls = d.byte(), OnEnd(d.byte()), d.flag()
	s.info, s.value = d.info(), d.bytes()
	s.member = t.memberByNumber[in]
	switch {
	case s.number == 0 || t.sessionByNumber[s.number] != 0 || t.sessionBySecret[s.secret] != 0:
		d.fail(errors.New("a session stands twice or has no number"))
		return
	case s.onEnd > OnEndDisown || s.attached() != (in != 0) || s.attached() != (s.deadline == 0) || s.deadline < 0:
		d.fail(errors.New("a session is in a state that cannot be"))
		return
	}
	t.sessionByNumber[s.number], t.sessionBySecret[s.secret] = id, id
	t.ledger.sum.add(s.hashIdentity())
	t.counts.Sessions++
	t.setSessionDeadline(id, s.deadline)
}

// owner finds the session that a record belongs to; 0 is the row outside sessions.
func (r *Restorer) owner(n SessionNumber) sessionID {
	if n == 0 {
		return r.t.outside
	}
	return r.t.sessionByNumber[n]
}

// maxSlotChunks keeps a snapshot from asking for more slots than can be.
const maxSlotChunks = mostSlots / slotsPerChunk

func (r *Restorer) readSlots(d *decoder) {
	n, chunk := SessionNumber(d.uint()), d.uint()
	id := r.owner(n)
	if id == 0 || chunk >= maxSlotChunks {
		d.fail(errors.New("slots belong to no session"))
		return
	}
	first := uint32(chunk) * slotsPerChunk
	ch, made := r.t.sessions.at(id).slots.chunk(first)
	if !made {
		d.fail(errors.New("slots stand twice"))
		return
	}
	for i := range ch.slots {
		sl := &ch.slots[i]
		*sl = d.slot()
		if sl.state != slotEmpty {
			r.t.ledger.sum.add(hashSlot(n, first+uint32(i), sl))
		}
	}
}

func (r *Restorer) readNamed(d *decoder) {
	n, name := SessionNumber(d.uint()), d.text()
	sl := &namedSlot{attempt: d.uint(), endNo: d.uint(), slot: d.slot()}
	id := r.owner(n)
	if id == 0 || name == "" || r.t.sessions.at(id).slots.named[name] != nil {
		d.fail(errors.New("a request id stands twice, or belongs to no session"))
		return
	}
	st := &r.t.sessions.at(id).slots
	if st.named == nil {
		st.named = map[string]*namedSlot{}
	}
	st.named[name] = sl
	if sl.endNo != 0 {
		st.ended = append(st.ended, name)
	}
	r.t.ledger.sum.add(hashNamed(n, name, sl))
}

// slot reads a slot. Where it refers to something, ref is dangling until the
// hold or request is read.
func (d *decoder) slot() slot {
	s := slot{state: slotState(d.byte())}
	if s.state == slotEmpty {
		return s
	}
	s.seq, s.digest, s.token = d.uint(), d.fixed(), Token(d.uint())
	s.code, s.reason, s.field = Code(d.byte()), EndReason(d.byte()), Field(d.byte())
	if d.flag() {
		s.ref = dangling
	}
	if refers := s.state == slotWaiting || s.state == slotGranted; s.ref != 0 && !refers || s.ref == 0 && s.state == slotWaiting {
		d.fail(errors.New("a slot refers to what cannot be, or waits for nothing"))
	}
	if s.state > slotBarred || s.code >= numCodes || s.reason >= numEndReasons || s.field >= numFields {
		d.fail(errors.New("a slot is in a state that cannot be"))
	}
	return s
}

// dangling is a reference that is not resolved yet.
const dangling = 1<<32 - 1

func (r *Restorer) readLock(d *decoder) {
	t := r.t
	id, l := t.newLock()
	l.number, l.name, l.size, l.fence = d.uint(), d.text(), d.uint32(), Token(d.uint())
	if d.flag() {
		l.touched, l.touchNo = Time(d.int()), d.uint()
	}
	if l.name == "" || t.lockByName[l.name] != 0 || r.locks[l.number] != 0 || l.size == 0 || l.size > maxSize {
		d.fail(errors.New("a lock stands twice, or has a name or size that cannot be"))
		return
	}
	r.locks[l.number], t.lockByName[l.name] = id, id
	t.ledger.sum.add(l.hashName())
	t.counts.Locks++
}

func (r *Restorer) readHold(d *decoder) {
	id, h := r.t.newHold()
	h.lock, h.session = r.locks[d.uint()], r.owner(SessionNumber(d.uint()))
	h.token, h.key = Token(d.uint()), d.key()
	h.since, h.deadline = Time(d.int()), Time(d.int())
	h.permits, h.slot, h.mode, h.flags = d.uint32(), d.uint32(), Mode(d.byte()), holdFlags(d.byte())
	if d.flag() {
		r.t.extras[id] = &holdExtra{lockDelay: Duration(d.int()), requestID: d.text(), note: d.note()}
	}
	if h.lock == 0 || h.session == 0 || h.permits == 0 || h.permits > maxSize || h.mode > Shared ||
		h.token == 0 || h.deadline < 0 || h.is(holdDelay) && h.deadline == 0 {
		d.fail(errors.New("a hold of no lock or session, or in a state that cannot be"))
	}
}

func (r *Restorer) readRequest(d *decoder) {
	t := r.t
	id, q := t.newRequest()
	q.number = d.uint()
	q.session = r.owner(SessionNumber(d.uint()))
	q.slot, q.seq, q.attach, q.attempt, q.id = d.uint32(), d.uint(), d.uint(), d.uint(), d.text()
	q.key, q.since, q.deadline = d.key(), Time(d.int()), Time(d.int())
	q.lease, q.delay, q.note = Duration(d.int()), Duration(d.int()), d.note()
	n := d.uint()
	if q.session == 0 || n == 0 || n > uint64(len(d.b)) || q.deadline < 0 {
		d.fail(errors.New("a request of no session, or in a state that cannot be"))
		return
	}
	var last placeID
	for range n {
		pid, p := t.places.alloc()
		p.request, p.lock, p.permits, p.mode = id, r.locks[d.uint()], d.uint32(), Mode(d.byte())
		if p.lock == 0 || p.permits == 0 || p.mode > Shared {
			d.fail(errors.New("a request waits for no lock, or for nothing of it"))
			return
		}
		if last == 0 {
			q.firstPlace = pid
		} else {
			t.places.at(last).nextInRequest = pid
		}
		q.places++
		last = pid
	}
}

// setWords is the inverse of words.
func (h *head) setWords(w []uint64) {
	next := func() uint64 { v := w[0]; w = w[1:]; return v }
	h.now, h.token, h.session = Time(next()), Token(next()), SessionNumber(next())
	h.attach, h.incarnation = next(), Incarnation(next())
	h.request, h.lock, h.touch, h.event = next(), next(), next(), next()
	h.fenceFloor, h.quietUntil, h.term = Token(next()), Time(next()), next()
	s := &h.settings
	s.Format = uint32(next())
	for _, v := range s.counts() {
		*v = int(next())
	}
	for _, v := range s.spans() {
		*v = Duration(next())
	}
}

// link puts the rows into their lists, in the orders that the numbers give.
func (r *Restorer) link() error {
	t := r.t
	holds := liveIDs(&t.holds, func(h *holdRow) bool { return h.live })
	slices.SortFunc(holds, func(a, b holdID) int {
		x, y := t.holds.at(a), t.holds.at(b)
		return cmp.Or(cmp.Compare(x.token, y.token),
			cmp.Compare(t.locks.at(x.lock).number, t.locks.at(y.lock).number))
	})
	r.linkHolds(holds)
	requests := liveIDs(&t.requests, func(q *requestRow) bool { return q.live })
	slices.SortFunc(requests, func(a, b requestID) int {
		return cmp.Compare(t.requests.at(a).number, t.requests.at(b).number)
	})
	for _, id := range requests {
		if err := r.linkWaiting(id); err != nil {
			return err
		}
	}
	if err := r.linkSessions(); err != nil {
		return err
	}
	r.linkIdle()
	if t.quietUntil > t.now {
		t.schedule(deadline{at: t.quietUntil, kind: quietDeadline}, 0)
	}
	return r.judgeHeads()
}

func liveIDs[ID ~uint32, T any](a *arena[ID, T], live func(*T) bool) []ID {
	var ids []ID
	for id := ID(1); id < a.end(); id++ {
		if live(a.at(id)) {
			ids = append(ids, id)
		}
	}
	return ids
}

// linkHolds links holds that are in the order of tokens; those of one grant
// follow each other.
func (r *Restorer) linkHolds(holds []holdID) {
	t := r.t
	for i, id := range holds {
		h := t.holds.at(id)
		h.sibling = id
		if h.is(holdDelay) {
			t.counts.Delays++
			h.session = 0
		} else {
			t.counts.Holds++
			t.linkToSession(h.session, id, h)
		}
		if i > 0 && !h.is(holdDelay) {
			r.joinRing(holds[:i], id, h)
		}
		t.linkHold(h.lock, t.locks.at(h.lock), id, h)
		if h.deadline != 0 {
			t.setHoldDeadline(id, h.deadline)
		}
		if e := t.extras[id]; e != nil {
			t.ledger.sum.add(t.hashExtra(h, e))
		}
		r.linkSlot(id, h)
	}
}

// joinRing links a hold with the holds of the same grant that stand before it.
// Delays among them have left the ring.
func (r *Restorer) joinRing(before []holdID, id holdID, h *holdRow) {
	for i := len(before) - 1; i >= 0; i-- {
		other := r.t.holds.at(before[i])
		if other.token != h.token {
			return
		}
		if !other.is(holdDelay) {
			h.sibling, other.sibling = other.sibling, id
			return
		}
	}
}

// linkSlot resolves the reference of the slot that a hold was granted to: of the
// holds of a grant, the first refers to it.
func (r *Restorer) linkSlot(id holdID, h *holdRow) {
	if h.session == 0 || !h.is(holdNamed) {
		return
	}
	name := ""
	if e := r.t.extras[id]; e != nil {
		name = e.requestID
	}
	sl := r.t.slotOf(h.session, h.slot, name)
	if sl != nil && sl.state == slotGranted && sl.token == h.token && sl.ref == dangling {
		sl.ref = uint32(id)
	}
}

// linkWaiting puts a request into its queues and finds its slot.
func (r *Restorer) linkWaiting(id requestID) error {
	t := r.t
	q := t.requests.at(id)
	sl := r.t.slotOf(q.session, q.slot, q.id)
	if sl == nil || sl.state != slotWaiting || sl.ref != dangling {
		return fmt.Errorf("lock: snapshot: request %d waits without a slot", q.number)
	}
	sl.ref = uint32(id)
	for pid := q.firstPlace; pid != 0; pid = t.places.at(pid).nextInRequest {
		t.appendPlace(pid)
	}
	t.linkRequest(q.session, id, q)
	t.counts.Waiters++
	if q.deadline != 0 {
		t.setRequestDeadline(id, q.deadline)
	}
	return nil
}

// linkSessions attaches sessions to their members in the order of attach
// numbers, and sorts ended request ids. All references of slots are resolved by now.
func (r *Restorer) linkSessions() error {
	t := r.t
	ids := liveIDs(&t.sessions, func(s *sessionRow) bool { return s.live })
	slices.SortFunc(ids, func(a, b sessionID) int {
		return cmp.Compare(t.sessions.at(a).attach, t.sessions.at(b).attach)
	})
	for _, id := range ids {
		s := t.sessions.at(id)
		slices.SortFunc(s.slots.ended, func(a, b string) int {
			return cmp.Compare(s.slots.named[a].endNo, s.slots.named[b].endNo)
		})
		if s.attached() {
			t.linkToMember(id, s, s.member)
		}
		if s.slots.dangle() {
			return fmt.Errorf("lock: snapshot: a slot of session %d refers to nothing", s.number)
		}
	}
	return nil
}

// dangle reports whether a reference is not resolved.
func (st *slotTable) dangle() bool {
	for _, ch := range st.chunks {
		if ch != nil && slices.ContainsFunc(ch.slots[:], func(sl slot) bool { return sl.ref == dangling }) {
			return true
		}
	}
	// The order does not matter: one that dangles is enough.
	for _, n := range st.named {
		if n.ref == dangling {
			return true
		}
	}
	return false
}

func (r *Restorer) linkIdle() {
	t := r.t
	ids := liveIDs(&t.locks, func(l *lockRow) bool { return l.live && l.idle() })
	slices.SortFunc(ids, func(a, b lockID) int {
		return cmp.Compare(t.locks.at(a).touchNo, t.locks.at(b).touchNo)
	})
	for _, id := range ids {
		t.appendIdle(id, t.locks.at(id))
	}
}

// judgeHeads finds out which heads are ready. None can be granted: it would
// have been before it was saved.
func (r *Restorer) judgeHeads() error {
	t := r.t
	for id := lockID(1); id < t.locks.end(); id++ {
		l := t.locks.at(id)
		if !l.live || l.waiting == 0 {
			continue
		}
		p := t.places.at(l.firstPlace)
		if p.ready = !t.quiet() && l.fits(p.mode, p.permits); p.ready {
			q := t.requests.at(p.request)
			if q.ready++; q.ready == q.places {
				return fmt.Errorf("lock: snapshot: request %d waits for what is free", q.number)
			}
		}
	}
	return nil
}
