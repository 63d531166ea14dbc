package sessionapi

import (
	"context"
	"errors"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// Node is what the package asks of the server below it. All methods are safe
// for concurrent use. Errors that wrap [ErrRefused] say that nothing happened;
// after all others it may have.
type Node interface {
	// Attach opens a session, or finds the one that the same secret opened, for
	// a connection. The incarnation is the node's to fill in. The link is nil
	// unless the outcome is OK.
	Attach(ctx context.Context, open *lock.Open) (Link, lock.Outcome, error)
	// Resume attaches a session to a new connection, likewise.
	Resume(ctx context.Context, resume *lock.Resume) (Link, lock.Outcome, error)
	// NewRound returns a round with nothing in it. It is called only where there are
	// pollers.
	NewRound() Round
}

// Round gathers what several links submit at about the same time, so that they share
// what submitting costs. It is not safe for concurrent use.
type Round interface {
	// Add adds what a link of this node has to say, as with [Link.Submit]. The
	// commands are the round's until Submit has reported on them.
	Add(l Link, commands []lock.Command)
	// Submit carries out what was added, in the order of its adding, and calls done
	// for each with what [Link.Submit] would have returned. The round is empty then.
	Submit(ctx context.Context, done func(i int, err error))
}

// Link is a connection of a session, as the node has it. All methods but Take
// are safe for concurrent use.
type Link interface {
	// Session is the session's number, Number that of the connection.
	Session() lock.SessionNumber
	Number() uint64
	// Submit carries commands out as one batch, in their order. Answers to them
	// are there to be taken when it returns nil; so the commands may be used
	// again then.
	Submit(ctx context.Context, commands []lock.Command) error
	// Take calls each for everything that the client has to be told and was not
	// yet, oldest first, and holds no mutex meanwhile. It does not wait. The
	// notice is good during the call. One call at a time.
	Take(each func(*Notice))
	// Notify has f called when there is something to take that did not come of
	// a Submit, and when the link has ended; at once if so it is. f is called
	// with mutexes held: it neither waits nor uses the link.
	Notify(f func())
	// Confirm says whether a keep-alive that has been read may be confirmed, and
	// for how long the session is then the client's, counted from before it was
	// sent. Notices of what has ended by then can be taken.
	Confirm() (validFor time.Duration, ok bool)
	// Ended is closed before Notify tells of the end; Why then says why: SessionLost
	// with the reason of the session's end, Superseded, or MemberEnded if the
	// session may be resumed.
	Ended() <-chan struct{}
	Why() (lock.Code, lock.EndReason)
	// Detach reports the end of the connection: how long ago the last confirmed
	// message was read, and whether the client's side ended it. Nothing is
	// confirmed any more from then on. It does not wait; again it does nothing.
	Detach(silent time.Duration, byClient bool)
}

// ErrRefused is wrapped by errors of a [Node] after which nothing has happened
// and nothing will.
var ErrRefused = errors.New("refused")

// NoticeKind says what a [Notice] tells.
type NoticeKind uint8

// Kinds of notices.
const (
	// Answer is the outcome of the command with this slot and seq. A queued
	// acquire gets two.
	Answer NoticeKind = iota
	// Lost tells that a hold has ended without the client's asking.
	Lost
	// Revoked tells that a hold ends soon unless the client releases it before.
	Revoked
)

// Notice is one thing that a client has to be told.
type Notice struct {
	Kind NoticeKind
	// Reason of Lost.
	Reason lock.EndReason
	// Slot and Seq of an Answer.
	Slot uint32
	Seq  uint64
	// Name and Token of a Lost or Revoked hold.
	Name  string
	Token lock.Token
	// Outcome of an Answer.
	Outcome *lock.Outcome
}
