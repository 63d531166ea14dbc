package lock

import (
	"errors"
	"fmt"
)

// ErrNewerFormat is wrapped by errors of a Restorer for a snapshot in a format that this
// version does not know.
var ErrNewerFormat = errors.New("use a newer version")

// What a Restorer makes of each kind of record. Nothing in a record is believed:
// what cannot be is an error, never a panic.

func (r *Restorer) readHead(d *decoder) {
	if d.text() != snapshotMagic {
		d.fail(errors.New("not a snapshot of a lock table"))
		return
	}
	format := d.uint()
	switch {
	case format == 0:
		d.fail(errors.New("head has no format"))
		return
	case format > FormatLevel:
		d.fail(fmt.Errorf("written in format %d, this version reads up to %d: %w", format, FormatLevel, ErrNewerFormat))
		return
	}
	r.t.settings.Format = uint32(format)
	words := make([]uint64, len(r.t.words()))
	if n := d.uint(); n != uint64(len(words)) {
		d.fail(fmt.Errorf("head has %d numbers, not %d", n, len(words)))
		return
	}
	for i := range words {
		words[i] = d.uint()
	}
	if r.t.setWords(words); uint64(r.t.settings.Format) != format {
		d.fail(errors.New("head has settings of another format than its own"))
		return
	}
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
	t.countSession(s)
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
		rest, r := t.idles.alloc()
		l.rest, r.touched, r.touchNo = rest, Time(d.int()), d.uint()
	}
	if l.name == "" || t.findLock(l.name) != 0 || r.locks[l.number] != 0 || l.size == 0 || l.size > maxSize {
		d.fail(errors.New("a lock stands twice, or has a name or size that cannot be"))
		return
	}
	r.locks[l.number] = id
	t.names.add(l.name, id)
	t.ledger.sum.add(l.hashName())
	t.counts.Locks++
	t.counts.Bytes += int64(len(l.name))
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
	if s.MaxWaiters, s.MaxBytes = 0, 0; s.Format >= LimitsFormat && len(w) > 0 {
		s.MaxWaiters, s.MaxBytes = int(next()), int64(next())
	}
}
