package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
)

// Config is what a journal is opened with. Zero fields take their defaults.
type Config struct {
	// Dir is the data directory. It is made if it is missing. Needed.
	Dir string
	// Member is the name of this member, for ever: the directory remembers it.
	// Default "local".
	Member string
	// Cluster is the identity of the cluster that the directory must belong to.
	// Default: whatever is there, and a random one for a new directory.
	Cluster string
	// Logger gets a line for each change of state. Default: none.
	Logger *slog.Logger

	// Streams are the connections to other members. Default: none, the member is alone.
	Streams Streams
	// Introduce is called once, with who the members are, when the journal has started;
	// until then nobody is to be spoken to over Streams. Default: whoever has the
	// right name is trusted.
	Introduce func(*Roll)
	// Transport, for tests, replaces them. Default: none, the member is alone.
	Transport Transport
	// Courier carries what this member proposes to the one that leads, and its questions
	// to the others. Needed where there may be others.
	Courier Courier
	// Peers are the members that a new directory begins with, this one among
	// them. Default: this one. A member that joins others has Join set instead:
	// its new directory is empty, and it waits to be added.
	Peers []Peer
	Join  bool
	// Timing of elections and commits. Default: Alone, or Together if there is a
	// transport.
	Timing Timing
	// WriteDeadline is how long a write or its fsync may take; then the disk is
	// given up and the process is to end. Default 10 s alone, 2.5 s with others,
	// who cannot do anything before.
	WriteDeadline time.Duration

	// SegmentBytes is the size of a segment file. Default 16 MB.
	SegmentBytes int
	// MaxEntryBytes bounds an entry of several batches; one batch may be larger.
	// Default 256 KB.
	MaxEntryBytes int
	// MaxInFlight bounds the entries that are on their way. 1 alone, and not more, where
	// each costs an fsync and fewer are larger ones; default 4 with others, for the way
	// there and back.
	MaxInFlight int
	// SnapshotBytes and SnapshotEntries say after how much log a snapshot is
	// taken: as much as the last snapshot was large, at least SnapshotBytes; or
	// SnapshotEntries entries. Defaults 16 MB and 200,000.
	SnapshotBytes, SnapshotEntries int64
	// TrailingEntries stay in the log behind a snapshot, for members that lag a
	// little. Default 2048.
	TrailingEntries uint64
	// RefuseFreeBytes is how much of the file system must be free for batches to
	// be accepted, beyond what the next segment file and the next snapshot need.
	// Default 16 MB. Below four times of the whole a warning is logged.
	RefuseFreeBytes int64

	// fault is called before each operation on a file; an error fails it.
	fault func(op, path string) error
	// space replaces the question how much is free.
	space func(dir string) (free, total int64, ok bool)
}

// Peer is a member of a cluster.
type Peer struct{ Member, Address string }

// Timing is how long members wait for each other.
type Timing struct {
	// Heartbeat is how long a member hears nothing from a leader before it wants
	// to be elected, and how long an election may take.
	Heartbeat time.Duration
	// Lease is how long a leader leads without hearing from a majority; at most
	// Heartbeat.
	Lease time.Duration
	// Commit is the longest that followers wait to be told what is committed.
	Commit time.Duration
}

// Timings that have proved themselves. The lease cannot be changed while a
// process lives, so that of a member that is alone is that of one of several.
func alone() Timing {
	return Timing{Heartbeat: 250 * time.Millisecond, Lease: 250 * time.Millisecond, Commit: 5 * time.Millisecond}
}

func together() Timing {
	return Timing{Heartbeat: 500 * time.Millisecond, Lease: 250 * time.Millisecond, Commit: 5 * time.Millisecond}
}

// maxBatches bounds the batches of an entry.
const maxBatches = 1024

// maxQueuedBytes bounds what waits to be written. More is refused: the disk does
// not keep up.
const maxQueuedBytes = 64 << 20

// withDefaults fills in what is zero and refuses what cannot be meant.
func (c Config) withDefaults() (Config, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Member == "" {
		c.Member = "local"
	}
	timing, deadline, flying := alone(), 10*time.Second, 1
	if c.others() {
		timing, deadline, flying = together(), 2500*time.Millisecond, 4
	}
	if c.Timing == (Timing{}) {
		c.Timing = timing
	}
	orDefault(&c.WriteDeadline, deadline)
	orDefault(&c.SegmentBytes, 16<<20)
	orDefault(&c.MaxEntryBytes, 256<<10)
	orDefault(&c.MaxInFlight, flying)
	orDefault(&c.SnapshotBytes, 16<<20)
	orDefault(&c.SnapshotEntries, 200_000)
	orDefault(&c.TrailingEntries, 2048)
	orDefault(&c.RefuseFreeBytes, 16<<20)
	if c.space == nil {
		c.space = diskSpace
	}
	switch {
	case c.Join && !c.others():
		return c, errors.New("raftlog: a member that joins others needs a transport")
	case c.others() && c.Courier == nil:
		return c, errors.New("raftlog: members need a courier for their questions")
	case c.WriteDeadline < 0 || c.SegmentBytes < 0 || c.MaxEntryBytes < 0 || c.MaxInFlight < 0 ||
		c.SnapshotBytes < 0 || c.SnapshotEntries < 0 || c.RefuseFreeBytes < 0:
		return c, errors.New("raftlog: no setting can be negative")
	case !c.others() && c.MaxInFlight > 1:
		return c, errors.New("raftlog: a member that is alone has one entry on its way at a time: the next one could be applied before it")
	case c.Timing.Lease > c.Timing.Heartbeat:
		return c, fmt.Errorf("raftlog: the lease of %v is longer than the heartbeat of %v", c.Timing.Lease, c.Timing.Heartbeat)
	}
	return c, nil
}

func orDefault[T comparable](v *T, or T) {
	var zero T
	if *v == zero {
		*v = or
	}
}

// others reports whether there may be other members.
func (c *Config) others() bool { return c.Transport != nil || c.Streams != nil }

// raftConfig is the library's configuration.
func (c *Config) raftConfig(notify chan<- bool, log *logWriter) *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(c.Member)
	rc.HeartbeatTimeout, rc.ElectionTimeout = c.Timing.Heartbeat, c.Timing.Heartbeat
	rc.LeaderLeaseTimeout, rc.CommitTimeout = c.Timing.Lease, c.Timing.Commit
	rc.BatchApplyCh = true
	rc.TrailingLogs = c.TrailingEntries
	// Snapshots are asked for by this package, which counts bytes as well.
	const never = 365 * 24 * time.Hour
	rc.SnapshotThreshold, rc.SnapshotInterval = 1<<62, never
	rc.NoLegacyTelemetry = true
	rc.ShutdownOnRemove = false // it would never answer what was proposed to it a moment before
	rc.NotifyCh = notify
	rc.Logger = log.hclog("raft")
	return rc
}

// othersAtFirst are the names of the other members that a new directory begins with.
func (c *Config) othersAtFirst() []string {
	var names []string
	for _, p := range c.Peers {
		if p.Member != c.Member {
			names = append(names, p.Member)
		}
	}
	return names
}

// configuration is what a new directory begins with.
func (c *Config) configuration(self raft.ServerAddress) raft.Configuration {
	peers := c.Peers
	if len(peers) == 0 {
		peers = []Peer{{Member: c.Member, Address: string(self)}}
	}
	var conf raft.Configuration
	for _, p := range peers {
		conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(p.Member), Address: raft.ServerAddress(p.Address)})
	}
	return conf
}
