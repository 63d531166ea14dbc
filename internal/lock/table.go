package lock

import (
	"slices"
	"unicode/utf8"
)

// head is the state of a table beside its rows. Each counter holds the newest
// number given; all of them only grow.
type head struct {
	now         Time
	token       Token
	session     SessionNumber
	attach      uint64
	incarnation Incarnation
	request     uint64
	lock        uint64
	touch       uint64
	event       uint64
	// fenceFloor is the highest fence of the locks that were forgotten, or what a
	// birth has lifted the tokens to; new locks begin there, so that a name's
	// fence never goes back.
	fenceFloor Token
	// quietUntil ends the time in which nothing is granted; 0 if there is none.
	quietUntil Time
	// term is the newest term of the log that an entry came from.
	term     uint64
	settings Settings
}

// Table is the state of a lock manager. Make one with [New] or a [Restorer].
// It is not safe for concurrent use.
type Table struct {
	head
	leader string

	locks    arena[lockID, lockRow]
	holds    arena[holdID, holdRow]
	requests arena[requestID, requestRow]
	places   arena[placeID, placeRow]
	idles    arena[idleID, idleRow]
	sessions arena[sessionID, sessionRow]
	members  arena[memberID, memberRow]
	extras   map[holdID]*holdExtra
	crowds   map[lockID]*crowd

	names           nameIndex
	sessionByNumber map[SessionNumber]sessionID
	sessionBySecret map[SecretHash]sessionID
	memberByNumber  map[Incarnation]memberID
	memberByName    map[string]memberID
	outside         sessionID
	tallies         map[string]*tally
	firstIdle       lockID
	lastIdle        lockID
	deadlines       deadlines
	quietPlace      int32 // of the quiet time in deadlines
	counts          Counts
	// idleBytes are the bytes of the names of idle locks, which make room for others.
	idleBytes int64

	ledger        ledger
	snapshot      *Snapshot // the one that runs, or nil
	snapshotEpoch uint32

	// Scratch of one step, empty between steps.
	work    []lockID
	heads   queueHeads
	due     []deadline
	asked   []lockID
	grouped []holdID
	grant   grant
	result  Result
}

// Counts are figures of a table.
type Counts struct {
	// Locks in the table, Held ones among them, Contended ones with waiters.
	Locks, Held, Contended int
	// Holds and lock Delays.
	Holds, Delays int
	// Waiters: requests that wait.
	Waiters int
	// Sessions, and Attached ones among them.
	Sessions, Attached int
	// Members that live.
	Members int
	// Bytes of texts that clients chose: names of locks, notes, request ids,
	// values and descriptions.
	Bytes int64
}

// New returns an empty table with default settings. Its first command should
// be a [Birth].
func New() *Table {
	t := &Table{
		locks: newArena[lockID, lockRow](), holds: newArena[holdID, holdRow](),
		requests: newArena[requestID, requestRow](), places: newArena[placeID, placeRow](),
		idles:    newArena[idleID, idleRow](),
		sessions: newArena[sessionID, sessionRow](), members: newArena[memberID, memberRow](),
		extras: map[holdID]*holdExtra{}, crowds: map[lockID]*crowd{},
		names:           newNameIndex(),
		sessionByNumber: map[SessionNumber]sessionID{}, sessionBySecret: map[SecretHash]sessionID{},
		memberByNumber: map[Incarnation]memberID{}, memberByName: map[string]memberID{},
		tallies: map[string]*tally{},
	}
	t.settings = DefaultSettings()
	t.deadlines.moved = t.movedDeadline
	id, s := t.newSession()
	t.outside = id
	t.ledger.sum.add(s.hashIdentity())
	t.settle()
	return t
}

// Apply carries out an entry: time first, then everything that is due, then
// the commands. It never fails; what a command may not do is refused in its
// outcome. The result is good until the next Apply.
func (t *Table) Apply(e Entry) *Result {
	r := &t.result
	r.Outcomes, r.Settled, r.Events = recycle(r.Outcomes), recycle(r.Settled), recycle(r.Events)
	r.Stale = e.StampTerm != e.Term
	if e.Term > t.term {
		t.term = e.Term
		t.raiseFloors()
	}
	if !r.Stale {
		t.pass(e.Elapsed)
	}
	for _, c := range e.Commands {
		r.Outcomes = append(r.Outcomes, t.apply(c, r.Stale))
		t.serve()
	}
	t.settle()
	return r
}

