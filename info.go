package ldlm

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

// ClientInfo is what a client tells others of itself. All of it is optional;
// the zero value says nothing.
type ClientInfo struct {
	// Host it runs on, PID its process number there, User the account.
	Host string
	PID  int
	User string
	// Program it is.
	Program string
	// Library it speaks through, with its version.
	Library string
	// Labels of its own choice.
	Labels map[string]string
	// Remote is the address its connection comes from, Transport how it
	// speaks, Principal the name that its token or certificate stands for; empty if
	// it was asked for none, or came by password. All of these are the server's word
	// and ignored in what clients say.
	Remote, Transport, Principal string
}

// String returns host, process and program as far as they are known.
func (i ClientInfo) String() string {
	s := i.Host
	if s == "" {
		s = i.Remote
	}
	if s == "" {
		s = "somebody"
	}
	if i.PID != 0 {
		s += fmt.Sprintf(":%d", i.PID)
	}
	if i.Program != "" {
		s += " (" + i.Program + ")"
	}
	return s
}

// thisProcess is what a client says of itself unless it is told otherwise.
func thisProcess() ClientInfo {
	host, _ := os.Hostname() // without it the field stays empty
	name := cmp.Or(os.Getenv("USER"), os.Getenv("USERNAME"))
	if name == "" { // as under cron, or in a container
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	program := ""
	if len(os.Args) > 0 {
		program = filepath.Base(os.Args[0])
	}
	valid := func(s string) string { return strings.ToValidUTF8(s, "?") }
	return ClientInfo{
		Host: valid(host), PID: os.Getpid(), User: valid(name), Program: valid(program), Library: library(),
	}
}

const modulePath = "github.com/ldlm-io/ldlm"

// library names this package with the version of its module in the program.
func library() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "ldlm-go"
	}
	if build.Main.Path == modulePath {
		return "ldlm-go " + build.Main.Version
	}
	for _, m := range build.Deps {
		if m.Path == modulePath {
			return "ldlm-go " + m.Version
		}
	}
	return "ldlm-go"
}

// Holder describes a hold. It never has the whole key.
type Holder struct {
	// Token is the fencing token of the hold; 0 where there is no hold.
	Token uint64
	// Session is the number of the holding session; 0 outside sessions.
	Session uint64
	// Client is what the holder says of itself.
	Client ClientInfo
	// Age is how long it has been held.
	Age time.Duration
	// LeaseLeft is what is left of the hold's lease; negative without one.
	LeaseLeft time.Duration
	// Permits it takes.
	Permits int
	// Shared says that others may share it.
	Shared bool
	// Reason, Labels and Value are the holder's words.
	Reason string
	Labels map[string]string
	Value  []byte
	// KeyPrefix is the beginning of the key.
	KeyPrefix string
	// Revoked says that an administrator waits for the holder to let go.
	Revoked bool
	// Delay says that this is not a hold but the lock delay after one.
	Delay bool
}

// String names the holder, and its reason if it gave one.
func (h Holder) String() string {
	if h.Token == 0 {
		return "nobody"
	}
	s := h.Client.String()
	if h.Reason != "" {
		s += fmt.Sprintf(" %q", shortened(h.Reason))
	}
	return s
}

// Waiter describes a request in a queue.
type Waiter struct {
	// Session is the number of the waiting session; 0 outside sessions.
	Session uint64
	// Client is what the waiting client says of itself.
	Client ClientInfo
	// Age is how long it has waited.
	Age time.Duration
	// GivesUpIn is when it stops to wait; negative if never.
	GivesUpIn time.Duration
	// Permits it wants.
	Permits int
	// Shared says that it wants to share.
	Shared bool
	// Reason is the client's word.
	Reason string
	// Names counts the other locks that it wants together with this one.
	Names int
}

// LockInfo describes a lock.
type LockInfo struct {
	// Name of the lock.
	Name string
	// Size is how many permits it has.
	Size int
	// Held counts the permits taken; of a lock of size 1, 1 for an exclusive
	// hold and 0 for shared ones. SharedHolds counts those.
	Held, SharedHolds int
	// Fence is the token of the last exclusive grant.
	Fence uint64
	// Holders, oldest first, at most as many as the server shows; HolderCount
	// is how many there are.
	Holders     []Holder
	HolderCount int
	// Waiters, first come first, at most as many as the server shows;
	// WaiterCount is how many there are.
	Waiters     []Waiter
	WaiterCount int
	// Idle is how long nobody has touched it; negative while it is held or
	// waited for.
	Idle time.Duration
	// FreeBehindHead counts permits that stay free because a larger request is
	// first in the queue.
	FreeBehindHead int
	// Events are the newest ones of this lock that the server still knows, the
	// oldest first. [Admin.Get] has them, [Admin.List] does not.
	Events []Event
}

