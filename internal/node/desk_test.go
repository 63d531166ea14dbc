package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ending is how a desk lets a proposal end.
type ending int

const (
	pass   ending = iota // applied
	refuse               // not applied, and said so
	lose                 // not applied, and nobody knows
	hide                 // applied, and nobody knows
	delay                // applied by late, and nobody knows until then
	gather               // applied by flush, in one entry with all others that wait
	doom                 // the journal is at its end
)

// desk is a journal in memory that keeps a record of its entries, and ends
// proposals as the test says.
type desk struct {
	machine journal.Machine

	mu       sync.Mutex
	index    uint64
	term     uint64
	judge    func(c lock.Command) ending // nil passes everything
	delayed  []journal.Batch
	gathered []gatheredBatch
	entries  [][]lock.Command
	lead     context.Context
	resign   context.CancelCauseFunc
	led      chan struct{} // closed when somebody leads
	closed   bool
}

type gatheredBatch struct {
	batch journal.Batch
	done  chan struct{}
}

var errDeskClosed = errors.New("the desk is closed")

func openDesk(m journal.Machine) *desk {
	d := &desk{machine: m, led: make(chan struct{})}
	d.takeLead()
	return d
}

// takeLead begins a new term.
func (d *desk) takeLead() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.term++
	d.lead, d.resign = context.WithCancelCause(context.Background())
	d.machine.StartClock()
	close(d.led)
}

// loseLead lets nobody lead: everything is refused.
func (d *desk) loseLead(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.led = make(chan struct{})
	d.resign(cause)
	d.lead = nil
}

func (d *desk) Propose(ctx context.Context, b journal.Batch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("%w: %w", journal.ErrRefused, errDeskClosed)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", journal.ErrRefused, ctx.Err())
	}
	if d.lead == nil {
		return fmt.Errorf("%w: nobody leads", journal.ErrRefused)
	}
	switch d.verdict(b.(*batch).commands) {
	case refuse:
		d.machine.Unstamp(d.machine.Stamp())
		return fmt.Errorf("%w: by the test", journal.ErrRefused)
	case lose:
		return fmt.Errorf("%w: by the test", journal.ErrUnknown)
	case hide:
		d.apply(b)
		return fmt.Errorf("%w: by the test", journal.ErrUnknown)
	case delay:
		d.delayed = append(d.delayed, b)
		return fmt.Errorf("%w: by the test", journal.ErrUnknown)
	case doom:
		return fmt.Errorf("%w: by the test", journal.ErrFatal)
	case gather:
		return d.wait(b)
	default:
		d.apply(b)
		return nil
	}
}

// verdict is the worst ending of the commands of a batch.
func (d *desk) verdict(commands []lock.Command) (worst ending) {
	if d.judge == nil {
		return pass
	}
	if len(commands) == 0 {
		return d.judge(nil)
	}
	for _, c := range commands {
		worst = max(worst, d.judge(c))
	}
	return worst
}

// apply is called with mu held.
func (d *desk) apply(batches ...journal.Batch) {
	d.index++
	var commands []lock.Command
	for _, b := range batches {
		commands = append(commands, b.(*batch).commands...)
	}
	d.entries = append(d.entries, commands)
	d.machine.Apply(journal.Entry{
		Index: d.index, Term: d.term, StampTerm: d.term, Elapsed: d.machine.Stamp(), Batches: batches,
	})
}

// wait is called with mu held, and lets go of it while it waits.
func (d *desk) wait(b journal.Batch) error {
	g := gatheredBatch{b, make(chan struct{})}
	d.gathered = append(d.gathered, g)
	d.mu.Unlock()
	defer d.mu.Lock()
	<-g.done
	return nil
}

// flush applies everything that was gathered in one entry.
func (d *desk) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	var batches []journal.Batch
	for _, g := range d.gathered {
		batches = append(batches, g.batch)
	}
	d.apply(batches...)
	for _, g := range d.gathered {
		close(g.done)
	}
	d.gathered = nil
}

// late applies what was delayed.
func (d *desk) late() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.delayed {
		d.apply(b)
	}
	d.delayed = nil
}

// elsewhere applies a batch as if another member had proposed it.
func (d *desk) elsewhere(t *testing.T, commands ...lock.Command) {
	t.Helper()
	data, err := newBatch(commands...).AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.machine.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.apply(b)
}

// rule sets how proposals end from now on; nil lets all of them pass.
func (d *desk) rule(judge func(c lock.Command) ending) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.judge = judge
}

// only lets proposals with a command of the type of like end so, and all others pass.
func only(like lock.Command, e ending) func(lock.Command) ending {
	return func(c lock.Command) ending {
		if fmt.Sprintf("%T", c) == fmt.Sprintf("%T", like) {
			return e
		}
		return pass
	}
}

// count counts the entries since a number of them that have a command of the
// type of like; all entries if that is nil.
func (d *desk) count(since int, like lock.Command) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, commands := range d.entries[since:] {
		if like == nil {
			n++
			continue
		}
		for _, c := range commands {
			if fmt.Sprintf("%T", c) == fmt.Sprintf("%T", like) {
				n++
				break
			}
		}
	}
	return n
}

func (d *desk) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.entries)
}

func (d *desk) Lead(ctx context.Context) (context.Context, error) {
	for {
		d.mu.Lock()
		lead, led, closed := d.lead, d.led, d.closed
		d.mu.Unlock()
		switch {
		case closed:
			return nil, fmt.Errorf("%w: %w", journal.ErrRefused, errDeskClosed)
		case lead != nil:
			return lead, nil
		}
		select {
		case <-led:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (d *desk) Barrier(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errDeskClosed
	}
	return ctx.Err()
}

func (d *desk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.resign(errDeskClosed)
	return nil
}
