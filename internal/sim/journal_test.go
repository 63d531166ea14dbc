package sim

import (
	"slices"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// journal is a model of what puts commands into one order: of the memory of a
// process, of one with a disk, or of several whose leaders change. Proposals
// can be refused, be late, overtake each other, happen although nobody learned
// of it, and outlive their leader. The table behind it is the real one.
type journal struct {
	w     *world
	table *lock.Table
	// life numbers the tables: a server in memory begins anew with each start.
	life  int
	term  uint64
	index uint64
	// leader is who stamps; nil while nobody leads.
	leader *leader
	// seats are the machines that can lead.
	seats []*seat
	// under is what was appended and is not applied yet, in order.
	under []*entry
}

// proposal is commands on their way into the order.
type proposal struct {
	commands []lock.Command
	// member and its process that asks; nil for the leader itself.
	member *member
	life   int
	// applied is told the outcomes, refused that nothing happened, unknown that
	// it may have.
	applied func([]lock.Outcome)
	refused func()
}

// entry is a place in the order, or one that was not reached.
type entry struct {
	lock.Entry
	from  *leader
	parts []*proposal
	done  bool
}

// propose sends commands towards the order.
func (j *journal) propose(p *proposal) {
	w := j.w
	if w.plan.journal == inMemory {
		w.in(0, func() { j.arrive(p) })
		return
	}
	switch {
	case w.now < p.member.severedUntil:
	case w.happens(w.plan.lose):
		w.watch.trouble(pursuitEvery)
	case w.happens(w.plan.refuse):
		w.in(w.latency(), func() { j.refuse(p) })
	default:
		w.in(j.forwarding(), func() { j.arrive(p) })
	}
}

// forwarding is how long a proposal takes to the leader.
func (j *journal) forwarding() span {
	if j.w.happens(j.w.plan.lateProposal) {
		d := j.w.between(0, j.w.plan.lateProposalMost)
		j.w.watch.trouble(d)
		return d
	}
	return j.w.latency()
}

// arrive hands a proposal to whoever leads.
func (j *journal) arrive(p *proposal) {
	l := j.leader
	switch {
	case l == nil || !l.established:
		j.refuse(p)
	case l.machine.halted:
		l.machine.overdue = append(l.machine.overdue, func() { j.arrive(p) })
	default:
		l.take(p)
	}
}

func (j *journal) refuse(p *proposal) {
	if p.member != nil && p.member.machine.life == p.life {
		p.member.machine.after(0, p.refused)
	}
}

// append puts a stamped entry into the order, if its leader still leads.
func (j *journal) append(e *entry) {
	w := j.w
	switch {
	case w.plan.journal == inMemory:
		e.Term = j.term
		j.commit(e)
	case e.from != j.leader:
		// The leader has lost the lead since. What it passes on now is refused,
		// or is appended by whoever leads, because nobody asks for its term.
		if w.happens(w.plan.outlive) {
			w.in(w.between(0, 2*second), func() { j.appendStale(e) })
		}
	case w.happens(w.plan.turnAway):
		e.from.putBack(e)
		for _, p := range e.parts {
			j.refuse(p)
		}
	default:
		e.Term = j.term
		j.store(e)
	}
}

// appendStale appends an entry that has outlived its leader.
func (j *journal) appendStale(e *entry) {
	if j.leader == nil {
		return
	}
	e.Term, e.from = j.term, j.leader
	j.w.note("journal", "takes an entry stamped in term %d in term %d, +%s", e.StampTerm, e.Term, e.Elapsed)
	j.store(e)
}

// store makes an entry durable, which takes its time. Entries become durable
// in their order.
func (j *journal) store(e *entry) {
	w := j.w
	j.under = append(j.under, e)
	d := w.between(w.plan.store/4, w.plan.store)
	if w.happens(w.plan.slowStore) {
		d += w.between(0, w.plan.slowStoreMost)
		w.watch.trouble(d)
	}
	if d > unknownAfter && w.broken.ReturnsUnknownTime {
		w.in(unknownAfter, func() { e.from.gathered += e.Elapsed })
	}
	w.in(d, func() {
		e.done = true
		for len(j.under) > 0 && j.under[0].done {
			first := j.under[0]
			j.under = j.under[1:]
			j.commit(first)
		}
	})
}

// unknownAfter is how long somebody waits for an entry before its outcome
// counts as unknown.
const unknownAfter = second

// commit applies an entry.
func (j *journal) commit(e *entry) {
	if e.Term < e.from.term || j.term < e.Term {
		panic("sim: an entry from the future")
	}
	j.index++
	r := j.table.Apply(e.Entry)
	if e.StampTerm == e.Term {
		e.from.inFlight -= e.Elapsed
	}
	j.w.watch.applied(e, r)
	for _, m := range slices.Clone(j.w.members) {
		m.feed(e, r)
	}
}

// begin makes a new table: the first of a run, or that of a server in memory
// that starts again. Its clients of before may believe for a while yet, so it
// grants nothing in that time.
func (j *journal) begin(wall uint64, quiet span) {
	if j.w.broken.BornWithoutWall {
		wall = 0
	}
	if j.w.broken.BornWithoutQuiet {
		quiet = 0
	}
	j.table = lock.New()
	j.life++
	j.table.Apply(lock.Entry{Commands: []lock.Command{
		&lock.Birth{Wall: wall, Quiet: quiet},
		&lock.SetSettings{Settings: j.w.plan.settings()},
	}})
}

// elect gives the lead to another machine, or anew to the same. Of what was
// under way some is in the order already, the rest is lost or comes later.
func (j *journal) elect(s *seat) {
	w := j.w
	j.depose()
	j.term++
	l := &leader{j: j, seat: s, machine: s.machine, life: s.machine.life, term: j.term}
	j.leader = l
	w.note("journal", "term %d is led by %s", j.term, s.machine.name)
	l.establish()
}

// depose ends the lead, if somebody has it.
func (j *journal) depose() {
	w := j.w
	if j.leader == nil {
		return
	}
	j.leader = nil
	kept := w.chance.IntN(len(j.under) + 1)
	lost := j.under[kept:]
	j.under = j.under[:kept]
	for len(j.under) > 0 {
		first := j.under[0]
		j.under = j.under[1:]
		j.commit(first)
	}
	for _, e := range lost {
		w.note("journal", "loses an entry of %d commands", len(e.Commands))
		if w.happens(w.plan.outlive) {
			w.in(w.between(0, 3*second), func() { j.appendStale(e) })
		}
	}
}

// reload replaces the table by what a snapshot of it says, as a process does
// that starts again with a disk.
func (j *journal) reload() {
	if t := j.copyTable(); t != nil {
		j.table = t
	}
}

// copyTable saves the table and restores it.
func (j *journal) copyTable() *lock.Table {
	s, r := j.table.Snapshot(), lock.NewRestorer()
	defer s.Close()
	for chunk, ok := s.Next(); ok; chunk, ok = s.Next() {
		if err := r.Write(chunk); err != nil {
			j.w.watch.fail(safety, "broken table", "restoring a snapshot: %v", err)
			return nil
		}
	}
	table, err := r.Table()
	if err != nil {
		j.w.watch.fail(safety, "broken table", "restoring a snapshot: %v", err)
		return nil
	}
	j.w.watch.compareTables(table)
	return table
}
