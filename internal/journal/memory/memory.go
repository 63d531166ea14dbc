// Package memory is the journal of one process that forgets at its exit.
//
// The order is the order in which a mutex is taken. A batch is handed to the
// machine as it is, on the goroutine that proposes it: nothing is encoded, no
// goroutine is started, nothing is allocated per entry. Nothing is durable, so
// Snapshot and Restore are never called. The process leads from the beginning
// to Close, in term 1.
//
// What the package does not know: what a batch contains, what time it is, and
// that there could be other members.
package memory

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// errClosed is why a closed journal refuses, and the cause with which its lead ends.
var errClosed = errors.New("the journal is closed")

// term is the only one.
const term = 1

// Journal is a [journal.Journal]. Make one with [Open].
type Journal struct {
	machine journal.Machine
	lead    context.Context
	resign  context.CancelCauseFunc

	// mu is held for a whole Apply: it is what makes the order. Guarded by it:
	mu     sync.Mutex
	index  uint64
	batch  [1]journal.Batch // of the entry being applied; saves an allocation
	closed bool
}

// Open returns a journal that drives m. It leads already.
func Open(m journal.Machine) (journal.Journal, error) {
	j := &Journal{machine: m}
	j.lead, j.resign = context.WithCancelCause(context.Background())
	m.StartClock()
	return j, nil
}

// Propose applies the batch before it returns. Its only errors are refusals:
// ctx had ended, or the journal is closed. A ctx that ends later changes
// nothing.
func (j *Journal) Propose(ctx context.Context, b journal.Batch) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return fmt.Errorf("%w: %w", journal.ErrRefused, errClosed)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", journal.ErrRefused, context.Cause(ctx))
	}
	j.index++
	j.batch[0] = b
	j.machine.Apply(journal.Entry{
		Index: j.index, Term: term, StampTerm: term, Elapsed: j.machine.Stamp(), Batches: j.batch[:],
	})
	j.batch[0] = nil
	return nil
}

// Lead returns at once: nobody else could lead.
func (j *Journal) Lead(context.Context) (context.Context, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, fmt.Errorf("%w: %w", journal.ErrRefused, errClosed)
	}
	return j.lead, nil
}

// Barrier has nothing to wait for: what is acknowledged is applied.
func (j *Journal) Barrier(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return fmt.Errorf("%w: %w", journal.ErrRefused, errClosed)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", journal.ErrRefused, context.Cause(ctx))
	}
	return nil
}

// Close waits for the entry that is being applied, ends the lead and refuses
// everything from then on. Closing again does nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	j.resign(errClosed)
	return nil
}
