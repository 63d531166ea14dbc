package lock

import (
	"iter"
	"strings"
)

// mostLookedAt bounds the holders of a lock that are looked at to describe what
// is in the way, so that refusals and waits stay cheap.
const mostLookedAt = 64

// blocker describes what keeps a request from a lock, and whether the asking
// session itself is in the way. Of a lock with very many holders only the oldest
// are looked at.
func (t *Table) blocker(sid sessionID, lock lockID, m Mode) (*Blocker, bool) {
	l := t.locks.at(lock)
	b := &Blocker{Name: l.name, Holders: int(l.holds), Waiting: int(l.waiting)}
	if l.waiting > 0 {
		b.LongestWait = Duration(t.now - t.requests.at(t.places.at(l.firstPlace).request).since)
	}
	if m == Shared && l.held == 0 {
		return b, t.holdsSome(sid, lock) // only who waits is in the way
	}
	n := 0
	for id := l.firstHold; id != 0 && n < mostLookedAt; id = t.holds.at(id).nextInLock {
		n++
		h := t.holds.at(id)
		if m == Shared && h.mode == Shared {
			continue
		}
		if h.is(holdDelay) {
			b.DelayLeft = max(b.DelayLeft, Duration(h.deadline-t.now))
			continue
		}
		v := t.viewHold(h, id)
		b.Holder = &v
		break
	}
	return b, t.holdsSome(sid, lock)
}

// holdsSome reports whether a session holds a lock. Of a lock with very many
// holders only the oldest are looked at, so that the answer stays cheap.
func (t *Table) holdsSome(sid sessionID, lock lockID) bool {
	if sid == t.outside {
		return false
	}
	n := 0
	for id := t.locks.at(lock).firstHold; id != 0 && n < mostLookedAt; id = t.holds.at(id).nextInLock {
		if t.holds.at(id).session == sid {
			return true
		}
		n++
	}
	return false
}

// Lookup returns a lock with at most so many holders and waiters.
func (t *Table) Lookup(name string, maxHolders, maxWaiters int) (LockView, bool) {
	id := t.findLock(name)
	if id == 0 {
		return LockView{}, false
	}
	return t.viewLock(id, maxHolders, maxWaiters), true
}

func (t *Table) viewLock(id lockID, maxHolders, maxWaiters int) LockView {
	l := t.locks.at(id)
	v := LockView{
		Number: l.number, Name: l.name, Size: l.size, Held: l.held, Shared: l.shared(), Fence: l.fence,
		Idle: -1, HolderCount: int(l.holds), WaiterCount: int(l.waiting),
	}
	if l.idle() {
		v.Idle = Duration(t.now - t.idles.at(l.rest).touched)
	}
	if l.waiting > 0 && l.shared() == 0 && l.held < l.size {
		v.FreeBehindHead = l.size - l.held
	}
	for h := l.firstHold; h != 0 && len(v.Holders) < maxHolders; h = t.holds.at(h).nextInLock {
		v.Holders = append(v.Holders, t.viewHold(t.holds.at(h), h))
	}
	for p := l.firstPlace; p != 0 && len(v.Waiters) < maxWaiters; p = t.places.at(p).next {
		v.Waiters = append(v.Waiters, t.viewPlace(t.places.at(p)))
	}
	return v
}

func (t *Table) viewHold(h *holdRow, id holdID) HoldView {
	v := HoldView{
		Name: t.locks.at(h.lock).name, Token: h.token, Key: h.key, Mode: h.mode, Permits: h.permits,
		Age: Duration(t.now - h.since), LeaseLeft: -1, Revoked: h.is(holdRevoked), Delay: h.is(holdDelay),
	}
	if h.session != 0 {
		s := t.sessions.at(h.session)
		v.Session, v.Info = s.number, s.info
	}
	if h.deadline != 0 {
		v.LeaseLeft = Duration(h.deadline - t.now)
	}
	if e := t.extras[id]; e != nil {
		v.Note = e.note
	}
	return v
}

