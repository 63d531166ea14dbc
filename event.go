package ldlm

import (
	"strconv"
	"time"
)

// EventType says what happened. The set grows.
type EventType uint8

// Types of events. Their numbers are those of the protocol.
const (
	// EventQueued: a request began to wait.
	EventQueued EventType = 1 + iota
	// EventAcquired: a lock was granted.
	EventAcquired
	// EventRenewed: a lease was renewed.
	EventRenewed
	// EventReleased: a hold ended by its client's will.
	EventReleased
	// EventExpired: a hold ended by time, its lease's or its session's.
	EventExpired
	// EventForced: a hold was ended by an administrator.
	EventForced
	// EventCanceled: a wait ended without a grant.
	EventCanceled
	// EventDowngraded: an exclusive hold became a shared one.
	EventDowngraded
	// EventRevoked: an administrator asked for a hold to be let go.
	EventRevoked
	// EventResized: a lock's size changed.
	EventResized
	// EventValueSet: a hold's or session's value changed.
	EventValueSet
	// EventSessionOpened: a session was opened.
	EventSessionOpened
	// EventSessionDetached: a session's connection ended, the session goes on.
	EventSessionDetached
	// EventSessionResumed: a session was resumed.
	EventSessionResumed
	// EventSessionClosed: a session ended by its client's will, or with its connection.
	EventSessionClosed
	// EventSessionExpired: a session ended by time.
	EventSessionExpired
	// EventSessionKilled: a session was ended by an administrator.
	EventSessionKilled
	// EventLeaderChanged: another member leads.
	EventLeaderChanged

	numEventTypes
)

// String returns the name of the type, such as "acquired".
func (t EventType) String() string {
	if t == 0 || t >= numEventTypes {
		return "event of type " + strconv.Itoa(int(t))
	}
	return [numEventTypes]string{
		EventQueued: "queued", EventAcquired: "acquired", EventRenewed: "renewed", EventReleased: "released",
		EventExpired: "expired", EventForced: "forced", EventCanceled: "canceled", EventDowngraded: "downgraded",
		EventRevoked: "revoked", EventResized: "resized", EventValueSet: "value set",
		EventSessionOpened: "session opened", EventSessionDetached: "session detached",
		EventSessionResumed: "session resumed", EventSessionClosed: "session closed",
		EventSessionExpired: "session expired", EventSessionKilled: "session killed",
		EventLeaderChanged: "leader changed",
	}[t]
}

// Event is something that happened on a server.
type Event struct {
	// Number grows by one from event to event.
	Number uint64
	// Type says what.
	Type EventType
	// Time by the wall clock of the server that told it.
	Time time.Time
	// Name of the lock; empty where the event is about a session.
	Name string
	// Session concerned, and what its client says of itself.
	Session uint64
	Client  ClientInfo
	// Token of the hold.
	Token uint64
	// Reason of an end.
	Reason EndReason
	// Waited is how long a grant or an ended wait has waited, Held how long an
	// ended hold was held.
	Waited, Held time.Duration
	// Permits and Shared of the hold or request.
	Permits int
	Shared  bool
	// Size of the lock after a resize.
	Size int
}
