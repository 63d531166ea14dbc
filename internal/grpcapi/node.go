package grpcapi

import (
	"context"
	"errors"
	"io"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// Node is what the package asks of the server below it. All methods are safe
// for concurrent use.
//
// Errors say how a call ended: they wrap journal.ErrRefused where nothing has
// happened, journal.ErrUnknown where it may have, and the context's error alone
// where a cancellation was decided. What the table refuses is an outcome, not an
// error.
type Node interface {
	// Call carries one command to its final outcome; an acquire that is queued
	// waits until it is settled, and one without a key is given one. If ctx
	// ends first, the request is cancelled in the table, unless the cause of
	// the end has a method KeepsPlace that returns true: then it is left as it is.
	Call(ctx context.Context, c lock.Command) (lock.Outcome, error)
	// Attach opens a session for a connection. The link is nil unless the
	// outcome is OK.
	Attach(ctx context.Context, open *lock.Open) (Link, lock.Outcome, error)

	// Lookup returns a lock; false if there is none of that name.
	Lookup(ctx context.Context, name string) (lock.LockView, bool, error)
	// List returns up to limit locks from a place on, and the place to go on
	// from; 0 is the beginning, and the end.
	List(ctx context.Context, f lock.LockFilter, after uint64, limit int) ([]lock.LockView, uint64, error)
	// Sessions returns sessions as List does locks.
	Sessions(ctx context.Context, after lock.SessionNumber, limit int) ([]lock.SessionView, lock.SessionNumber, error)
	// LookupSession returns a session; false if there is none of that number.
	LookupSession(ctx context.Context, number lock.SessionNumber) (lock.SessionView, bool, error)
	// HoldsOf returns up to limit holds of a session, and up to as many of its
	// places in queues.
	HoldsOf(ctx context.Context, number lock.SessionNumber, limit int) ([]lock.HoldView, []lock.WaitView, error)
	// Counts returns figures of the table, Token the token of the newest grant.
	Counts() lock.Counts
	Token() lock.Token
	// QuietLeft is for how long nothing is granted yet.
	QuietLeft() time.Duration
	// Recent gives the newest events of a lock that are still known, at most so
	// many, to each in their order.
	Recent(name string, most int, each func(e *lock.Event, wall time.Time))
	// Watch subscribes to the events of the lock of this name, or of those
	// whose names begin with prefix, or to all; after the event of that number,
	// 0 for what happens from now on. The error wraps ErrReset if those events
	// are gone.
	Watch(name, prefix string, after uint64) (Watch, error)
}

// Directory is the data directory, if there is one. All methods are safe for
// concurrent use.
type Directory interface {
	// Status says how it is.
	Status() *ldlmv2.DataDirectory
	// SaveSnapshot takes a snapshot and writes its file to w, which may be slow.
	SaveSnapshot(ctx context.Context, w io.Writer) error
}

// Link is a connection of a session, as the node has it.
type Link interface {
	// Session is the session's number, Number that of the connection.
	Session() lock.SessionNumber
	Number() uint64
	// Mute says that the client cannot be told of what happens to its holds.
	Mute()
	// Notify has f called when the link ends, at once if it has. f is called
	// with mutexes held: it neither waits nor uses the link.
	Notify(f func())
	// Reason says why the link has ended; nil while it has not.
	Reason() error
	// Detach reports the end of the connection, and whether the client's side
	// ended it. It does not wait.
	Detach(silent time.Duration, byClient bool)
}

// Watch is a subscription to events.
type Watch interface {
	// From is the number of the newest event before the subscription.
	From() uint64
	// Next waits for events and gives them to each in their order, with the
	// wall clock of this process. Its error wraps ErrReset if events were missed.
	Next(ctx context.Context, each func(e *lock.Event, wall time.Time)) error
	// Close ends the subscription.
	Close()
}

// ErrReset is wrapped by errors of a [Watch] that has missed events.
var ErrReset = errors.New("events were missed")
