package lock

import "hash/crc32"

// A snapshot is a stream of records:
//
//	+------+--------+---------+
//	| kind | length | payload |   kind: 1 byte, length: uvarint
//	+------+--------+---------+
//
//	head      magic, format, counters, settings, leader, hash of the table
//	member    \
//	session    |
//	slots      |  in any order, each record whole
//	named      |
//	lock       |
//	hold       |
//	request   /
//	end       number of records before it, CRC-32C of all bytes before it
//
// Records name each other by number (lock, session, token), never by place in
// memory. What can be derived (links, counts, heaps) is not in them.

// snapshotMagic begins a snapshot's head.
const snapshotMagic = "LDLMsnap"

// chunkBytes is about how large a chunk of a snapshot is.
const chunkBytes = 64 << 10

// rowsPerAdvance bounds the rows that are looked at between two looks at how
// much has gathered.
const rowsPerAdvance = 1024

// Snapshot is a view of a table as it was when the view began, read in pieces
// while the table goes on. Rows that change before they were read are saved
// first, so that the table is never copied and never stands still. Its methods
// need the same exclusion as the table's.
type Snapshot struct {
	t       *Table
	epoch   uint32
	out     encoder
	scratch encoder
	records uint64
	crc     uint32
	phase   int
	cursor  uint32
	rows    int // that one call of advance looks at
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Snapshot begins a view of the table as it is now. A table has one at a time:
// beginning another one ends it.
func (t *Table) Snapshot() *Snapshot {
	t.snapshotEpoch++
	s := &Snapshot{t: t, epoch: t.snapshotEpoch, cursor: 1, rows: rowsPerAdvance}
	t.snapshot = s
	s.record(recordHead, func(e *encoder) {
		e.text(snapshotMagic)
		e.uint(uint64(t.settings.Format))
		words := t.words()
		e.uint(uint64(len(words)))
		for _, w := range words {
			e.uint(w)
		}
		e.text(t.leader)
		e.hash(t.Hash())
	})
	return s
}

// Close ends the view, which has no more chunks. Reading it to the end ends it too.
func (s *Snapshot) Close() {
	s.leave()
	s.out.b = nil
}

// leave lets go of the table.
func (s *Snapshot) leave() {
	if s.t != nil && s.t.snapshot == s {
		s.t.snapshot = nil
	}
	s.t = nil
}

// Next returns the next chunk; false at the end, and if the view was closed
// before its end. The chunk is good until the next call.
func (s *Snapshot) Next() (chunk []byte, ok bool) {
	for len(s.out.b) < chunkBytes && s.t != nil {
		s.advance()
	}
	if len(s.out.b) == 0 {
		return nil, false
	}
	chunk, s.out.b = s.out.b, nil
	return chunk, true
}

// advance reads a bounded number of rows.
func (s *Snapshot) advance() {
	t := s.t
	if t.snapshot != s {
		s.Close() // another view has taken over: this one cannot be whole
		return
	}
	switch s.phase {
	case 0:
		s.scan(uint32(t.members.end()), func(id uint32) {
			if m := t.members.at(memberID(id)); m.pending(s.epoch) {
				s.saveMember(m)
			}
		})
	case 1:
		s.scan(uint32(t.sessions.end()), s.scanSession)
	case 2:
		s.scan(uint32(t.locks.end()), func(id uint32) {
			if l := t.locks.at(lockID(id)); l.pending(s.epoch) {
				s.saveLock(t, l)
			}
		})
	case 3:
		s.scan(uint32(t.holds.end()), func(id uint32) {
			if t.holds.at(holdID(id)).pending(s.epoch) {
				s.saveHold(t, holdID(id))
			}
		})
	case 4:
		s.scan(uint32(t.requests.end()), func(id uint32) {
			if r := t.requests.at(requestID(id)); r.pending(s.epoch) {
				s.saveRequest(t, r)
			}
		})
	default:
		s.end()
	}
}

// scan visits the next rows of one arena and goes on to the next phase at its end.
func (s *Snapshot) scan(end uint32, visit func(id uint32)) {
	for n := 0; n < s.rows && s.cursor < end; n++ {
		visit(s.cursor)
		s.cursor++
	}
	if s.cursor >= end {
		s.phase, s.cursor = s.phase+1, 1
	}
}

func (s *Snapshot) scanSession(id uint32) {
	t := s.t
	row := t.sessions.at(sessionID(id))
	if !row.live {
		return
	}
	if pending := row.pending(s.epoch); pending && sessionID(id) != t.outside {
		s.saveSession(t, row)
	}
	for i, ch := range row.slots.chunks {
		if ch != nil {
			t.saveSlots(row, uint32(i), ch)
		}
	}
	// The order does not matter: records may come in any.
	for name, n := range row.slots.named {
		t.saveNamed(row, name, n)
	}
}

// pending reports whether a row belongs to the view and was not read yet, and
// counts it as read.
func (m *ledgerMark) pending(epoch uint32) bool {
	if !m.live || m.epoch == epoch {
		return false
	}
	m.epoch = epoch
	return true
}

func (s *Snapshot) end() {
	records, crc := s.records, s.crc
	s.record(recordEnd, func(e *encoder) {
		e.uint(records)
		e.fixed(uint64(crc))
	})
	s.leave()
}

// record appends one record.
func (s *Snapshot) record(kind byte, payload func(*encoder)) {
	s.scratch.b = s.scratch.b[:0]
	payload(&s.scratch)
	from := len(s.out.b)
	s.out.byte(kind)
	s.out.bytes(s.scratch.b)
	s.crc = crc32.Update(s.crc, castagnoli, s.out.b[from:])
	s.records++
}

func (s *Snapshot) saveMember(m *memberRow) {
	s.record(recordMember, func(e *encoder) {
		e.text(m.name)
		e.uint(uint64(m.number))
		e.uint(m.beat)
		e.int(int64(m.deadline))
		e.byte(m.floors)
	})
}

func (s *Snapshot) saveSession(t *Table, row *sessionRow) {
	s.record(recordSession, func(e *encoder) {
		e.uint(uint64(row.number))
		e.secret(&row.secret)
		e.int(int64(row.ttl))
		e.uint(row.attach)
		e.int(int64(row.opened))
		e.int(int64(row.deadline))
		var in Incarnation
		if row.attached() {
			in = t.members.at(row.member).number
		}
		e.uint(uint64(in))
		e.byte(row.floors)
		e.byte(byte(row.onEnd))
		e.flag(row.byCalls)
		e.info(row.info)
		e.bytes(row.value)
	})
}

func (s *Snapshot) saveSlots(n SessionNumber, chunk uint32, ch *slotChunk) {
	s.record(recordSlots, func(e *encoder) {
		e.uint(uint64(n))
		e.uint(uint64(chunk))
		for i := range ch.slots {
			e.slot(&ch.slots[i])
		}
	})
}

func (s *Snapshot) saveNamed(n SessionNumber, name string, sl *namedSlot) {
	s.record(recordNamed, func(e *encoder) {
		e.uint(uint64(n))
		e.text(name)
		e.uint(sl.attempt)
		e.uint(sl.endNo)
		e.slot(&sl.slot)
	})
}

func (e *encoder) slot(s *slot) {
	e.byte(byte(s.state))
	if s.state == slotEmpty {
		return
	}
	e.uint(s.seq)
	e.fixed(s.digest)
	e.uint(uint64(s.token))
	e.byte(byte(s.code))
	e.byte(byte(s.reason))
	e.byte(byte(s.field))
	e.flag(s.ref != 0)
}

func (s *Snapshot) saveLock(t *Table, l *lockRow) {
	s.record(recordLock, func(e *encoder) {
		e.uint(l.number)
		e.text(l.name)
		e.uint(uint64(l.size))
		e.uint(uint64(l.fence))
		e.flag(l.idle())
		if l.idle() {
			r := t.idles.at(l.rest)
			e.int(int64(r.touched))
			e.uint(r.touchNo)
		}
	})
}

func (s *Snapshot) saveHold(t *Table, id holdID) {
	h := t.holds.at(id)
	s.record(recordHold, func(e *encoder) {
		e.uint(t.locks.at(h.lock).number)
		e.uint(uint64(t.holderNumber(h)))
		e.uint(uint64(h.token))
		e.key(&h.key)
		e.int(int64(h.since))
		e.int(int64(h.deadline))
		e.uint(uint64(h.permits))
		e.uint(uint64(h.slot))
		e.byte(byte(h.mode))
		e.byte(byte(h.flags))
		x := t.extras[id]
		e.flag(x != nil)
		if x != nil {
			e.int(int64(x.lockDelay))
			e.text(x.requestID)
			e.note(x.note)
		}
	})
}

func (s *Snapshot) saveRequest(t *Table, r *requestRow) {
	s.record(recordRequest, func(e *encoder) {
		e.uint(r.number)
		e.uint(uint64(t.sessions.at(r.session).number))
		e.uint(uint64(r.slot))
		e.uint(r.seq)
		e.uint(r.attach)
		e.uint(r.attempt)
		e.text(r.id)
		e.key(&r.key)
		e.int(int64(r.since))
		e.int(int64(r.deadline))
		e.int(int64(r.lease))
		e.int(int64(r.delay))
		e.note(r.note)
		e.uint(uint64(r.places))
		for p := r.firstPlace; p != 0; p = t.places.at(p).nextInRequest {
			place := t.places.at(p)
			e.uint(t.locks.at(place.lock).number)
			e.uint(uint64(place.permits))
			e.byte(byte(place.mode))
		}
	})
}
