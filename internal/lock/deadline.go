package lock

// Kinds of deadlines, in the order in which those of one instant end.
type deadlineKind uint8

const (
	memberDeadline deadlineKind = iota
	sessionDeadline
	waitDeadline
	holdDeadline
	delayDeadline
	quietDeadline
)

// deadline is an entry of the heap. The order (at, kind, number, lock) is
// total: of the holds of one grant, which share their number, the lock's
// number decides.
type deadline struct {
	at     Time
	number uint64
	lock   uint64
	id     uint32
	kind   deadlineKind
}

func (d *deadline) before(e *deadline) bool {
	switch {
	case d.at != e.at:
		return d.at < e.at
	case d.kind != e.kind:
		return d.kind < e.kind
	case d.number != e.number:
		return d.number < e.number
	default:
		return d.lock < e.lock
	}
}

// deadlines is a binary heap that tells each row where its entry is, so that an
// entry can be moved or removed in logarithmic time.
type deadlines struct {
	heap []deadline
	// moved is told the new place of an entry, counted from 1; 0 when it left.
	moved func(d *deadline, place int32)
}

// min returns the next entry to end, nil if there is none.
func (q *deadlines) min() *deadline {
	if len(q.heap) == 0 {
		return nil
	}
	return &q.heap[0]
}

// set puts an entry in, or moves the one at place (0: none) to its new time.
func (q *deadlines) set(d deadline, place int32) {
	i := int(place) - 1
	if i < 0 {
		q.heap = append(q.heap, d)
		i = len(q.heap) - 1
	} else {
		q.heap[i] = d
	}
	q.moved(&q.heap[i], int32(i+1))
	if !q.up(i) {
		q.down(i)
	}
}

// remove takes out the entry at place, counted from 1.
func (q *deadlines) remove(place int32) {
	i, last := int(place)-1, len(q.heap)-1
	q.moved(&q.heap[i], 0)
	if i != last {
		q.heap[i] = q.heap[last]
		q.moved(&q.heap[i], int32(i+1))
	}
	q.heap = q.heap[:last]
	if i != last && !q.up(i) {
		q.down(i)
	}
}

func (q *deadlines) swap(i, j int) {
	q.heap[i], q.heap[j] = q.heap[j], q.heap[i]
	q.moved(&q.heap[i], int32(i+1))
	q.moved(&q.heap[j], int32(j+1))
}

func (q *deadlines) up(i int) (changed bool) {
	for i > 0 {
		parent := (i - 1) / 2
		if !q.heap[i].before(&q.heap[parent]) {
			break
		}
		q.swap(i, parent)
		i, changed = parent, true
	}
	return changed
}

func (q *deadlines) down(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(q.heap); c++ {
			if q.heap[c].before(&q.heap[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		q.swap(i, least)
		i = least
	}
}

// movedDeadline tells a row where its deadline stands in the heap.
func (t *Table) movedDeadline(d *deadline, place int32) {
	switch d.kind {
	case memberDeadline:
		t.members.at(memberID(d.id)).heap = place
	case sessionDeadline:
		t.sessions.at(sessionID(d.id)).heap = place
	case waitDeadline:
		t.requests.at(requestID(d.id)).heap = place
	case holdDeadline, delayDeadline:
		t.holds.at(holdID(d.id)).heap = place
	case quietDeadline:
		t.quietPlace = place
	}
}

// setMemberDeadline, and its like for the other kinds, changes the deadline of
// an opened row and its place in the heap; 0 takes it out.
func (t *Table) setMemberDeadline(id memberID, at Time) {
	m := t.members.at(id)
	m.deadline = at
	t.schedule(deadline{at: at, kind: memberDeadline, number: uint64(m.number), id: uint32(id)}, m.heap)
}

func (t *Table) setSessionDeadline(id sessionID, at Time) {
	s := t.sessions.at(id)
	s.deadline = at
	t.schedule(deadline{at: at, kind: sessionDeadline, number: uint64(s.number), id: uint32(id)}, s.heap)
}

func (t *Table) setRequestDeadline(id requestID, at Time) {
	r := t.requests.at(id)
	r.deadline = at
	t.schedule(deadline{at: at, kind: waitDeadline, number: r.number, id: uint32(id)}, r.heap)
}

func (t *Table) setHoldDeadline(id holdID, at Time) {
	h := t.holds.at(id)
	h.deadline = at
	kind := holdDeadline
	if h.is(holdDelay) {
		kind = delayDeadline
	}
	t.schedule(deadline{
		at: at, kind: kind, number: uint64(h.token), lock: t.locks.at(h.lock).number, id: uint32(id),
	}, h.heap)
}

func (t *Table) schedule(d deadline, place int32) {
	switch {
	case d.at != 0:
		t.deadlines.set(d, place)
	case place != 0:
		t.deadlines.remove(place)
	}
}
