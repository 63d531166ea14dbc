package lock

// Views are copies for reading; they share only what is never changed.

// LockView describes a lock.
type LockView struct {
	// Number grows with creation; a page of a listing begins after one.
	Number  uint64
	Name    string
	Size    uint32
	Held    uint32
	Shared  uint32
	Fence   Token
	Idle    Duration // -1 while held, shut or waited for
	Holders []HoldView
	Waiters []WaitView
	// HolderCount and WaiterCount count all, also those left out of the lists.
	// Lock delays count as holders.
	HolderCount, WaiterCount int
	// FreeBehindHead are permits that stay free because a larger request is
	// first in the queue.
	FreeBehindHead uint32
}

// HoldView describes a hold, or the lock delay that followed one.
type HoldView struct {
	Name    string
	Session SessionNumber
	Info    *Info // of the session; nil outside sessions
	Token   Token
	Key     Key
	Mode    Mode
	Permits uint32
	Age     Duration
	// LeaseLeft is what is left of the lease, or of the delay; -1 without one.
	LeaseLeft Duration
	Note      *Note // nil if there is none
	Revoked   bool
	Delay     bool
}

// WaitView describes a request in one of its queues.
type WaitView struct {
	Name     string
	Session  SessionNumber
	Info     *Info
	Mode     Mode
	Permits  uint32
	Age      Duration
	GivesUp  Duration // -1 never
	Note     *Note
	NumNames int
}

// SessionView describes a session.
type SessionView struct {
	Number   SessionNumber
	Info     *Info
	TTL      Duration
	OnEnd    OnEnd
	Attached bool
	// Incarnation and Attach of its newest connection.
	Incarnation  Incarnation
	Attach       uint64
	Left         Duration // -1 while attached
	Age          Duration
	Holds, Waits int
	Value        []byte
}

// LockFilter selects locks for a listing.
type LockFilter struct {
	Prefix string
	// State selects by what is going on at the lock.
	State LockState
}

// LockState is what is going on at a lock.
type LockState uint8

// States for a [LockFilter].
const (
	AnyState LockState = iota
	HeldState
	ContendedState
	IdleState
)
