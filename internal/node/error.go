package node

import (
	"errors"
	"fmt"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// Errors of a node, for errors.Is.
var (
	// ErrClosed says that the node is closed, or that its journal has failed.
	// What was under way may have happened.
	ErrClosed = errors.New("the node is closed")
	// ErrReset says that a watcher has missed events. List, then watch anew.
	ErrReset = errors.New("events were missed")
	// ErrSuperseded ends a link whose session has a newer connection.
	ErrSuperseded = errors.New("a newer connection of the session has taken over")
	// ErrDetached ends a link that the table does not count as its session's
	// connection any more; the session may be resumed.
	ErrDetached = errors.New("the connection was detached from its session")
)

// SessionEndedError ends a link whose session has ended.
type SessionEndedError struct {
	// Reason is SessionClosed, SessionExpired or Forced.
	Reason lock.EndReason
}

func (e *SessionEndedError) Error() string {
	switch e.Reason {
	case lock.SessionExpired:
		return "the session has expired"
	case lock.Forced:
		return "the session was ended by an administrator"
	default:
		return "the session is closed"
	}
}

// refused wraps an error of the node's own as one that the journal would have
// given: nothing happened. One of the journal's stays as it is.
func refused(err error) error {
	if errors.Is(err, journal.ErrRefused) {
		return err
	}
	return fmt.Errorf("%w: %w", journal.ErrRefused, err)
}

// unknown says that a command may have happened, and why nobody waited longer.
func unknown(err error) error { return fmt.Errorf("%w: %w", journal.ErrUnknown, err) }
