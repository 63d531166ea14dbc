package document

// Modes of locks and holds, and states of locks.
const (
	Exclusive = "exclusive"
	Shared    = "shared"

	Held = "held" // somebody holds it, or a lock delay keeps it shut
	Free = "free" // nobody does, but somebody waits for it
	Idle = "idle" // nobody holds it or waits for it
)

// Locks is a list of locks.
type Locks struct {
	// Time of the look.
	Time  Time   `json:"time"`
	Locks []Lock `json:"locks"`
}

// Lock describes a lock.
type Lock struct {
	Name string `json:"name"`
	// State is Held, Free or Idle.
	State string `json:"state"`
	// Mode is how it is held: Exclusive or Shared; empty if it is not.
	Mode string `json:"mode,omitempty"`
	// Size is how many permits it has, Held how many are taken: of a lock of
	// size 1, 1 for an exclusive hold and 0 for shared ones. SharedHolds counts
	// those.
	Size        int `json:"size"`
	Held        int `json:"held"`
	SharedHolds int `json:"shared_holds"`
	// Fence is the token of the last exclusive grant.
	Fence Number `json:"fence,omitempty"`
	// HolderCount and WaiterCount count all of them, also those that the lists
	// do not have.
	HolderCount int `json:"holder_count"`
	WaiterCount int `json:"waiter_count"`
	// FreeBehindHead counts permits that stay free because the first waiter wants
	// more of them.
	FreeBehindHead int `json:"free_behind_head"`
	// Idle is how long nobody has touched a lock that is idle.
	Idle   string `json:"idle,omitempty"`
	IdleMS *int64 `json:"idle_ms,omitempty"`
	// Holders, oldest first. Waiters, first come first.
	Holders []Holder `json:"holders"`
	Waiters []Waiter `json:"waiters"`
	// Events are the newest of this lock that the server knows, oldest first;
	// only where one lock was asked for.
	Events []Event `json:"events,omitempty"`
}

// Holder describes a hold. It never has the whole key.
type Holder struct {
	// Lock is its lock, where the document is not that of the lock.
	Lock string `json:"lock,omitempty"`
	// Token is the fencing token of the hold.
	Token Number `json:"token,omitempty"`
	// Session is the number of the holding session; empty outside sessions.
	Session Number `json:"session,omitempty"`
	// Client is what the holder says of itself.
	Client *Client `json:"client,omitempty"`
	Mode   string  `json:"mode,omitempty"`
	// Permits it takes.
	Permits int `json:"permits,omitempty"`
	// Since when it is held, by the clock of whoever made the document; Held is
	// how long that is.
	Since  *Time  `json:"since,omitempty"`
	Held   string `json:"held,omitempty"`
	HeldMS *int64 `json:"held_ms,omitempty"`
	// Lease is what is left of the hold's own lease.
	Lease   string `json:"lease,omitempty"`
	LeaseMS *int64 `json:"lease_ms,omitempty"`
	// SessionLeft is what is left of a session that no connection is attached to.
	SessionLeft   string `json:"session_left,omitempty"`
	SessionLeftMS *int64 `json:"session_left_ms,omitempty"`
	// Reason, Labels and Value are the holder's words.
	Reason string            `json:"reason,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  []byte            `json:"value,omitempty"`
	// KeyPrefix is the beginning of the key.
	KeyPrefix string `json:"key_prefix,omitempty"`
	// Revoked says that an administrator waits for the holder to let go.
	Revoked bool `json:"revoked,omitempty"`
	// Delay says that this is no hold but the lock delay after one.
	Delay bool `json:"delay,omitempty"`
}

// Waiter describes a request in a queue.
type Waiter struct {
	// Lock is its lock, where the document is not that of the lock.
	Lock string `json:"lock,omitempty"`
	// Session is the number of the waiting session; empty outside sessions.
	Session Number `json:"session,omitempty"`
	// Client is what the waiting client says of itself.
	Client *Client `json:"client,omitempty"`
	Mode   string  `json:"mode"`
	// Permits it wants.
	Permits int `json:"permits"`
	// Waited is how long it has waited.
	Waited   string `json:"waited"`
	WaitedMS *int64 `json:"waited_ms"`
	// GivesUpIn is when it stops to wait; missing if never.
	GivesUpIn   string `json:"gives_up_in,omitempty"`
	GivesUpInMS *int64 `json:"gives_up_in_ms,omitempty"`
	// Reason is the client's word.
	Reason string `json:"reason,omitempty"`
	// OtherLocks counts the locks that it wants together with this one.
	OtherLocks int `json:"other_locks,omitempty"`
}

// Client is what a client says of itself; all of it is optional.
type Client struct {
	Host    string            `json:"host,omitempty"`
	PID     int               `json:"pid,omitempty"`
	User    string            `json:"user,omitempty"`
	Program string            `json:"program,omitempty"`
	Library string            `json:"library,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	// Remote is the address that its connection comes from, Transport how it
	// speaks, Principal the name that its token or certificate stands for: the
	// server's word.
	Remote    string `json:"remote,omitempty"`
	Transport string `json:"transport,omitempty"`
	Principal string `json:"principal,omitempty"`
}
