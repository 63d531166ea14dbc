package lock

import "slices"

// Quota bounds what the sessions of one principal take together. It comes with
// each session, so the newest one that was opened or resumed counts for what it
// asks for itself. 0 is no limit. A quota is never changed after it was handed in.
type Quota struct {
	// Sessions that live.
	Sessions int64
	// Locks that are held or, as if they were, waited for.
	Locks int64
	// Waiters: requests that wait.
	Waiters int64
	// Bytes of the texts that the principal chose: names of locks for each hold and
	// each place in a queue, notes, request ids, values and descriptions.
	Bytes int64
}

// values lists the quota in the order in which commands and snapshots have it.
func (q *Quota) values() [4]*int64 {
	return [...]*int64{&q.Sessions, &q.Locks, &q.Waiters, &q.Bytes}
}

// tally counts what the sessions of a principal have. It is derived from them:
// neither hashed nor saved.
type tally struct {
	sessions, holds, places, waits int64
	bytes                          int64
}

// noQuota is the quota of a session that was given none.
var noQuota = &Quota{}

// quota is what bounds the principal of a session.
func (s *sessionRow) quota() *Quota {
	if s.tally == nil || s.info.Quota == nil {
		return noQuota
	}
	return s.info.Quota
}

// limitOf is the limit of a field for a session; 0 if it has none.
func (t *Table) limitOf(sid sessionID, f Field) int64 {
	q := t.sessions.at(sid).quota()
	switch f {
	case FieldLocksOfPrincipal:
		return q.Locks
	case FieldWaitersOfPrincipal:
		return q.Waiters
	case FieldBytesOfPrincipal:
		return q.Bytes
	default:
		return t.settings.limit(f)
	}
}

// reaches reports whether n of what is limited would be too many.
func reaches(n, limit int64) bool { return limit > 0 && n > limit }

// bytes of the texts of a description; of nil, 0.
func (i *Info) bytes() int64 {
	if i == nil {
		return 0
	}
	n := len(i.Host) + len(i.User) + len(i.Program) + len(i.Library) + len(i.Remote) + len(i.Transport) + len(i.Principal)
	return int64(n) + bytesOf(i.Labels)
}

// principal is the name of who described itself so; "" if it is not known.
func (i *Info) principal() string {
	if i == nil {
		return ""
	}
	return i.Principal
}

// bytes of the texts of a note; of nil, 0.
func (n *Note) bytes() int64 {
	if n == nil {
		return 0
	}
	return int64(len(n.Reason)+len(n.Value)) + bytesOf(n.Labels)
}

// bytes of the texts of a hold's rare parts; of nil, 0.
func (e *holdExtra) bytes() int64 {
	if e == nil {
		return 0
	}
	return int64(len(e.requestID)) + e.note.bytes()
}

// value of a hold; of nil, none.
func (e *holdExtra) value() []byte {
	if e == nil || e.note == nil {
		return nil
	}
	return e.note.Value
}

func bytesOf(labels []Label) int64 {
	n := 0
	for _, l := range labels {
		n += len(l.Key) + len(l.Value)
	}
	return int64(n)
}

// charge counts texts in, or out if they are negative: names of locks, which the
// table counts with the locks, and others.
func (t *Table) charge(sid sessionID, names, texts int64) {
	t.counts.Bytes += texts
	if y := t.sessions.at(sid).tally; y != nil {
		y.bytes += names + texts
	}
}

// countSession counts a session in whose info and value are set.
func (t *Table) countSession(s *sessionRow) {
	n := s.info.bytes() + int64(len(s.value))
	t.counts.Bytes += n
	name := s.info.principal()
	if name == "" {
		return
	}
	y := t.tallies[name]
	if y == nil {
		y = &tally{}
		t.tallies[name] = y
	}
	s.tally = y
	y.sessions++
	y.bytes += n
}

