package lock

// The ledger keeps the hash of the table, and what a running snapshot still
// needs of the past. Its rule: whoever changes a row opens it first. Opening
// takes the row's hash out of the sum and saves the row for the snapshot, once;
// settle, at the end of each Apply, puts the hashes back in.
//
// Links, counts and places in heaps are derived from the rest and not hashed.

// Kinds of records, as the hash and the snapshot number them.
const (
	recordHead byte = 1 + iota
	recordSettings
	recordMember
	recordSession
	recordSlots
	recordNamed
	recordLock
	recordHold
	recordRequest
	recordEnd

	hashLockName  = 65
	hashHoldExtra = 66
	hashSessionID = 67
	hashValue     = 68
)

type ledger struct {
	sum      Hash // without the dirty rows
	locks    []lockID
	holds    []holdID
	requests []requestID
	sessions []sessionID
	members  []memberID
}

// open marks a row dirty; it reports whether the row's present hash has to be
// taken out, that is, whether it was clean.
func (m *ledgerMark) open() bool {
	if m.dirty {
		return false
	}
	m.dirty = true
	return true
}

func (t *Table) openLock(id lockID) *lockRow {
	l := t.locks.at(id)
	if l.open() {
		t.ledger.sum.sub(t.hashLock(l))
		t.ledger.locks = append(t.ledger.locks, id)
		if t.saving(l.epoch) {
			l.epoch = t.snapshot.epoch
			t.snapshot.saveLock(t, l)
		}
	}
	return l
}

func (t *Table) openHold(id holdID) *holdRow {
	h := t.holds.at(id)
	if h.open() {
		t.ledger.sum.sub(t.hashHold(h))
		t.ledger.holds = append(t.ledger.holds, id)
		if t.saving(h.epoch) {
			h.epoch = t.snapshot.epoch
			t.snapshot.saveHold(t, id)
		}
	}
	return h
}

func (t *Table) openRequest(id requestID) *requestRow {
	r := t.requests.at(id)
	if r.open() {
		t.ledger.sum.sub(t.hashRequest(r))
		t.ledger.requests = append(t.ledger.requests, id)
		if t.saving(r.epoch) {
			r.epoch = t.snapshot.epoch
			t.snapshot.saveRequest(t, r)
		}
	}
	return r
}

func (t *Table) openSession(id sessionID) *sessionRow {
	s := t.sessions.at(id)
	if s.open() {
		t.ledger.sum.sub(t.hashSession(s))
		t.ledger.sessions = append(t.ledger.sessions, id)
		if t.saving(s.epoch) {
			s.epoch = t.snapshot.epoch
			t.snapshot.saveSession(t, s)
		}
	}
	return s
}

func (t *Table) openMember(id memberID) *memberRow {
	m := t.members.at(id)
	if m.open() {
		t.ledger.sum.sub(m.hash())
		t.ledger.members = append(t.ledger.members, id)
		if t.saving(m.epoch) {
			m.epoch = t.snapshot.epoch
			t.snapshot.saveMember(m)
		}
	}
	return m
}

// The births: a new row is dirty from the start, with nothing to take out, and
// not part of a snapshot that runs.

func (t *Table) newLock() (lockID, *lockRow) {
	id, l := t.locks.alloc()
	l.ledgerMark = t.born()
	t.ledger.locks = append(t.ledger.locks, id)
	return id, l
}

func (t *Table) newHold() (holdID, *holdRow) {
	id, h := t.holds.alloc()
	h.ledgerMark = t.born()
	t.ledger.holds = append(t.ledger.holds, id)
	return id, h
}

func (t *Table) newRequest() (requestID, *requestRow) {
	id, r := t.requests.alloc()
	r.ledgerMark = t.born()
	t.ledger.requests = append(t.ledger.requests, id)
	return id, r
}

func (t *Table) newSession() (sessionID, *sessionRow) {
	id, s := t.sessions.alloc()
	s.ledgerMark = t.born()
	t.ledger.sessions = append(t.ledger.sessions, id)
	return id, s
}

func (t *Table) newMember() (memberID, *memberRow) {
	id, m := t.members.alloc()
	m.ledgerMark = t.born()
	t.ledger.members = append(t.ledger.members, id)
	return id, m
}

func (t *Table) born() ledgerMark {
	return ledgerMark{epoch: t.snapshotEpoch, live: true, dirty: true}
}

// saving reports whether a running snapshot has yet to see a record that was
// last saved for the given epoch.
func (t *Table) saving(epoch uint32) bool {
	return t.snapshot != nil && epoch != t.snapshotEpoch
}

// settle puts the hashes of the dirty rows back into the sum. A row that was
// freed is not live any more; one whose id was used again is listed twice and
// clean the second time.
func (t *Table) settle() {
	g := &t.ledger
	for _, id := range g.locks {
		if l := t.locks.at(id); l.settle() {
			g.sum.add(t.hashLock(l))
		}
	}
	for _, id := range g.holds {
		if h := t.holds.at(id); h.settle() {
			g.sum.add(t.hashHold(h))
		}
	}
	for _, id := range g.requests {
		if r := t.requests.at(id); r.settle() {
			g.sum.add(t.hashRequest(r))
		}
	}
	for _, id := range g.sessions {
		if s := t.sessions.at(id); s.settle() {
			g.sum.add(t.hashSession(s))
		}
	}
	for _, id := range g.members {
		if m := t.members.at(id); m.settle() {
			g.sum.add(m.hash())
		}
	}
	g.locks, g.holds, g.requests = recycle(g.locks), recycle(g.holds), recycle(g.requests)
	g.sessions, g.members = recycle(g.sessions), recycle(g.members)
}

