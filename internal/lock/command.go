package lock

// Command is a change that the table is asked for. The set is closed. Commands
// are values: the table keeps the strings, byte slices, Infos and Notes in them
// but not the commands themselves, so a caller may use one again once Apply has
// returned.
type Command interface{ isCommand() }

// Caller says on whose behalf a command is and how its retries are recognised.
//
// A command that comes over a connection carries the attach number of that
// connection. One that comes by itself (unary calls, REST) carries the hash of
// the session's secret instead, and an attempt number where it can be retried.
type Caller struct {
	// Session is the asking session. 0 asks outside sessions, or, with a Proof,
	// on behalf of the session of that secret; then an acquire cannot wait,
	// because who waits is told by number.
	Session SessionNumber
	// Attach is the number of the connection, 0 if there is none.
	Attach uint64
	// Proof is the hash of the session's secret; needed when Attach is 0 and
	// Session is not. With an Attach it is ignored.
	Proof *SecretHash
	// Slot and Seq name the request. Seq 0 is a request without a name: it
	// cannot be retried, cancelled or found again.
	Slot uint32
	Seq  uint64
	// RequestID names the request instead of Slot and Seq where clients choose
	// names freely.
	RequestID string
	// Attempt counts the attempts of a request with a RequestID. An attempt
	// older than the newest seen is refused.
	Attempt uint64
}

// Birth is the first command of a table's life, and the first after a restore:
// it lifts the token counter to the wall clock, so that tokens grow from one
// life to the next.
type Birth struct {
	// Wall is the wall clock, in microseconds of Unix time.
	Wall uint64
	// Quiet keeps everything from being granted for so long. 0 does not.
	Quiet Duration
}

// SetSettings replaces the settings. Zero fields take their defaults, which differ
// from version to version: whoever has others proposes settings that are complete.
// The format level is only ever raised. Members whose program does not know the new
// one must not apply the command.
type SetSettings struct{ Settings Settings }

// Join begins a new incarnation of a member. If the member has one already,
// that one ends as by EndMember.
type Join struct {
	// Member is the member's name, unique in a cluster.
	Member string
	// SameDirectory says that the earlier incarnation is certainly over: its
	// data directory is ours, under its lock. Its sessions' time then runs from now.
	SameDirectory bool
}

// Beat extends the lease of a member's incarnation.
type Beat struct {
	Incarnation Incarnation
	// Number grows from beat to beat; an older one changes nothing.
	Number uint64
}

// EndMember ends an incarnation. Sessions attached to it are detached, and
// their time runs from the incarnation's deadline; from now if Own.
type EndMember struct {
	Incarnation Incarnation
	// Own says that the member itself asks, having stopped confirming.
	Own bool
}

// Open opens a session. Opening again with the same secret finds the open
// session and gives it a new attach number.
type Open struct {
	Secret SecretHash
	// TTL is how long the session outlives its last confirmed keep-alive; 0
	// takes the default. A session that lives by calls has it as idle time.
	TTL   Duration
	OnEnd OnEnd
	// Incarnation is the member that the connection ends at; 0 opens a session
	// that is never attached and lives by calls.
	Incarnation Incarnation
	Info        *Info
	Value       []byte
}

// Resume attaches a session to a new connection.
type Resume struct {
	Session     SessionNumber
	Secret      SecretHash
	Incarnation Incarnation
	// OnEnd replaces the session's policy.
	OnEnd OnEnd
	// Info replaces the session's description if it is not nil.
	Info *Info
}

// KeepAlive renews a session that lives by calls.
type KeepAlive struct{ Caller }

// Detach reports the end of a connection.
type Detach struct {
	Session SessionNumber
	// Attach is the number of the connection; if the session has a newer one,
	// nothing happens.
	Attach uint64
	// Silent is how long ago the last confirmed keep-alive was read.
	Silent Duration
	// ByClient says that the client's side ended the connection.
	ByClient bool
}

// Close ends a session by its client's will.
type Close struct{ Caller }

// Kill ends a session against its client's will.
type Kill struct {
	Session SessionNumber
	Reason  string
}

// Disown ends a session but leaves its holds outside sessions.
type Disown struct {
	Session SessionNumber
	// Attach, if not 0, must be the session's present one.
	Attach uint64
	// Lease is given to each hold that has none, or a longer one; 0 gives none.
	Lease Duration
}

// Acquire asks for one lock or for several, all or nothing. Several are
// granted under one token and one key.
type Acquire struct {
	Caller
	Items []Item
	// Wait is how long to wait: 0 not at all, Forever without end.
	Wait Duration
	// Lease ends the hold so long after its grant unless it is renewed; 0 is
	// none. Needed outside sessions.
	Lease Duration
	// LockDelay keeps the permits shut after an involuntary end of the hold.
	LockDelay Duration
	// Key becomes the hold's key if it is granted.
	Key  Key
	Note *Note
}

// Hold names holds: by key, whoever asks, or by token if they are the
// caller's own.
type Hold struct {
	Name  string
	Key   Key
	Token Token
	// All means every hold that was granted by the same request.
	All bool
}

// Release gives holds back.
type Release struct {
	Caller
	Hold
}

// Renew starts leases anew.
type Renew struct {
	Caller
	Hold
	// Lease is the new lease from now on; more than 0.
	Lease Duration
}

// Downgrade turns an exclusive hold into a shared one. Its token stays.
type Downgrade struct {
	Caller
	Hold
}

// SetValue replaces the value of a hold, or of the session if Name is empty.
type SetValue struct {
	Caller
	Hold
	Value []byte
}

// Cancel ends the request that Caller names: one that waits leaves its queues,
// one that was granted is given back, one that was not seen yet is refused when
// it comes.
type Cancel struct{ Caller }

// ForceRelease ends a hold against its holder's will.
type ForceRelease struct {
	Name  string
	Token Token
	// Reason is recorded.
	Reason string
	// Wait revokes the hold and leaves it to the holder to let go, until the
	// holder must believe it lost.
	Wait bool
}

// Resize changes the size of a lock.
type Resize struct {
	Name string
	Size uint32
}

// Collect forgets locks that nobody holds, waits for, or has touched for
// longer than Idle: the oldest first, at most Max of them.
type Collect struct {
	Idle Duration
	Max  int
}

// Mark asks for the table's hash at this place in the order. It can also say what
// hash most members had at an earlier mark; the table does not look at that.
type Mark struct {
	// Of is the entry of the earlier mark, as the journal counts them; 0 for none.
	Of uint64
	// Agreed is the hash there.
	Agreed Hash
}

// Lead says that another member leads: the table notes it and tells watchers.
type Lead struct{ Member string }

func (*Birth) isCommand()        {}
func (*SetSettings) isCommand()  {}
func (*Join) isCommand()         {}
func (*Beat) isCommand()         {}
func (*EndMember) isCommand()    {}
func (*Open) isCommand()         {}
func (*Resume) isCommand()       {}
func (*KeepAlive) isCommand()    {}
func (*Detach) isCommand()       {}
func (*Close) isCommand()        {}
func (*Kill) isCommand()         {}
func (*Disown) isCommand()       {}
func (*Acquire) isCommand()      {}
func (*Release) isCommand()      {}
func (*Renew) isCommand()        {}
func (*Downgrade) isCommand()    {}
func (*SetValue) isCommand()     {}
func (*Cancel) isCommand()       {}
func (*ForceRelease) isCommand() {}
func (*Resize) isCommand()       {}
func (*Collect) isCommand()      {}
func (*Mark) isCommand()         {}
func (*Lead) isCommand()         {}
