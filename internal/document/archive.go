package document

import (
	"bytes"
	"encoding/json"
)

// Counts are figures of a table of locks.
type Counts struct {
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
}

// Snapshot says what is in a snapshot.
type Snapshot struct {
	// File that it was read from.
	File string `json:"file,omitempty"`
	// Cluster and Members whose it is.
	Cluster string   `json:"cluster"`
	Members []string `json:"members"`
	// Created is when it was taken, by the clock of the server that took it.
	Created Time `json:"created"`
	// Entry is the newest entry of the log that is in it, Term that entry's term.
	Entry Number `json:"entry"`
	Term  Number `json:"term"`
	Counts
	// Token of the newest grant.
	Token Number `json:"token,omitempty"`
	// Quiet is how long nothing would be granted yet.
	Quiet   string `json:"quiet,omitempty"`
	QuietMS *int64 `json:"quiet_ms,omitempty"`
	// OutsideSessions are the holds that belong to no session.
	OutsideSessions []Holder `json:"outside_sessions"`
}

// Restored says what became of a snapshot.
type Restored struct {
	// Directory that was made.
	Directory string `json:"directory"`
	// Snapshot is what is in it, after what a restore changes.
	Snapshot Snapshot `json:"snapshot"`
	// Quiet is how long nothing is granted, from the first start on.
	Quiet   string `json:"quiet"`
	QuietMS *int64 `json:"quiet_ms"`
	// MayOutlast are the holds outside sessions: nobody hears of the restore there,
	// and whoever has renewed one since the snapshot may believe in it for longer
	// than nothing is granted.
	MayOutlast []Holder `json:"may_outlast"`
	// LongSessions counts the sessions whose ttl is longer than nothing is granted:
	// their clients hear of the restore when they call the next time.
	LongSessions int `json:"long_sessions"`
}

// Saved says what was saved.
type Saved struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

// DumpedIdentity says whose a data directory is.
type DumpedIdentity struct {
	// Part is "identity".
	Part    string `json:"part"`
	Cluster string `json:"cluster"`
	Member  string `json:"member"`
	Format  int    `json:"format"`
}

// DumpedSnapshot is the snapshot in a data directory.
type DumpedSnapshot struct {
	// Part is "snapshot".
	Part string `json:"part"`
	Snapshot
}

// DumpedEntry is an entry of the log in a data directory.
type DumpedEntry struct {
	// Part is "entry".
	Part  string `json:"part"`
	Entry Number `json:"entry"`
	Term  Number `json:"term"`
	// Kind is "batches" for what clients and servers asked for.
	Kind string `json:"kind"`
	// StampTerm is the term in which its time was stamped: if it is another one, no
	// time has passed. ElapsedUS is that time, in microseconds.
	StampTerm Number `json:"stamp_term,omitempty"`
	ElapsedUS int64  `json:"elapsed_us"`
	// InSnapshot says that the snapshot has it already.
	InSnapshot bool      `json:"in_snapshot"`
	Commands   []Command `json:"commands"`
}

// DumpedState is what comes of snapshot and log.
type DumpedState struct {
	// Part is "state".
	Part  string `json:"part"`
	Entry Number `json:"entry"`
	Token Number `json:"token,omitempty"`
	Counts
	// Words describe locks, sessions and members, a line each.
	Words []string `json:"words"`
}

// Command is a command in the log.
type Command struct {
	Command string `json:"command"`
	Fields  Fields `json:"fields"`
}

// Fields are what a command says, in its order: an object of JSON.
type Fields []Field

// Field is a part of a command.
type Field struct {
	Name  string
	Value any
}

// MarshalJSON writes the fields as an object.
func (f Fields) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, field := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(field.Name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(field.Value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