// uncountSession is its reverse, for a session that has neither holds nor waits.
func (t *Table) uncountSession(s *sessionRow) {
	n := s.info.bytes() + int64(len(s.value))
	t.counts.Bytes -= n
	if s.tally == nil {
		return
	}
	s.tally.bytes -= n
	if s.tally.sessions--; s.tally.sessions == 0 {
		delete(t.tallies, s.info.Principal)
	}
	s.tally = nil
}

// countHold counts a hold that is linked to its session in, or out with n = -1.
func (t *Table) countHold(id holdID, h *holdRow, n int64) {
	texts := t.extras[id].bytes()
	t.charge(h.session, n*int64(len(t.locks.at(h.lock).name)), n*texts)
	if y := t.sessions.at(h.session).tally; y != nil {
		y.holds += n
	}
}

// countRequest counts a request that is linked to its session in, or out with n = -1.
func (t *Table) countRequest(r *requestRow, n int64) {
	t.counts.Bytes += n * r.bytes()
	y := t.sessions.at(r.session).tally
	if y == nil {
		return
	}
	y.waits += n
	y.places += n * int64(r.places)
	y.bytes += n * (r.bytes() + t.namesOf(r))
}

func (r *requestRow) bytes() int64 { return int64(len(r.id)) + r.note.bytes() }

// namesOf counts the bytes of the names of the locks that a request waits for.
func (t *Table) namesOf(r *requestRow) int64 {
	n := 0
	for p := r.firstPlace; p != 0; p = t.places.at(p).nextInRequest {
		n += len(t.locks.at(t.places.at(p).lock).name)
	}
	return int64(n)
}

// recount gives a session another description, perhaps of another principal.
func (t *Table) recount(s *sessionRow, i *Info) {
	if i.principal() == s.info.principal() {
		more := i.bytes() - s.info.bytes()
		t.counts.Bytes += more
		if s.tally != nil {
			s.tally.bytes += more
		}
		s.info = i
		return
	}
	share := t.share(s)
	s.tally.take(&share, -1)
	t.uncountSession(s)
	s.info = i
	t.countSession(s)
	s.tally.take(&share, 1)
}

// take adds what a session has, or takes it away with n = -1; of nil it does nothing.
func (y *tally) take(share *tally, n int64) {
	if y == nil {
		return
	}
	y.holds += n * share.holds
	y.places += n * share.places
	y.waits += n * share.waits
	y.bytes += n * share.bytes
}

// share is what holds and waits of a session add to the tally of its principal.
func (t *Table) share(s *sessionRow) tally {
	y := tally{holds: int64(s.holds), places: int64(s.places), waits: int64(s.waits)}
	for id := s.firstHold; id != 0; id = t.holds.at(id).nextInSession {
		y.bytes += int64(len(t.locks.at(t.holds.at(id).lock).name)) + t.extras[id].bytes()
	}
	for id := s.firstRequest; id != 0; id = t.requests.at(id).nextInSession {
		r := t.requests.at(id)
		y.bytes += r.bytes() + t.namesOf(r)
	}
	return y
}

// roomForSession checks the limits on a new session but for that on their number.
func (t *Table) roomForSession(c *Open) (Outcome, bool) {
	texts := c.Info.bytes() + int64(len(c.Value))
	if limit := t.settings.MaxBytes; reaches(t.counts.Bytes+texts-t.idleBytes, limit) {
		return exceed(FieldBytes, limit), false
	}
	if c.Info.principal() == "" || c.Info.Quota == nil {
		return Outcome{}, true
	}
	q, y := c.Info.Quota, t.tallies[c.Info.Principal]
	if y == nil {
		y = &tally{}
	}
	switch {
	case reaches(y.sessions+1, q.Sessions):
		return exceed(FieldSessionsOfPrincipal, q.Sessions), false
	case reaches(y.bytes+texts, q.Bytes):
		return exceed(FieldBytesOfPrincipal, q.Bytes), false
	}
	return Outcome{}, true
}

