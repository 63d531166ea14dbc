package ldlm

import (
	"fmt"
	"time"
)

// LostError is the involuntary end of a hold. It is the cause of the contexts
// that the hold gave out, and matches [ErrLost].
//
// A loss is final. Somebody else may hold the lock by now; what this program
// still sends to others should carry the fencing token, so that they can refuse it.
type LostError struct {
	// Name of the lock; of several granted together, the first.
	Name string
	// Token of the hold.
	Token uint64
	// Reason says why it ended.
	Reason EndReason
	// LastRenewed is when the last message was sent whose answer confirmed the
	// hold, by the local wall clock; zero if it is not known.
	LastRenewed time.Time
}

// Error says which lock was lost, and why.
func (e *LostError) Error() string {
	s := fmt.Sprintf("ldlm: lock %q was lost: %s", shortened(e.Name), e.Reason)
	if !e.LastRenewed.IsZero() {
		s += ", last confirmed " + e.LastRenewed.Format(time.RFC3339Nano)
	}
	return s
}

// Unwrap returns [ErrLost].
func (e *LostError) Unwrap() error { return ErrLost }

// EndReason says why a hold or a wait ended.
type EndReason uint8

// Reasons. The set grows.
const (
	// ReasonUnknown: the server did not say, or said something new.
	ReasonUnknown EndReason = iota
	// ReasonReleased: somebody who had the key released it.
	ReasonReleased
	// ReasonExpired: its lease was over.
	ReasonExpired
	// ReasonSessionClosed: its session was closed, or ended with its connection.
	ReasonSessionClosed
	// ReasonSessionExpired: its session was silent for its ttl.
	ReasonSessionExpired
	// ReasonForced: an administrator ended it.
	ReasonForced
	// ReasonCanceled: the request was cancelled, or the grant given back.
	ReasonCanceled
	// ReasonTimeout: the wait was over.
	ReasonTimeout
	// ReasonResized: the request wants more permits than the lock has now.
	ReasonResized
	// ReasonRevoked: an administrator wants it back. It ends when it is
	// released, or when this client must believe it lost.
	ReasonRevoked
	// ReasonUnconfirmed: no server confirmed the session in time, by this
	// machine's own clock.
	ReasonUnconfirmed
	// ReasonMaxHold: it was held for as long as [MaxHold] allows.
	ReasonMaxHold

	numReasons
)

// String returns a few words for people.
func (r EndReason) String() string {
	if r >= numReasons {
		r = ReasonUnknown
	}
	return [numReasons]string{
		ReasonUnknown:        "no reason given",
		ReasonReleased:       "released by key",
		ReasonExpired:        "its lease was over",
		ReasonSessionClosed:  "its session was closed",
		ReasonSessionExpired: "its session expired",
		ReasonForced:         "ended by an administrator",
		ReasonCanceled:       "cancelled",
		ReasonTimeout:        "the wait was over",
		ReasonResized:        "the lock was resized",
		ReasonRevoked:        "revoked by an administrator",
		ReasonUnconfirmed:    "no server confirmed the session in time",
		ReasonMaxHold:        "held for as long as it may be",
	}[r]
}
