// Package journal is the contract between the node and whatever puts commands
// into one order: the memory of one process, or a replicated log.
//
// An engine knows order, durability and who leads. It knows nothing of locks:
// commands pass through it as a [Batch] that it cannot look into.
package journal

import (
	"context"
	"errors"
)

// The three endings of a proposal that did not succeed. Every error of
// [Journal.Propose] is one of them, by errors.Is.
var (
	// ErrRefused: nothing happened and nothing will. Proposing again is safe.
	ErrRefused = errors.New("refused")
	// ErrUnknown: it may have happened, or may happen yet. Propose again under
	// the same slot and seq.
	ErrUnknown = errors.New("outcome unknown")
	// ErrFatal: this process must not go on.
	ErrFatal = errors.New("fatal")
)

// ErrDiskFull is wrapped, beside [ErrRefused], by errors of an engine that has no
// room to keep what was proposed. It ends when somebody makes room.
var ErrDiskFull = errors.New("the disk of the data directory is nearly full")

// ErrNewer is wrapped by a machine's errors for what a newer version has written: it is
// no damage, and a newer program can read it.
var ErrNewer = errors.New("written by a newer version")

// Batch is what one proposal carries. The engine hands it to Apply as it is
// where it was proposed, and encoded everywhere else.
type Batch interface {
	// AppendBinary appends the encoded batch. Engines that keep nothing do not call it.
	AppendBinary(b []byte) ([]byte, error)
}

// Entry is one place in the order.
type Entry struct {
	// Index grows by one from entry to entry.
	Index uint64
	// Term in which the entry was appended, StampTerm in which its time was
	// stamped. They differ for an entry that outlived its leader: then no time
	// passed and the leader's own commands are void.
	Term, StampTerm uint64
	// Elapsed is what Stamp returned, in microseconds.
	Elapsed int64
	// Batches in their order: those that were proposed here are the very values
	// given to Propose, others come from Decode.
	Batches []Batch
}

// Machine is what a journal drives. The engine serialises Apply, Snapshot and
// Restore; StartClock, Stamp and Unstamp are serialised among themselves.
type Machine interface {
	// StartClock begins a lead: time counts from now on, and what had gathered
	// in an earlier lead is void. The engine calls it once for each lead, when
	// the backlog is applied, before the lead's first Stamp and before Lead returns.
	StartClock()
	// Stamp returns how much time has passed since the last stamp of this lead,
	// or since its StartClock, in microseconds. The engine calls it once for each entry, after the
	// entry's batches are settled and right before it is appended, and only
	// while it leads with the backlog applied.
	Stamp() int64
	// Unstamp gives the time of a refused entry back, to go into the next one.
	Unstamp(elapsed int64)
	// Apply carries an entry out. It has no side effect but on the machine,
	// does not fail, and does not keep the entry. Results for those who
	// proposed are put into their batches.
	Apply(e Entry)
	// WouldWait reports whether all that a batch asks for would only join queues now, so
	// that nobody gains by its being ordered at once: an engine may let it wait a moment
	// for others to share its entry. It may be called at any time.
	WouldWait(b Batch) bool
	// Decode is the inverse of Batch.AppendBinary.
	Decode(data []byte) (Batch, error)
	// Snapshot starts a view of the state as of now. next returns it chunk by
	// chunk, nil at the end; it may be called while Apply goes on. done ends
	// the view, read to the end or not.
	Snapshot() (next func() ([]byte, error), done func(), err error)
	// Restore replaces the state by one that Snapshot wrote; next returns nil at the end.
	Restore(next func() ([]byte, error)) error
}

// Journal puts batches into one order. All methods are safe for concurrent use.
type Journal interface {
	// Propose puts a batch into the order and returns once this process has
	// applied it, and it is as durable as the engine makes it. The end of ctx
	// makes the outcome unknown unless the batch was not ordered yet. See also [Lend].
	Propose(ctx context.Context, b Batch) error
	// Lead waits until this process leads and has applied the backlog. The
	// returned context ends, with a cause, when the lead is lost.
	Lead(ctx context.Context) (context.Context, error)
	// Barrier returns once everything acknowledged anywhere before the call is
	// applied here: what is read afterwards is current.
	Barrier(ctx context.Context) error
	// Close refuses new proposals, waits for those under way, and ends the lead.
	Close() error
}

// lent is the key of contexts that Lend has made.
type lent struct{}

// Lend returns a context with which [Journal.Propose] may use the goroutine of its caller to
// carry the batch to the disk, which saves changes of goroutines. It may return much later
// than the context ends then, or never, if the disk hangs. So nobody must wait for such a
// goroutine once the journal has failed.
func Lend(ctx context.Context) context.Context { return context.WithValue(ctx, lent{}, true) }

// Lent reports whether a context comes from Lend.
func Lent(ctx context.Context) bool { return ctx.Value(lent{}) != nil }
