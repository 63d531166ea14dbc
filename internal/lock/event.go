package lock

// EventType says what happened.
type EventType uint8

// Types of events.
const (
	// RequestQueued: a request began to wait.
	RequestQueued EventType = 1 + iota
	// HoldAcquired: a lock was granted.
	HoldAcquired
	// HoldRenewed: a lease was renewed.
	HoldRenewed
	// HoldReleased: a hold ended by its client's will (Released, SessionClosed, GivenBack).
	HoldReleased
	// HoldExpired: a hold ended by time (Expired, SessionExpired).
	HoldExpired
	// HoldForced: a hold was ended by an administrator.
	HoldForced
	// WaitEnded: a wait ended without a grant.
	WaitEnded
	// HoldDowngraded: exclusive became shared.
	HoldDowngraded
	// HoldRevoked: an administrator asked for the hold to be let go. It is told
	// again whenever the session gets a new connection, or asks again for what
	// it was granted.
	HoldRevoked
	// LockResized: the size changed.
	LockResized
	// ValueSet: the value of a hold or session changed.
	ValueSet
	// SessionOpened: a session was opened.
	SessionOpened
	// SessionDetached: its connection ended and the session goes on.
	SessionDetached
	// SessionResumed: it has a new connection.
	SessionResumed
	// SessionEnded: it ended; Reason is SessionClosed, SessionExpired or Forced.
	SessionEnded
	// LeaderChanged: another member leads.
	LeaderChanged

	numEventTypes
)

// Event is something that happened. Number and Time give all events of a table
// one order.
type Event struct {
	// Number grows by one from event to event.
	Number uint64
	// Time on the table's clock.
	Time Time
	Type EventType
	// Reason of an end.
	Reason EndReason
	Mode   Mode
	// OnEnd and Attach of a session's events: Attach is the connection that it
	// concerns.
	Permits uint32
	// Size of the lock, after a resize the new one.
	Size uint32
	// Name of the lock; empty in a session's events.
	Name string
	// Session concerned; 0 outside sessions. Info is its description.
	Session SessionNumber
	Info    *Info
	// Attach is the number of the session's newest connection.
	Attach uint64
	// Token and Key of the hold.
	Token Token
	Key   Key
	// Waited is how long a grant or an ended wait has waited.
	Waited Duration
	// Held is how long an ended hold was held.
	Held Duration
	// Text is the reason that an administrator gave, or the member that leads.
	Text string
}
