package audit

import (
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// An Action is what was done. The words are what programs look for.
type Action string

// What is written down.
const (
	ForcedRelease  Action = "forced_release"
	SessionKill    Action = "session_kill"
	Resize         Action = "resize"
	SnapshotSave   Action = "snapshot_save" // which has the keys of all locks
	Unlock         Action = "unlock"        // through the socket of ldlm-lock, by key or without
	Refused        Action = "authentication_refused"
	Denied         Action = "permission_denied"
	ConfigReload   Action = "config_reload"
	LogLevelChange Action = "log_level_change"
	Membership     Action = "membership"
)

// An Actor is who did it. Empty fields are not known.
type Actor struct {
	// Name is the principal; for certificates "certificate:" and its common
	// name, for processes of this machine their user and number.
	Name string `json:"name,omitempty"`
	// Via is how the question came: native, grpc, rest, socket, signal, members; tls
	// if the connection was refused before it could ask.
	Via string `json:"via"`
	// Remote is where it came from.
	Remote string `json:"remote,omitempty"`
}

// An Entry is a line. Numbers of 64 bits are text, as in every document for
// programs.
type Entry struct {
	// Time is filled in when the entry is added.
	Time   time.Time `json:"time"`
	Action Action    `json:"action"`
	Actor  Actor     `json:"actor"`
	// Lock, Session and Token say what it was done to, where they apply.
	Lock    string `json:"lock,omitempty"`
	Session uint64 `json:"session,omitempty,string"`
	Token   uint64 `json:"token,omitempty,string"`
	// Reason is what the actor gave, or why a refusal was one.
	Reason string `json:"reason,omitempty"`
	// Error is why nothing came of it. Empty: it was done.
	Error string `json:"error,omitempty"`
	// Before and After are how things were, in the words of the action. Keys of
	// locks and passwords are never among them.
	Before any `json:"before,omitempty"`
	After  any `json:"after,omitempty"`
	// Suppressed is how many refusals like this one were not written down
	// because there were too many at once.
	Suppressed int `json:"suppressed,omitempty"`
}

// A Hold is a lock in somebody's hands, as Before has it.
type Hold struct {
	Session uint64 `json:"session,omitempty,string"`
	Token   uint64 `json:"token,string"`
	Host    string `json:"host,omitempty"`
	PID     int64  `json:"pid,omitempty"`
	User    string `json:"user,omitempty"`
	Program string `json:"program,omitempty"`
	Remote  string `json:"remote,omitempty"`
	Name    string `json:"principal,omitempty"`
	// HeldMS is for how long, in milliseconds.
	HeldMS int64  `json:"held_ms"`
	Reason string `json:"reason,omitempty"` // its holder's
}

// HoldOf describes a hold.
func HoldOf(v *lock.HoldView) Hold {
	h := Hold{Session: uint64(v.Session), Token: uint64(v.Token), HeldMS: int64(v.Age / lock.Millisecond)}
	if i := v.Info; i != nil {
		h.Host, h.PID, h.User, h.Program, h.Remote, h.Name = i.Host, i.PID, i.User, i.Program, i.Remote, i.Principal
	}
	if v.Note != nil {
		h.Reason = v.Note.Reason
	}
	return h
}

// A Client is who has a session, as Before has it.
type Client struct {
	Host    string `json:"host,omitempty"`
	PID     int64  `json:"pid,omitempty"`
	User    string `json:"user,omitempty"`
	Program string `json:"program,omitempty"`
	Remote  string `json:"remote,omitempty"`
	Name    string `json:"principal,omitempty"`
	Holds   int    `json:"holds"`
	Waits   int    `json:"waits"`
}

// ClientOf describes who has a session.
func ClientOf(v *lock.SessionView) Client {
	c := Client{Holds: v.Holds, Waits: v.Waits}
	if i := v.Info; i != nil {
		c.Host, c.PID, c.User, c.Program, c.Remote, c.Name = i.Host, i.PID, i.User, i.Program, i.Remote, i.Principal
	}
	return c
}

// A Saved is what has left the server with a snapshot, as After has it.
type Saved struct {
	Bytes int64 `json:"bytes"`
}

// A Size is that of a lock, before or after.
type Size struct {
	Size uint32 `json:"size"`
}