func (t *Table) viewPlace(p *placeRow) WaitView {
	r := t.requests.at(p.request)
	s := t.sessions.at(r.session)
	v := WaitView{
		Name: t.locks.at(p.lock).name, Session: s.number, Info: s.info, Mode: p.mode, Permits: p.permits,
		Age: Duration(t.now - r.since), GivesUp: -1, Note: r.note, NumNames: int(r.places),
	}
	if r.deadline != 0 {
		v.GivesUp = Duration(r.deadline - t.now)
	}
	return v
}

// Holders returns up to limit holds of a lock, and lock delays that followed
// holds, oldest first, that were granted after the token; none if there is no
// such lock. Going on from the last one's token reads them all: tokens grow from
// hold to hold.
func (t *Table) Holders(name string, after Token, limit int) []HoldView {
	lock := t.findLock(name)
	if lock == 0 {
		return nil
	}
	id := t.locks.at(lock).firstHold
	if seen := t.holdByToken(lock, after); seen != 0 {
		id = t.holds.at(seen).nextInLock
	}
	var views []HoldView
	for ; id != 0 && len(views) < limit; id = t.holds.at(id).nextInLock {
		if h := t.holds.at(id); h.token > after {
			views = append(views, t.viewHold(h, id))
		}
	}
	return views
}

// maxScan bounds the rows that one call of a listing looks at.
const maxScan = 4096

// List returns locks that match, from the place in the listing that an earlier
// call returned (0: the beginning), and the place to go on from, 0 at the end.
// It looks at a bounded number of locks, so it may return fewer than limit, even
// none, before the end. A lock that lives throughout is listed exactly once.
func (t *Table) List(f LockFilter, after uint64, limit, maxHolders, maxWaiters int) ([]LockView, uint64) {
	var views []LockView
	from := lockID(min(after, uint64(t.locks.end()))) + 1
	for id := from; id < t.locks.end(); id++ {
		if l := t.locks.at(id); l.live && f.matches(l) {
			views = append(views, t.viewLock(id, maxHolders, maxWaiters))
		}
		if len(views) >= limit || id-from >= maxScan {
			if id+1 >= t.locks.end() {
				return views, 0
			}
			return views, uint64(id)
		}
	}
	return views, 0
}

func (f *LockFilter) matches(l *lockRow) bool {
	if !strings.HasPrefix(l.name, f.Prefix) {
		return false
	}
	switch f.State {
	case HeldState:
		return l.holds > 0
	case ContendedState:
		return l.waiting > 0
	case IdleState:
		return l.idle()
	default:
		return true
	}
}

// LookupSession returns a session.
func (t *Table) LookupSession(n SessionNumber) (SessionView, bool) {
	id := t.sessionByNumber[n]
	if id == 0 {
		return SessionView{}, false
	}
	return t.viewSession(t.sessions.at(id)), true
}

func (t *Table) viewSession(s *sessionRow) SessionView {
	v := SessionView{
		Number: s.number, Info: s.info, TTL: s.ttl, OnEnd: s.onEnd, Attached: s.attached(), Attach: s.attach,
		Left: -1, Age: Duration(t.now - s.opened), Holds: int(s.holds), Waits: int(s.waits), Value: s.value,
	}
	if s.attached() {
		v.Incarnation = t.members.at(s.member).number
	} else {
		v.Left = Duration(s.deadline - t.now)
	}
	return v
}

// ListSessions returns sessions as List returns locks.
func (t *Table) ListSessions(after uint64, limit int) ([]SessionView, uint64) {
	var views []SessionView
	from := sessionID(min(after, uint64(t.sessions.end()))) + 1
	for id := from; id < t.sessions.end(); id++ {
		if s := t.sessions.at(id); s.live && id != t.outside {
			views = append(views, t.viewSession(s))
		}
		if len(views) >= limit || id-from >= maxScan {
			if id+1 >= t.sessions.end() {
				return views, 0
			}
			return views, uint64(id)
		}
	}
	return views, 0
}