func (m *ledgerMark) settle() bool {
	if !m.live || !m.dirty {
		return false
	}
	m.dirty = false
	return true
}

// maxRecycled is how many elements a scratch slice may keep between steps.
const maxRecycled = 4096

// recycle empties a scratch slice, and lets go of one that grew large.
func recycle[T any](s []T) []T {
	if cap(s) > maxRecycled {
		return nil
	}
	clear(s)
	return s[:0]
}

func (t *Table) hashLock(l *lockRow) Hash {
	m := newMixer(uint64(recordLock))
	m.word(l.number)
	m.word(uint64(l.fence))
	m.word(uint64(l.size))
	if l.idle() {
		r := t.idles.at(l.rest)
		m.word(uint64(r.touched))
		m.word(r.touchNo)
	}
	return m.sum()
}

// hashName is the part of a lock's hash that never changes, kept apart because
// a name can be long.
func (l *lockRow) hashName() Hash {
	m := newMixer(hashLockName)
	m.word(l.number)
	m.text(l.name)
	return m.sum()
}

func (t *Table) hashHold(h *holdRow) Hash {
	m := newMixer(uint64(recordHold))
	m.word(t.locks.at(h.lock).number)
	m.word(uint64(h.token))
	m.word(uint64(t.holderNumber(h)))
	m.key(&h.key)
	m.word(uint64(h.since))
	m.word(uint64(h.deadline))
	m.word(uint64(h.permits)<<32 | uint64(h.slot))
	m.word(uint64(h.mode)<<8 | uint64(h.flags))
	return m.sum()
}

func (t *Table) hashExtra(h *holdRow, e *holdExtra) Hash {
	m := newMixer(hashHoldExtra)
	m.word(t.locks.at(h.lock).number)
	m.word(uint64(h.token))
	m.word(uint64(e.lockDelay))
	m.text(e.requestID)
	m.note(e.note)
	return m.sum()
}

func (t *Table) hashRequest(r *requestRow) Hash {
	m := newMixer(uint64(recordRequest))
	m.word(r.number)
	m.word(uint64(t.sessions.at(r.session).number))
	m.word(uint64(r.slot))
	m.word(r.seq)
	m.word(r.attach)
	m.word(r.attempt)
	m.text(r.id)
	m.key(&r.key)
	m.word(uint64(r.since))
	m.word(uint64(r.deadline))
	m.word(uint64(r.lease))
	m.word(uint64(r.delay))
	m.note(r.note)
	for p := r.firstPlace; p != 0; p = t.places.at(p).nextInRequest {
		place := t.places.at(p)
		m.word(t.locks.at(place.lock).number)
		m.word(uint64(place.permits)<<8 | uint64(place.mode))
	}
	return m.sum()
}

func (t *Table) hashSession(s *sessionRow) Hash {
	m := newMixer(uint64(recordSession))
	m.word(uint64(s.number))
	m.word(uint64(s.ttl))
	m.word(s.attach)
	m.word(uint64(s.opened))
	m.word(uint64(s.deadline))
	if s.attached() {
		m.word(uint64(t.members.at(s.member).number))
	}
	m.word(uint64(s.floors)<<16 | uint64(s.onEnd)<<8)
	m.flag(s.byCalls)
	return m.sum()
}

// hashIdentity is the part of a session's hash that changes rarely.
func (s *sessionRow) hashIdentity() Hash {
	m := newMixer(hashSessionID)
	m.word(uint64(s.number))
	m.bytes(s.secret[:])
	m.bytes(s.value)
	m.info(s.info)
	return m.sum()
}

func (m *memberRow) hash() Hash {
	x := newMixer(uint64(recordMember))
	x.text(m.name)
	x.word(uint64(m.number))
	x.word(m.beat)
	x.word(uint64(m.deadline))
	x.word(uint64(m.floors))
	return x.sum()
}

func hashSlot(session SessionNumber, n uint32, s *slot) Hash {
	m := newMixer(uint64(recordSlots))
	m.word(uint64(session))
	m.word(uint64(n))
	m.slot(s)
	return m.sum()
}

func hashNamed(session SessionNumber, id string, s *namedSlot) Hash {
	m := newMixer(uint64(recordNamed))
	m.word(uint64(session))
	m.text(id)
	m.word(s.attempt)
	m.word(s.endNo)
	m.slot(&s.slot)
	return m.sum()
}

func (m *mixer) slot(s *slot) {
	m.word(s.seq)
	m.word(s.digest)
	m.word(uint64(s.token))
	m.word(uint64(s.state)<<24 | uint64(s.code)<<16 | uint64(s.reason)<<8 | uint64(s.field))
	m.flag(s.ref != 0)
}

func (m *mixer) labels(labels []Label) {
	m.word(uint64(len(labels)))
	for _, l := range labels {
		m.text(l.Key)
		m.text(l.Value)
	}
}

func (m *mixer) note(n *Note) {
	m.flag(n != nil)
	if n != nil {
		m.text(n.Reason)
		m.labels(n.Labels)
		m.bytes(n.Value)
	}
}

func (m *mixer) info(i *Info) {
	m.flag(i != nil)
	if i == nil {
		return
	}
	for _, s := range [...]string{i.Host, i.User, i.Program, i.Library, i.Remote, i.Transport, i.Principal} {
		m.text(s)
	}
	m.word(uint64(i.PID))
	m.labels(i.Labels)
	if i.Quota != nil {
		for _, v := range i.Quota.values() {
			m.word(uint64(*v))
		}
	}
}

// hashHead covers what the table has beside its rows.
func (t *Table) hashHead() Hash {
	m := newMixer(uint64(recordHead))
	for _, w := range t.words() {
		m.word(w)
	}
	m.text(t.leader)
	return m.sum()
}
