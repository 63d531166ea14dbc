package lock

// Time is an instant on the table's own clock, in microseconds since its birth.
// The clock moves only by the elapsed part of entries. 0 is the birth; as a
// deadline it means "none".
type Time int64

// Duration is a span of the table's time, in microseconds.
type Duration int64

// Units of [Duration].
const (
	Microsecond Duration = 1
	Millisecond          = 1000 * Microsecond
	Second               = 1000 * Millisecond
	Minute               = 60 * Second
)

// Forever as the Wait of an [Acquire] waits without end.
const Forever Duration = -1

// MaxDuration is the longest lease or wait that can be asked for, a little
// over 136 years; longer ones are refused, so that no deadline overflows.
const MaxDuration = 1 << 32 * Second

// SessionNumber names a session. It is given by the table and never used
// again. 0 stands for no session: holds outside sessions belong to it.
type SessionNumber uint64

// Token is a fencing token: greater for every grant than for every earlier
// one. 0 is no token.
type Token uint64

// Incarnation is one life of a member, numbered by the table. 0 is none.
type Incarnation uint64

// Key is the bearer secret of a hold, the 16 bytes of a random UUID that the
// node draws. The zero Key is no key and never matches.
type Key [16]byte

// SecretHash is the SHA-256 of a session's secret. The table never sees the
// secret itself.
type SecretHash [32]byte

// Mode says how a lock is held.
type Mode uint8

// Modes of a hold.
const (
	// Exclusive takes the permits that were asked for; of a lock of size 1,
	// all of it.
	Exclusive Mode = iota
	// Shared takes part in a lock of size 1 beside any number of other shared
	// holds, and keeps exclusive ones out.
	Shared
)

// OnEnd says what the end of its connection does to a session.
type OnEnd uint8

// Policies for the end of a connection.
const (
	// OnEndKeep lets the session live for what is left of its ttl.
	OnEndKeep OnEnd = iota
	// OnEndClose ends the session at once if the client's side ended the
	// connection, and is OnEndKeep otherwise.
	OnEndClose
	// OnEndAlways ends the session with its connection, whoever ended it.
	OnEndAlways
	// OnEndDisown ends the session likewise, but its holds live on outside
	// sessions, until they are released by key or their leases end.
	OnEndDisown
)

// Info is what a client told of itself and what its server saw of it. It is
// shared between table and events and never changed after it was handed in.
type Info struct {
	Host      string
	PID       int64
	User      string
	Program   string
	Library   string
	Labels    []Label // sorted by key
	Remote    string
	Transport string
	// Principal is who the client has proved to be; "" if nobody asks. Quota
	// bounds all sessions of the principal together; nil if nothing does.
	Principal string
	Quota     *Quota
}

// Label is one free label.
type Label struct{ Key, Value string }

// Note is what a holder tells others about its hold. It is never changed after
// it was handed in.
type Note struct {
	Reason string
	Labels []Label // sorted by key
	Value  []byte
}

// Item is one lock of a request.
type Item struct {
	Name string
	// Size is the size that the lock must have; 0 takes what it has, 1 if it is new.
	Size uint32
	// Permits to take; 0 means 1.
	Permits uint32
	Mode    Mode
}