// HoldsOf returns the holds of a session, oldest first, at most so many; for 0
// those outside sessions, in no order that lasts.
func (t *Table) HoldsOf(n SessionNumber, most int) []HoldView {
	id := t.sessionByNumber[n]
	if n == 0 {
		id = t.outside
	}
	if id == 0 {
		return nil
	}
	var views []HoldView
	for h := t.sessions.at(id).firstHold; h != 0 && len(views) < most; h = t.holds.at(h).nextInSession {
		views = append(views, t.viewHold(t.holds.at(h), h))
	}
	return views
}

// WaitsOf returns what a session waits for, oldest first, a view for each place
// in a queue, at most so many; for 0 what is waited for outside sessions, in no
// order that lasts.
func (t *Table) WaitsOf(n SessionNumber, most int) []WaitView {
	id := t.sessionByNumber[n]
	if n == 0 {
		id = t.outside
	}
	if id == 0 {
		return nil
	}
	var views []WaitView
	for r := t.sessions.at(id).firstRequest; r != 0; r = t.requests.at(r).nextInSession {
		for p := t.requests.at(r).firstPlace; p != 0; p = t.places.at(p).nextInRequest {
			if len(views) == most {
				return views
			}
			views = append(views, t.viewPlace(t.places.at(p)))
		}
	}
	return views
}

// Attached reports whether a session is attached to an incarnation under this
// number: whether that member may confirm its client's keep-alive.
func (t *Table) Attached(n SessionNumber, attach uint64, in Incarnation) bool {
	id := t.sessionByNumber[n]
	if id == 0 {
		return false
	}
	s := t.sessions.at(id)
	return s.attached() && s.attach == attach && t.members.at(s.member).number == in
}

// AttachedTo lists the sessions attached to an incarnation with their attach
// numbers, in the order in which they came. The table must not change meanwhile.
func (t *Table) AttachedTo(in Incarnation) iter.Seq2[SessionNumber, uint64] {
	return func(yield func(SessionNumber, uint64) bool) {
		m := t.memberByNumber[in]
		if m == 0 {
			return
		}
		for id := t.members.at(m).first; id != 0; id = t.sessions.at(id).nextInMember {
			if s := t.sessions.at(id); !yield(s.number, s.attach) {
				return
			}
		}
	}
}

// Leader is the member that leads, as far as the table was told.
func (t *Table) Leader() string { return t.leader }

// QuietLeft is for how long nothing is granted yet; 0 if there is no quiet time.
func (t *Table) QuietLeft() Duration { return Duration(max(0, t.quietUntil-t.now)) }

// MemberNamed returns the present incarnation of a member; 0 if there is none.
func (t *Table) MemberNamed(name string) Incarnation {
	id := t.memberByName[name]
	if id == 0 {
		return 0
	}
	return t.members.at(id).number
}

// WouldQueue reports whether a request that would wait has to, whatever is released next:
// others wait already for one of its locks. It is false if its session holds something, or
// waits for something: what that session says next may be a release for which others wait,
// and it comes after this request.
func (t *Table) WouldQueue(c *Acquire) bool {
	if c.Wait == 0 || t.Burden(c.Session) > 0 {
		return false
	}
	for i := range c.Items {
		if id := t.findLock(c.Items[i].Name); id != 0 && t.locks.at(id).waiting > 0 {
			return true
		}
	}
	return false
}

// Burden is about how much there is to do when a session ends: its holds, and its
// places in queues. It is 0 if there is no such session.
func (t *Table) Burden(n SessionNumber) int {
	id := t.sessionByNumber[n]
	if id == 0 {
		return 0
	}
	s := t.sessions.at(id)
	return int(s.holds) + int(s.places)
}
