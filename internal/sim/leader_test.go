package sim

import "github.com/ldlm-io/ldlm/internal/lock"

// stallLimit is the most that one look at the clock adds to the time that the
// next entry carries.
const stallLimit = second / 2

// seat is a machine that can lead, and what it remembers from lead to lead.
type seat struct {
	machine *machine
	// looked is when it looked at its clock last, in whatever lead.
	looked reading
}

// leader stamps: it gathers proposals into entries and says how much time has
// passed. It is one lead of one machine.
type leader struct {
	j       *journal
	seat    *seat
	machine *machine
	life    int
	term    uint64
	// established says that the backlog is applied and the clock started.
	established bool

	batch    []*proposal
	planned  bool // the batch will be closed
	stamp    span // of the batch, if it was stamped too early
	gathered span
	inFlight span // stamped and not applied
	bounded  bool // the table has had a deadline since the last look
}

// establish begins the lead once the backlog is applied.
func (l *leader) establish() {
	w := l.j.w
	begin := func() {
		if l.j.leader != l {
			return
		}
		l.established = true
		if !w.broken.CountsEarlierLead || l.seat.looked == 0 {
			l.seat.looked = l.machine.boot()
		}
		l.bounded = true
		l.keepTime()
	}
	if w.plan.journal == inMemory {
		begin()
		return
	}
	l.machine.after(w.between(10*millisecond, 100*millisecond), begin)
}

// deadline returns the next deadline of the table.
func (l *leader) deadline() (lock.Time, bool) { return l.j.table.NextDeadline() }

// look adds what has passed since the last look. Where nothing has a deadline
// nothing can end, so that all of it counts; else a leader that stalled counts
// little.
func (l *leader) look() {
	now := l.machine.boot()
	passed := now.since(l.seat.looked)
	_, deadline := l.deadline()
	if (l.bounded || deadline) && !l.j.w.broken.CountsStalls {
		passed = min(passed, stallLimit)
	}
	l.seat.looked, l.bounded = now, deadline
	l.gathered += passed
}

// take puts a proposal into the next entry.
func (l *leader) take(p *proposal) {
	w := l.j.w
	l.batch = append(l.batch, p)
	if l.planned {
		return
	}
	if w.broken.StampsBeforeClosing {
		l.stamp = l.takeTime()
	}
	if w.plan.journal == inMemory {
		l.close()
		return
	}
	l.planned = true
	l.machine.after(w.between(0, w.plan.gather), l.close)
}

// close closes the batch, then stamps it, then has it appended.
func (l *leader) close() {
	w := l.j.w
	e := &entry{from: l, parts: l.batch}
	e.StampTerm = l.term
	for _, p := range l.batch {
		e.Commands = append(e.Commands, p.commands...)
	}
	l.batch, l.planned = nil, false
	if e.Elapsed = l.stamp; !w.broken.StampsBeforeClosing {
		e.Elapsed = l.takeTime()
	}
	l.stamp = 0
	l.inFlight += e.Elapsed
	l.j.append(e)
}

// takeTime stamps: a look, and all that has gathered.
func (l *leader) takeTime() span {
	l.look()
	passed := l.gathered
	l.gathered = 0
	return passed
}

// putBack is for the time of an entry that was refused.
func (l *leader) putBack(e *entry) {
	l.inFlight -= e.Elapsed
	if l.j.w.broken.LosesRefusedTime {
		return
	}
	l.gathered += e.Elapsed
}

// keepTime looks at the clock, and proposes an entry when something is due.
func (l *leader) keepTime() {
	if l.j.leader != l || l.j.w.broken.LooksOnlyAtStamps {
		return
	}
	l.machine.after(stallLimit/4, l.keepTime)
	at, deadline := l.deadline()
	if !deadline {
		return
	}
	l.look()
	if l.j.table.Now()+lock.Time(l.inFlight+l.gathered) >= at && len(l.batch) == 0 {
		l.take(&proposal{})
	}
}