// SessionInfo describes a session.
type SessionInfo struct {
	// Number of the session.
	Number uint64
	// Client is what its client says of itself.
	Client ClientInfo
	// TTL is how long it outlives its last confirmed keep-alive.
	TTL time.Duration
	// Attached says that a connection is.
	Attached bool
	// Left is what is left of a detached session; negative while attached.
	Left time.Duration
	// Holds and Waits count what it has and wants.
	Holds, Waits int
	// Age is how long ago it was opened.
	Age time.Duration
	// Value is the client's word.
	Value []byte
	// LastHeard is how long ago the server heard of the client; negative if it
	// cannot know, because the client's connection ends elsewhere or tells nothing.
	LastHeard time.Duration
	// Held and Waiting are what it holds and waits for, the oldest first, at most
	// as many as the server shows. [Admin.Session] has them, [Admin.Sessions]
	// does not.
	Held    []SessionHold
	Waiting []SessionWait
}

// SessionHold is a hold, seen from its session: the client is the session's.
type SessionHold struct {
	// Name of the lock.
	Name string
	Holder
}

// SessionWait is a request that waits for a lock, seen from its session: the
// client is the session's. A request for several locks is there once for each.
type SessionWait struct {
	// Name of the lock.
	Name string
	Waiter
}

// ServerStatus is what a server says of itself.
type ServerStatus struct {
	// Version of the server, and how long it has been running.
	Version string
	Uptime  time.Duration
	// Durable says that the state is on disk and outlives the server.
	Durable bool
	// Member is the name of the server in its cluster; empty if it is alone.
	Member string
	// Leads says that it leads, Leader where clients reach who does: empty if
	// nobody does, or if that is not known.
	Leads  bool
	Leader string
	// Locks that the server knows, Held ones and Contended ones among them.
	Locks, Held, Contended int
	// Holds of all locks, and Waiters for them.
	Holds, Waiters int
	// Sessions, and Attached ones among them: those with a connection.
	Sessions, Attached int
	// Token of the newest grant.
	Token uint64
	// Draining says that the server is on its way out and grants nothing any more.
	Draining bool
	// QuietLeft is for how long nothing is granted yet, after a restore or a quiet start.
	QuietLeft time.Duration
	// DataDirectory says how the directory is that the state is in; nil if it is in
	// memory, or if the server does not tell.
	DataDirectory *DataDirectory
	// Cluster is how the server sees the one that it is a member of; nil if it is alone.
	Cluster *Cluster
	// Refusals counts who was refused since the server runs; nil if it does not tell.
	Refusals *Refusals
	// ReloadFailed is how long ago the server was to read its configuration again and could
	// not, so that nothing has changed; 0 if it could the last time, or never was to.
	ReloadFailed time.Duration
}

// Refusals counts who was refused by a server, by why.
type Refusals struct {
	// Missing showed no password or token, Wrong a wrong one. TooMany came from an
	// address where too much was refused before, and were not looked at.
	Missing, Wrong, TooMany uint64
	// Denied were let in and wanted what their role or their names do not allow.
	Denied uint64
	// Handshake counts TLS handshakes that the server did not complete: for the client's
	// certificate, for lack of one, or for having no version or cipher in common.
	Handshake uint64
	// Limits counts who wanted more than they may have; nil if nobody did.
	Limits *LimitRefusals
}

// LimitRefusals counts who wanted more of a server than they may have.
type LimitRefusals struct {
	// ByField are the counts, by the limits' names, which [Error] has as Field.
	ByField map[string]uint64
}

// Cluster is how one of its members sees it.
type Cluster struct {
	// Members are all, the one that was asked among them unless it was removed.
	Members []ServerMember
}

// ServerMember is a member of a cluster as another one sees it.
type ServerMember struct {
	Name string
	// Address is where the other members reach it.
	Address string
	// Votes says that it has a vote: without one it is still being sent what the others
	// have. Leads says that it leads.
	Votes, Leads bool
	// Answers says that it answered when it was last asked, LastHeard how long ago it last
	// did; negative if it never did since the server runs.
	Answers   bool
	LastHeard time.Duration
	// Version that it runs; empty if that is not known.
	Version string
	// EntriesBehind counts the entries of the log that it has not applied yet, and another
	// member has.
	EntriesBehind uint64
}

// DataDirectory says how the directory is that a server keeps its state in. Zero
// fields are not known.
type DataDirectory struct {
	// Path on the server, and Bytes that its files take.
	Path  string
	Bytes int64
	// FreeBytes and TotalBytes of its file system; changes are refused while less
	// than RefuseBelow is free.
	FreeBytes, TotalBytes, RefuseBelow int64
	// Room says what that means.
	Room Room
	// LastEntry is the newest entry of the log, SnapshotEntry the newest one that is
	// in the newest snapshot.
	LastEntry, SnapshotEntry uint64
	// SnapshotBytes is how large that is, SnapshotTime when it was taken.
	SnapshotBytes int64
	SnapshotTime  time.Time
	// SlowestSync is the slowest fsync since the server runs; after one that takes
	// SyncDeadline the server ends.
	SlowestSync, SyncDeadline time.Duration
}

// Room is how much room there is on a server's disk.
type Room uint8

// How much room there is.
const (
	// RoomUnknown: the server does not know, or does not tell.
	RoomUnknown Room = iota
	// RoomEnough: all is well.
	RoomEnough
	// RoomLittle: it is time to make room.
	RoomLittle
	// RoomNone: everything that changes locks is refused until there is room.
	RoomNone
)
