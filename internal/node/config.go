package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// Config is what a node is opened with. Zero fields take their defaults.
type Config struct {
	// Logger gets a line for each change of state. Default: none.
	Logger *slog.Logger
	// Settings are proposed to the table when the node is opened.
	Settings lock.Settings
	// Quota returns what bounds the sessions of a principal together, nil if nothing
	// does. It is asked when one of them is opened or resumed. Default: nothing does.
	Quota func(principal string) *lock.Quota
	// Member is the name of this process among the members. Default "local".
	Member string
	// CollectEvery is how often idle locks are forgotten, CollectIdle how long
	// nobody must have touched them. Defaults 30 min and 5 min. Anything below
	// a millisecond acts as one.
	CollectEvery, CollectIdle time.Duration
	// QuietStart keeps a new table from granting anything for so long: longer
	// than clients of an earlier life may still believe in their locks. Default 0.
	QuietStart time.Duration
	// StallLimit is the most time that one look at the clock adds while there
	// are deadlines; there are four looks in it. Too short, and a busy machine's
	// leases last longer; too long, and a process that stood still ends leases
	// whose holders had no chance to renew them. Default 500 ms.
	StallLimit time.Duration
	// BeatEvery is how often the member renews its lease while a session is
	// attached to it. The lease must be at least 2.24 times as long. Default 1 s.
	BeatEvery time.Duration
	// Shared says that the journal has other members, or may get some. The node then opens at
	// once, and joins in the background when a majority can be reached; until
	// then it refuses.
	Shared bool
	// SettleWithin is how long a beat may take to be carried out at most, if the members
	// keep what they have: a write to the slowest disk, and the election of a leader. The lease
	// of members must be 1.12 times as long as that and two beats. Default 0.
	SettleWithin time.Duration
	// Pulse is called about every PulseEvery by the loop that keeps the node's
	// time, whenever it has been round; it must be quick. A node that is stuck is
	// silent. Default: never.
	Pulse      func()
	PulseEvery time.Duration
	// RestartLease is what holds of sessions that are to end with their
	// connections get when the node opens on a table that has some, and at
	// DisownBound: the end of a process is not that of its clients. It is for a
	// journal that keeps what it has, of a member that votes alone. Default 0: such
	// sessions end with the process.
	RestartLease time.Duration
	// Level is the newest format of commands, snapshots and hashes that this member takes
	// part in. The members use the newest one that all of them know; a member that does
	// not know it ends. Default lock.FormatLevel.
	Level uint32
	// Peers asks all other members for their reports; the answer has one for each, also
	// for those that did not answer, and comes soon. The member that leads asks at once,
	// again after each tenth of CensusEvery until all agree, and every CensusEvery, default
	// 10 s, to compare their tables. Default: there are no others.
	Peers       func(ctx context.Context, mark uint64) []PeerReport
	CensusEvery time.Duration
	// EventBacklog is how many events are kept for watchers that come back, once
	// there has been one; before that it is 1,024.
	// Default 16,384; at least 1,024.
	EventBacklog int
}

// withDefaults fills in what is zero and refuses what cannot be meant.
func (c Config) withDefaults() (Config, error) {
	spans := []struct {
		name  string
		value *time.Duration
		or    time.Duration
	}{
		{"CollectEvery", &c.CollectEvery, 30 * time.Minute},
		{"CollectIdle", &c.CollectIdle, 5 * time.Minute},
		{"QuietStart", &c.QuietStart, 0},
		{"StallLimit", &c.StallLimit, 500 * time.Millisecond},
		{"BeatEvery", &c.BeatEvery, time.Second},
		{"RestartLease", &c.RestartLease, 0},
		{"SettleWithin", &c.SettleWithin, 0},
		{"CensusEvery", &c.CensusEvery, 10 * time.Second},
	}
	for _, s := range spans {
		if *s.value < 0 {
			return c, fmt.Errorf("node: %s is %v; it cannot be negative", s.name, *s.value)
		}
		if *s.value == 0 {
			*s.value = s.or
		}
	}
	if c.EventBacklog < 0 {
		return c, errors.New("node: EventBacklog cannot be negative")
	}
	if c.EventBacklog == 0 {
		c.EventBacklog = 16_384
	}
	if c.Level == 0 {
		c.Level = lock.FormatLevel
	}
	if c.Member == "" {
		c.Member = "local"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// checkLease makes sure that a member that beats in time keeps its lease.
func (c *Config) checkLease(lease lock.Duration) error {
	if least := 2*spanOf(c.BeatEvery) + spanOf(c.SettleWithin); lease*100 < least*112 {
		return fmt.Errorf("node: the member lease of %v is shorter than 1.12 times two BeatEvery (%v) and SettleWithin (%v): "+
			"raise Settings.MemberLease or lower them", timeOf(lease), c.BeatEvery, c.SettleWithin)
	}
	return nil
}

// spanOf converts to the table's unit, upwards, so that nothing gets shorter.
func spanOf(d time.Duration) lock.Duration {
	return lock.Duration((d + time.Microsecond - 1) / time.Microsecond)
}

func timeOf(d lock.Duration) time.Duration { return time.Duration(d) * time.Microsecond }