// roomForWaiter checks the limits on all waiting requests.
func (t *Table) roomForWaiter(s *sessionRow) (Outcome, bool) {
	if limit := int64(t.settings.MaxWaiters); reaches(int64(t.counts.Waiters)+1, limit) {
		return exceed(FieldWaiters, limit), false
	}
	if q := s.quota(); q.Waiters > 0 && reaches(s.tally.waits+1, q.Waiters) {
		return exceed(FieldWaitersOfPrincipal, q.Waiters), false
	}
	return Outcome{}, true
}

// roomForTexts checks the limits on texts, and a principal's on locks.
func (t *Table) roomForTexts(s *sessionRow, c *Acquire) (Outcome, bool) {
	var names, fresh int64
	for i := range c.Items {
		names += int64(len(c.Items[i].Name))
		if t.asked[i] == 0 {
			fresh += int64(len(c.Items[i].Name))
		}
	}
	texts := int64(len(c.RequestID)) + c.Note.bytes()
	total, limit := t.counts.Bytes+fresh+texts, t.settings.MaxBytes
	if reaches(total, limit) && reaches(total-t.expendableBytes(), limit) {
		return exceed(FieldBytes, limit), false
	}
	q := s.quota()
	switch {
	case q.Locks > 0 && reaches(s.tally.holds+s.tally.places+int64(len(c.Items)), q.Locks):
		return exceed(FieldLocksOfPrincipal, q.Locks), false
	case q.Bytes > 0 && reaches(s.tally.bytes+names+texts, q.Bytes):
		return exceed(FieldBytesOfPrincipal, q.Bytes), false
	}
	return Outcome{}, true
}

// roomForValue checks the limits on texts for a value that becomes longer, and
// makes room for it.
func (t *Table) roomForValue(sid sessionID, more int64) (Outcome, bool) {
	if more <= 0 {
		return Outcome{}, true
	}
	if limit := t.settings.MaxBytes; reaches(t.counts.Bytes+more-t.idleBytes, limit) {
		return exceed(FieldBytes, limit), false
	}
	s := t.sessions.at(sid)
	if q := s.quota(); q.Bytes > 0 && reaches(s.tally.bytes+more, q.Bytes) {
		return exceed(FieldBytesOfPrincipal, q.Bytes), false
	}
	t.forgetIdle(0, more)
	return Outcome{}, true
}

// Idle locks are forgotten when others need their room, the oldest first: whoever
// takes and releases ever new names shuts nobody out.

// expendable counts the idle locks that a request does not ask for itself.
func (t *Table) expendable() int {
	n := t.idles.len()
	for _, id := range t.asked {
		if id != 0 && t.locks.at(id).idle() {
			n--
		}
	}
	return n
}

func (t *Table) expendableBytes() int64 {
	n := t.idleBytes
	for _, id := range t.asked {
		if id != 0 && t.locks.at(id).idle() {
			n -= int64(len(t.locks.at(id).name))
		}
	}
	return n
}

// makeRoom forgets as many idle locks as it takes for a request that was found to
// have room.
func (t *Table) makeRoom(c *Acquire) {
	missing, texts := 0, int64(len(c.RequestID))+c.Note.bytes()
	for i, id := range t.asked {
		if id == 0 {
			missing++
			texts += int64(len(c.Items[i].Name))
		}
	}
	t.forgetIdle(missing, texts)
}

// forgetIdle forgets idle locks that were not asked for, until so many locks and
// so many bytes of texts fit.
func (t *Table) forgetIdle(locks int, texts int64) {
	for id := t.firstIdle; id != 0; {
		if t.counts.Locks+locks <= t.settings.MaxLocks && !reaches(t.counts.Bytes+texts, t.settings.MaxBytes) {
			return
		}
		next := t.restOf(id).next
		if !slices.Contains(t.asked, id) {
			t.forgetLock(id)
		}
		id = next
	}
}