// apply carries out one command but for serving the queues that it touched.
func (t *Table) apply(c Command, stale bool) Outcome {
	if stale && onlyLeader(c) {
		return Outcome{Code: NotLeading}
	}
	switch c := c.(type) {
	case *Acquire:
		return t.acquire(c)
	case *Release:
		return t.release(c)
	case *Renew:
		return t.renew(c)
	case *Downgrade:
		return t.downgrade(c)
	case *SetValue:
		return t.setValue(c)
	case *Cancel:
		return t.cancel(c)
	case *Open, *Resume, *KeepAlive, *Detach, *Close, *Kill, *Disown:
		return t.applySession(c)
	case *Join:
		return t.join(c)
	case *Beat:
		return t.beat(c)
	default:
		return t.applyAdmin(c)
	}
}

func (t *Table) applySession(c Command) Outcome {
	switch c := c.(type) {
	case *Open:
		return t.openCommand(c)
	case *Resume:
		return t.resume(c)
	case *KeepAlive:
		return t.keepAlive(c)
	case *Detach:
		return t.detach(c)
	case *Close:
		return t.closeCommand(c)
	case *Kill:
		return t.kill(c)
	case *Disown:
		return t.disown(c)
	default:
		panic("lock: not a command of sessions")
	}
}

func (t *Table) applyAdmin(c Command) Outcome {
	switch c := c.(type) {
	case *Birth:
		return t.birth(c)
	case *SetSettings:
		return t.setSettings(c)
	case *EndMember:
		return t.endMemberCommand(c)
	case *ForceRelease:
		return t.forceRelease(c)
	case *Resize:
		return t.resize(c)
	case *Collect:
		return t.collect(c)
	case *Mark:
		t.settle()
		return Outcome{Hash: t.Hash()}
	case *Lead:
		return t.lead(c)
	default:
		// The set of commands is closed: a new one without a case is a mistake here.
		panic("lock: unknown command")
	}
}

// onlyLeader reports whether a command is one that a leader proposes of its
// own accord, on the strength of what it sees.
func onlyLeader(c Command) bool {
	switch c := c.(type) {
	case *Birth, *SetSettings, *Collect, *Mark, *Lead:
		return true
	case *EndMember:
		return !c.Own
	default:
		return false
	}
}

// Now is the table's time.
func (t *Table) Now() Time { return t.now }

// Settings are the settings in force.
func (t *Table) Settings() Settings { return t.settings }

// Hash returns the hash of everything that is replicated.
func (t *Table) Hash() Hash {
	h := t.ledger.sum
	h.add(t.hashHead())
	return h
}

// NextDeadline returns the earliest time at which something is due; false if
// nothing ever is.
func (t *Table) NextDeadline() (Time, bool) {
	if d := t.deadlines.min(); d != nil {
		return d.at, true
	}
	return 0, false
}

// Token returns the fencing token of the newest grant; before the first one, the
// number after which tokens begin.
func (t *Table) Token() Token { return t.token }

// Counts returns figures of the table.
func (t *Table) Counts() Counts { return t.counts }

// expect makes room for what comes out when so many requests are granted, or as
// many holds end: growing by and by costs more than all the rest.
func (t *Table) expect(n int) {
	const few = 64
	if n > few {
		t.result.Events = slices.Grow(t.result.Events, n)
		t.result.Settled = slices.Grow(t.result.Settled, n)
	}
}

// emit appends an event, numbering it.
func (t *Table) emit(e Event) {
	t.event++
	e.Number, e.Time = t.event, t.now
	t.result.Events = append(t.result.Events, e)
}

// explain puts an administrator's reason into the event that was emitted last.
func (t *Table) explain(reason string) {
	t.result.Events[len(t.result.Events)-1].Text = reason
}

// badText reports whether a text is too long or not UTF-8.
func (t *Table) badText(s string) bool {
	return len(s) > t.settings.MaxTextBytes || !utf8.ValidString(s)
}

// refuse is the outcome of a command that names a bad field.
func refuse(f Field, limit int64) Outcome {
	return Outcome{Code: Invalid, Field: f, Limit: limit}
}

// exceed is the outcome of a command that would exceed a limit.
func exceed[T int | int64](f Field, limit T) Outcome {
	return Outcome{Code: Limit, Field: f, Limit: int64(limit)}
}

// words lists the head for hash and snapshot.
func (h *head) words() []uint64 {
	words := []uint64{
		uint64(h.now), uint64(h.token), uint64(h.session), h.attach, uint64(h.incarnation),
		h.request, h.lock, h.touch, h.event, uint64(h.fenceFloor), uint64(h.quietUntil), h.term,
		uint64(h.settings.Format),
	}
	for _, v := range h.settings.counts() {
		words = append(words, uint64(*v))
	}
	for _, v := range h.settings.spans() {
		words = append(words, uint64(*v))
	}
	if h.settings.Format >= LimitsFormat {
		words = append(words, uint64(h.settings.MaxWaiters), uint64(h.settings.MaxBytes))
	}
	return words
}
