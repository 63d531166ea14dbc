package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// machine is the side of a node that its journal drives.
type machine Node

var _ journal.Machine = (*machine)(nil)

// StartClock begins a lead.
func (m *machine) StartClock() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock.start(time.Now())
}

// Stamp looks at the clock and hands out everything that has gathered.
func (m *machine) Stamp() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, deadline := m.table.NextDeadline()
	m.clock.look(time.Now(), deadline)
	return m.clock.take()
}

// Unstamp takes back what a refused entry would have carried.
func (m *machine) Unstamp(elapsed int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock.putBack(elapsed)
}

// Apply carries an entry out and hands what came of it to whoever it concerns:
// first the answers of its commands, then the requests that were settled, then
// notices of what ended.
func (m *machine) Apply(e journal.Entry) {
	n := (*Node)(m)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.parted() != nil {
		return
	}
	commands := n.commandsOf(e.Batches)
	r := n.table.Apply(lock.Entry{
		Term: e.Term, StampTerm: e.StampTerm, Elapsed: lock.Duration(e.Elapsed), Commands: commands,
	})
	now := time.Now()
	n.clock.applied = now
	outcomes, own := r.Outcomes, false
	for _, b := range e.Batches {
		b := b.(*batch)
		own = own || !b.foreign
		n.answer(b, outcomes[:len(b.commands)], e.Index)
		outcomes = outcomes[len(b.commands):]
	}
	for i := range r.Settled {
		n.settle(&r.Settled[i], e.Index)
	}
	if len(r.Events) > 0 {
		n.marks.changed = true
		n.tell(r.Events, commands, e.Index)
		n.herald.publish(r.Events, now)
		if own {
			n.scribe.take(n.ctx, r.Events)
		}
	}
	clear(n.commands)
	n.commands = n.commands[:0]
	n.wakeForDeadline()
}

// commandsOf lists the commands of an entry, without copying if there is one batch.
func (n *Node) commandsOf(batches []journal.Batch) []lock.Command {
	if len(batches) == 1 {
		return batches[0].(*batch).commands
	}
	for _, b := range batches {
		n.commands = append(n.commands, b.(*batch).commands...)
	}
	return n.commands
}

// wakeForDeadline wakes the timekeeper if it would look too late for what is
// due next.
func (n *Node) wakeForDeadline() {
	next, ok := n.table.NextDeadline()
	if !ok {
		return
	}
	n.clock.bounded = true
	if n.clock.oversleeps(lock.Duration(next - n.table.Now())) {
		signal(n.wakeTimekeeper)
	}
}

// WouldWait reports whether a batch has nothing but requests that would only queue.
func (m *machine) WouldWait(b journal.Batch) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range b.(*batch).commands {
		if a, ok := c.(*lock.Acquire); !ok || !m.table.WouldQueue(a) {
			return false
		}
	}
	return true
}

// Decode reads what AppendBinary wrote.
func (m *machine) Decode(data []byte) (journal.Batch, error) {
	commands, err := lock.DecodeCommands(data)
	if err == nil {
		err = lock.CheckLevel(commands, m.cfg.Level)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", journal.ErrNewer, err)
	}
	return &batch{commands: commands, foreign: true}, nil
}

// Snapshot starts a view of the table.
func (m *machine) Snapshot() (next func() ([]byte, error), done func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := (*Node)(m).parted(); err != nil {
		return nil, nil, err
	}
	s := m.table.Snapshot()
	next = func() ([]byte, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		chunk, ok := s.Next()
		if !ok {
			return nil, nil
		}
		return chunk, nil
	}
	done = func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		s.Close()
	}
	return next, done, nil
}

// Restore replaces the table. What happened between the old one and the new is
// not known: waiters ask again, links end so that their clients resume and are
// told what they still have, watchers are reset. Time that had gathered for the
// old table is void.
func (m *machine) Restore(next func() ([]byte, error)) error {
	r := lock.NewRestorer()
	for {
		chunk, err := next()
		if err != nil {
			return fmt.Errorf("read a snapshot: %w", err)
		}
		if chunk == nil {
			break
		}
		switch err := r.Write(chunk); {
		case errors.Is(err, lock.ErrNewerFormat):
			return fmt.Errorf("%w: restore a snapshot: %w", journal.ErrNewer, err)
		case err != nil:
			return fmt.Errorf("restore a snapshot: %w", err)
		}
	}
	table, err := r.Table()
	if err != nil {
		return fmt.Errorf("restore a snapshot: %w", err)
	}
	if level := table.Settings().Format; level > m.cfg.Level {
		return fmt.Errorf("%w: restore a snapshot: its format is of level %d, this program knows level %d", journal.ErrNewer, level, m.cfg.Level)
	}
	n := (*Node)(m)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.table, n.marks = table, marks{}
	now := time.Now()
	n.clock.skip(now)
	n.clock.applied = now
	for _, w := range n.waiters {
		w.askAgain()
	}
	for _, l := range n.links {
		l.finish(ErrDetached)
	}
	clear(n.links)
	for session, attach := range table.AttachedTo(n.incarnation) {
		n.clerk.add(&lock.Detach{Session: session, Attach: attach})
	}
	n.herald.restart()
	n.wakeForDeadline()
	return nil
}
