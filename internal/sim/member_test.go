package sim

import (
	"slices"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// Periods of a member.
const (
	beatEvery    = second
	lookEvery    = 250 * millisecond
	compareEvery = second
	// pursuitEvery is how long a member waits for the outcome of something that
	// has to happen before it proposes it again.
	pursuitEvery = 1500 * millisecond
)

// member is the server that connections end at. What it knows of its own is
// its connections; sessions and locks are in the table.
type member struct {
	w       *world
	machine *machine
	// down says that its process is dead, replaced that another machine has
	// taken its place, which it may not know yet.
	down, replaced bool
	// sole says that only its own entries can end anything: it need not look at
	// its lease, and the table is in its own process.
	sole bool
	// own is its table where it is not in the same process with the order, and
	// backlog what was not applied to it yet. severedUntil is when the order
	// reaches it again.
	own          *lock.Table
	index        uint64 // of the newest entry applied to it
	backlog      []*entry
	severedUntil instant

	incarnation lock.Incarnation
	joining     bool
	// joined is the newest incarnation that the member has seen in the order:
	// a proposal of an earlier process may begin one that nobody lives.
	joined lock.Incarnation
	// beat is the number of the newest beat. vouchFrom is when the newest one was
	// sent that the table took, lease how long a member lives by it.
	beat      uint64
	vouchFrom reading
	vouches   bool
	lease     span

	sessions []*attachment
	callers  []*v1Connection
	// detaching has the attach numbers whose detach is under way.
	detaching map[uint64]bool
	looked    reading
	stalled   bool // before the present look
}

// newMember puts a member on a machine.
func newMember(w *world, host *machine) *member {
	m := &member{w: w, machine: host, sole: w.plan.journal != moving}
	w.members = append(w.members, m)
	return m
}

// name is for the trace.
func (m *member) name() string { return m.machine.name }

// table is the member's own view, which may be behind.
func (m *member) table() *lock.Table {
	if m.sole {
		return m.w.journal.table
	}
	return m.own
}

// startUp begins a process of the member.
func (m *member) startUp() {
	if !m.sole {
		m.own, m.index, m.backlog = m.w.journal.copyTable(), m.w.journal.index, nil
	}
	m.down, m.incarnation, m.joining, m.vouches = false, 0, false, false
	m.sessions, m.callers, m.detaching = nil, nil, map[uint64]bool{}
	m.looked = m.machine.boot()
	m.join()
	m.machine.repeat(lookEvery, m.look)
	m.machine.repeat(beatEvery, m.beatOn)
	m.machine.repeat(compareEvery, m.compare)
}

// crash ends the process; the machine ends its connections.
func (m *member) crash() {
	m.w.note(m.name(), "goes down")
	for _, a := range m.sessions {
		a.plug.close()
	}
	for _, c := range m.callers {
		c.plug.close()
	}
	m.down = true
	m.machine.die()
	if m.w.journal.leader != nil && m.w.journal.leader.machine == m.machine {
		m.w.journal.depose()
	}
}

// pursue proposes commands until their outcomes are known. For those that give
// a number to a connection, every copy's outcome counts.
func (m *member) pursue(commands []lock.Command, every bool, done func([]lock.Outcome)) {
	known := false
	var try func()
	var next *timer
	tryIn := func(d span) {
		if next != nil {
			next.stop()
		}
		next = m.machine.after(d, func() {
			if !known {
				try()
			}
		})
	}
	p := &proposal{
		commands: commands,
		member:   m,
		life:     m.machine.life,
		applied: func(outcomes []lock.Outcome) {
			if !known || every {
				known = true
				done(outcomes)
			}
		},
		refused: func() { tryIn(m.w.between(20*millisecond, 100*millisecond)) },
	}
	try = func() {
		m.w.journal.propose(p)
		if m.w.happens(m.w.plan.duplicate) {
			m.w.journal.propose(p)
		}
		tryIn(pursuitEvery)
	}
	try()
}

// pursueOne is pursue for a single command.
func (m *member) pursueOne(c lock.Command, done func(lock.Outcome)) {
	m.pursue([]lock.Command{c}, false, func(o []lock.Outcome) { done(o[0]) })
}

// join takes a new incarnation. That the earlier one is over is certain where
// there can be no other: elsewhere a copy of this command may be late, and end
// the incarnation of a member that has taken the place of this one.
func (m *member) join() {
	if m.joining {
		return
	}
	m.joining = true
	join := &lock.Join{Member: "m", SameDirectory: m.sole || m.w.broken.ClaimsSameDirectory}
	m.pursueOne(join, func(o lock.Outcome) {
		m.joining = false
		if o.Code != lock.OK {
			panic("sim: the table refuses the member")
		}
		m.incarnation = o.Incarnation
		m.w.note(m.name(), "is incarnation %d", o.Incarnation)
		m.sendBeat()
	})
}

// beatOn renews the member's lease while somebody is attached to it.
func (m *member) beatOn() {
	if len(m.sessions)+len(m.callers) > 0 {
		m.sendBeat()
	}
}

func (m *member) sendBeat() {
	if m.incarnation == 0 {
		return
	}
	m.beat++
	number, at, in := m.beat, m.machine.boot(), m.incarnation
	m.w.journal.propose(&proposal{
		commands: []lock.Command{&lock.Beat{Incarnation: in, Number: number}},
		member:   m,
		life:     m.machine.life,
		refused:  func() {},
		applied:  func(o []lock.Outcome) { m.beatTaken(in, at, o[0]) },
	})
}

// beatTaken counts a beat that the table took, from when it was sent.
func (m *member) beatTaken(in lock.Incarnation, at reading, o lock.Outcome) {
	if o.Code != lock.OK || in != m.incarnation {
		return
	}
	if m.w.broken.BeatCountsFromAnswer {
		at = m.machine.boot()
	}
	if at > m.vouchFrom || !m.vouches {
		m.vouchFrom, m.vouches, m.lease = at, true, o.TTL
	}
}

// mayVouch reports whether the member knows that the table holds it for alive.
func (m *member) mayVouch() bool { return m.mayVouchFor(0) }

// mayVouchFor reports whether it knows that for so long from now on.
func (m *member) mayVouchFor(d span) bool {
	if m.incarnation == 0 {
		return false
	}
	if !m.vouches {
		return m.w.broken.ServesBeforeBeat
	}
	return m.sole || m.w.broken.ConfirmsPastLease ||
		m.machine.boot().since(m.vouchFrom)+d < m.w.margin(m.lease)
}

// feed is told of a new entry. A member that has a table of its own applies it
// as soon as it hears of it.
func (m *member) feed(e *entry, r *lock.Result) {
	switch {
	case m.down:
	case m.sole:
		m.applied(e, r)
	default:
		m.backlog = append(m.backlog, e)
		m.machine.after(m.w.latency(), m.catchUp)
	}
}

// catchUp applies what the member has heard of.
func (m *member) catchUp() {
	if wait := m.severedUntil.since(m.w.now); wait > 0 {
		m.machine.after(wait, m.catchUp)
		return
	}
	for len(m.backlog) > 0 && !m.down {
		e := m.backlog[0]
		m.backlog = m.backlog[1:]
		m.index++
		m.applied(e, m.own.Apply(e.Entry))
	}
	if !m.down && m.index == m.w.journal.index {
		m.w.watch.compareTables(m.own)
	}
}

// applied is what the member does when an entry has been applied: it answers
// those whose commands were in it, and tells those whom it concerns.
func (m *member) applied(e *entry, r *lock.Result) {
	for i, c := range e.Commands {
		if _, ok := c.(*lock.Join); ok {
			m.joined = r.Outcomes[i].Incarnation
		}
	}
	next := 0
	for _, p := range e.parts {
		outcomes := r.Outcomes[next : next+len(p.commands)]
		next += len(p.commands)
		if p.member == m && p.life == m.machine.life {
			p.applied(outcomes)
		}
	}
	for i := range r.Settled {
		m.settle(&r.Settled[i])
	}
	for i := range r.Events {
		m.tell(&r.Events[i])
	}
	if m.incarnation != 0 && !m.lives() {
		m.renounce()
	}
}

// lives reports whether the table still knows the member's incarnation. All
// processes here are of one member, so it knows the newest or none.
func (m *member) lives() bool {
	return m.incarnation == m.joined && m.table().Counts().Members > 0
}

// renounce is for a member that has seen its own end: it closes everything and
// takes a new incarnation.
func (m *member) renounce() {
	m.w.note(m.name(), "has seen the end of its incarnation %d", m.incarnation)
	m.incarnation, m.vouches = 0, false
	for len(m.sessions) > 0 {
		m.sessions[0].shut()
	}
	for len(m.callers) > 0 {
		m.callers[0].shut()
	}
	if m.replaced {
		m.retire()
		return
	}
	m.join()
}

// retire ends a process that was replaced.
func (m *member) retire() {
	m.w.watch.trouble(second)
	m.crash()
	m.w.members = slices.DeleteFunc(m.w.members, func(o *member) bool { return m == o })
}

// look is what the member does again and again: it gives up who is silent.
func (m *member) look() {
	now := m.machine.boot()
	m.stalled = now.since(m.looked) > stallLimit
	m.looked = now
	if m.stalled && !m.w.broken.GivesUpUnread {
		m.readAll()
	}
	for _, a := range slices.Clone(m.sessions) {
		a.look()
	}
	for _, c := range slices.Clone(m.callers) {
		c.look()
	}
}

// readAll reads what lies in the sockets: the member has stalled, and its
// clients may have spoken meanwhile.
func (m *member) readAll() {
	for _, a := range slices.Clone(m.sessions) {
		a.plug.arrive()
	}
	for _, c := range slices.Clone(m.callers) {
		c.plug.arrive()
	}
}

// compare detaches what the table shows attached here without a connection.
func (m *member) compare() {
	if m.incarnation == 0 || m.w.broken.ComparesNothing {
		return
	}
	for session, attach := range m.table().AttachedTo(m.incarnation) {
		if !m.carries(session, attach) {
			m.w.note(m.name(), "finds session %d attached as %d without a connection", session, attach)
			m.detach(&lock.Detach{Session: session, Attach: attach}, func() {})
		}
	}
}

// carries reports whether a connection carries a session under a number.
func (m *member) carries(session lock.SessionNumber, attach uint64) bool {
	for _, a := range m.sessions {
		if a.session == session && a.attach == attach {
			return true
		}
	}
	for _, c := range m.callers {
		if c.session == session && c.attach == attach {
			return true
		}
	}
	return false
}
