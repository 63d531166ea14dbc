package document

// Status says who answers, and how much there is.
type Status struct {
	// Address that was asked.
	Address string `json:"address,omitempty"`
	// Version of the server.
	Version string `json:"version"`
	// Member is the name of the server among its like, Role what it does there:
	// leader or follower. Leader is where clients reach who leads, if that is known
	// and another one.
	Member string `json:"member,omitempty"`
	Role   string `json:"role"`
	Leader string `json:"leader,omitempty"`
	// Storage is where the state is: memory or disk. Directory is that on disk, if the
	// server tells.
	Storage   string     `json:"storage"`
	Directory *Directory `json:"directory,omitempty"`
	// Draining says that it is on its way out and grants nothing any more.
	Draining bool `json:"draining"`
	// Uptime is how long it has been running.
	Uptime   string `json:"uptime"`
	UptimeMS *int64 `json:"uptime_ms"`
	// Locks in the table; held and contended ones among them.
	Locks     int `json:"locks"`
	Held      int `json:"held"`
	Contended int `json:"contended"`
	// Holds of all locks, and requests that wait.
	Holds   int `json:"holds"`
	Waiters int `json:"waiters"`
	// Sessions; those among them that a connection is attached to.
	Sessions int `json:"sessions"`
	Attached int `json:"attached"`
	// Token of the newest grant.
	Token Number `json:"token,omitempty"`
	// Quiet is how long nothing is granted yet, after a restore.
	Quiet   string `json:"quiet,omitempty"`
	QuietMS *int64 `json:"quiet_ms,omitempty"`
	// Members of the cluster as the server sees them, itself among them unless it was removed; none if it is alone.
	Members []Member `json:"members,omitempty"`
	// Refused counts who was refused since the server runs, if it tells.
	Refused *Refused `json:"refused,omitempty"`
	// ReloadFailed is how long ago the server could not read its configuration again, if it
	// could not the last time: nothing has changed then, and its log says why.
	ReloadFailed   string `json:"reload_failed,omitempty"`
	ReloadFailedMS *int64 `json:"reload_failed_ms,omitempty"`
}

// Refused counts who was refused, by why.
type Refused struct {
	// Missing showed no password or token, Wrong a wrong one; TooMany came from an
	// address where too much was refused before, and were not looked at.
	Missing uint64 `json:"missing"`
	Wrong   uint64 `json:"wrong"`
	TooMany uint64 `json:"too_many"`
	// Denied were let in and wanted what they may not do.
	Denied uint64 `json:"denied"`
	// Handshake counts refused TLS handshakes.
	Handshake uint64 `json:"handshake"`
	// Limits counts who wanted more than they may have, by the limits' names; those that
	// were in nobody's way are left out.
	Limits map[string]uint64 `json:"limits,omitempty"`
}

// Member is a member of a cluster as another one sees it.
type Member struct {
	Name string `json:"name"`
	// Address is where the other members reach it.
	Address string `json:"address"`
	// Votes says that it has a vote, Leads that it leads.
	Votes bool `json:"votes"`
	Leads bool `json:"leads"`
	// Answers says that it answered when it was last asked, LastHeard how long ago it last
	// did; missing if it never did.
	Answers     bool   `json:"answers"`
	LastHeard   string `json:"last_heard,omitempty"`
	LastHeardMS *int64 `json:"last_heard_ms,omitempty"`
	// Version that it runs, if that is known.
	Version string `json:"version,omitempty"`
	// EntriesBehind counts the entries of the log that it has not applied yet, and another
	// member has.
	EntriesBehind uint64 `json:"entries_behind"`
}

// States of a data directory.
const (
	OK         = "ok"          // there is room
	NearlyFull = "nearly_full" // it is time to make room
	Refusing   = "refusing"    // everything that changes locks is refused until there is room
)

// Directory says how the directory is that a server keeps its state in.
type Directory struct {
	// Path on the server, and Bytes that its files take.
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	// State is OK, NearlyFull or Refusing; empty if that is not known.
	State string `json:"state,omitempty"`
	// FreeBytes and TotalBytes of its file system; changes are refused while less
	// than RefuseBelowBytes is free.
	FreeBytes        int64 `json:"free_bytes"`
	TotalBytes       int64 `json:"total_bytes"`
	RefuseBelowBytes int64 `json:"refuse_below_bytes"`
	// LastEntry is the newest entry of the log, SnapshotEntry the newest that is in
	// the newest snapshot.
	LastEntry     Number `json:"last_entry,omitempty"`
	SnapshotEntry Number `json:"snapshot_entry,omitempty"`
	// SnapshotBytes is how large that is, SnapshotTime when it was taken.
	SnapshotBytes int64 `json:"snapshot_bytes"`
	SnapshotTime  *Time `json:"snapshot_time,omitempty"`
	// SlowestSync is the slowest fsync since the server runs; after one that takes
	// SyncDeadline the server ends.
	SlowestSync    string `json:"slowest_sync"`
	SlowestSyncMS  *int64 `json:"slowest_sync_ms"`
	SyncDeadline   string `json:"sync_deadline"`
	SyncDeadlineMS *int64 `json:"sync_deadline_ms"`
}

// Pong says that a server answers.
type Pong struct {
	Address string `json:"address"`
	// RoundTrip is how long a question and its answer took on a connection that
	// stood; RoundTripMS has fractions, because that is what matters here.
	RoundTrip   string  `json:"round_trip"`
	RoundTripMS float64 `json:"round_trip_ms"`
	// Connect is how long the first answer took, connection included.
	Connect   string  `json:"connect"`
	ConnectMS float64 `json:"connect_ms"`
}
