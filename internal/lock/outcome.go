package lock

// Outcome is the answer to a command, or the end of a request that waited.
type Outcome struct {
	Code Code
	// Self says that the request waits for, or was refused because of, a hold
	// of its own session.
	Self bool
	// AtOnce says that a grant was given without waiting.
	AtOnce bool
	// Reason of the end, with Ended and with an ended wait.
	Reason EndReason
	// Ahead counts the requests before a Queued one in its longest queue.
	Ahead uint32

	// Token, Fence and Key of a grant. Fence is that of the first lock.
	Token Token
	Fence Token
	Key   Key
	// Fences of a grant of several locks, in the order asked; nil for one lock.
	Fences []Token
	// Waited is how long a grant, or a request that ended, has waited.
	Waited Duration

	// Session and Attach of Open and Resume, with the ttl in force.
	Session SessionNumber
	Attach  uint64
	TTL     Duration
	// Alive is what a resumed session has; nil if the session is new.
	Alive *Alive
	// Incarnation of Join.
	Incarnation Incarnation

	// Count is how many locks were collected, or holds ended.
	Count int
	// MayBelieve is how long the holder may still believe in a hold that was
	// ended by force.
	MayBelieve Duration
	// Hash of Mark.
	Hash Hash

	// Field and Limit of Invalid and Limit. Field is one of the Field constants.
	Field Field
	Limit int64
	// Blocker of Held and WaitTimeout.
	Blocker *Blocker
}

// Alive lists what a resumed session still has. What is missing is lost.
type Alive struct {
	Tokens []Token
	Slots  []SlotState
}

// SlotState is what the table knows of a slot that was used.
type SlotState struct {
	Slot    uint32
	Seq     uint64
	Waiting bool
}

// Blocker describes what a request did not get past.
type Blocker struct {
	// Name of the lock in the way.
	Name string
	// Holder is the oldest hold in the way; nil if only waiters are, or nothing
	// is but the quiet time.
	Holder *HoldView
	// Holders counts the lock's holds, Waiting its queue.
	Holders, Waiting int
	// LongestWait is how long the first in the queue has waited.
	LongestWait Duration
	// DelayLeft is how long the lock stays shut after an involuntary end.
	DelayLeft Duration
}

// Settled tells that a request which was Queued has ended, or was taken over
// by a newer connection or attempt (Superseded).
type Settled struct {
	Session   SessionNumber
	Slot      uint32
	Seq       uint64
	RequestID string
	// Attach and Attempt under which the request was last asked.
	Attach  uint64
	Attempt uint64
	Outcome Outcome
}

// Result is all that came out of an entry. It belongs to the table and is good
// until the next Apply; what a caller keeps, it copies.
type Result struct {
	// Outcomes, one for each command.
	Outcomes []Outcome
	// Settled requests, in the order of their ends.
	Settled []Settled
	// Events, in the order of their numbers.
	Events []Event
	// Stale says that the entry was stamped in another term than it was
	// appended in: no time has passed, and commands of the leader were refused.
	Stale bool
}
