package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// peers are the reports of all members but one.
func (w *trio) peers(of string) func(context.Context, uint64) []PeerReport {
	return func(_ context.Context, mark uint64) []PeerReport {
		select {
		case <-w.ready:
		default:
			return []PeerReport{{}}
		}
		var all []PeerReport
		for _, m := range w.journals[of].Members() {
			if m.Member == of {
				continue
			}
			r := PeerReport{Member: m.Member, Votes: m.Votes}
			if n := w.nodes[m.Member]; n != nil && n.Err() == nil {
				if r.Report = n.Report(mark); w.newer.Load() {
					r.Level = lock.FormatLevel
				}
			}
			all = append(all, r)
		}
		return all
	}
}

// spoil makes a member's table another one.
func (w *trio) spoil(name string) {
	n := w.nodes[name]
	n.mu.Lock()
	defer n.mu.Unlock()
	n.table.Apply(lock.Entry{Term: 1, StampTerm: 1, Commands: []lock.Command{
		&lock.Acquire{Caller: lock.Caller{RequestID: name, Attempt: 1}, Items: []lock.Item{{Name: "spoilt by " + name}}, Lease: lock.Minute, Key: lock.Key{1}},
	}})
}

// stir changes something in all tables.
func (w *trio) stir(t *testing.T, name string) {
	t.Helper()
	o, err := w.nodes[name].Call(t.Context(), &lock.Acquire{
		Caller: lock.Caller{RequestID: name + time.Now().String(), Attempt: 1}, Items: []lock.Item{{Name: "x", Size: 1000}}, Lease: 60 * lock.Minute,
	})
	if err != nil || o.Code != lock.OK {
		t.Errorf("%v, %v", o.Code, err)
	}
}

func (w *trio) level(name string) uint32 { return w.nodes[name].settings().Format }

// The members agree on the newest format that all of them know, and compare their tables,
// but only while something happens in them.
func TestMembersAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openTrioWith(t, func(c *Config) { c.CensusEvery = time.Second })
		defer w.close()
		leader := w.leader()
		<-time.After(5 * time.Second)
		synctest.Wait()
		w.stir(t, leader)
		<-time.After(5 * time.Second)
		synctest.Wait()
		w.equal()
		for _, name := range w.names {
			n := w.nodes[name]
			n.mu.Lock()
			newest := n.marks.newest()
			n.mu.Unlock()
			if got := w.level(name); got != lock.FormatLevel || newest.entry == 0 {
				t.Errorf("%s: level %d, newest mark %d", name, got, newest.entry)
			}
		}
		before := w.journals[leader].Status().Applied
		<-time.After(20 * time.Second)
		if after := w.journals[leader].Status().Applied; after != before {
			t.Errorf("%d entries while nothing happened", after-before)
		}
	})
}

// They agree as soon as all of them answer.
func TestMembersAgreeSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = 10 * time.Second
		var silent atomic.Bool
		silent.Store(true)
		w := openTrioWith(t, func(c *Config) {
			peers := c.Peers
			c.CensusEvery = every
			c.Peers = func(ctx context.Context, mark uint64) []PeerReport {
				all := peers(ctx, mark)
				if silent.Load() {
					all[len(all)-1].Level = 0
				}
				return all
			}
		})
		defer w.close()
		for _, d := range []time.Duration{time.Second, 2 * every} {
			<-time.After(d)
			if got := w.level(w.leader()); got != 1 {
				t.Errorf("level %d after %v, and one is silent", got, d)
			}
		}
		silent.Store(false)
		<-time.After(every / 9)
		synctest.Wait()
		for _, name := range w.names {
			if got := w.level(name); got != lock.FormatLevel {
				t.Errorf("%s: level %d", name, got)
			}
		}
	})
}

// A member whose table differs stops itself, whether it leads or follows; the others go on.
func TestTableDiffers(t *testing.T) {
	for _, who := range []string{"the leader", "a follower"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := openTrioWith(t, func(c *Config) { c.CensusEvery = time.Second })
				defer w.closeQuietly()
				bad := w.leader()
				if who == "a follower" {
					bad = w.names[(slices.Index(w.names, bad)+1)%3]
				}
				<-time.After(5 * time.Second) // they have agreed to compare
				w.spoil(bad)
				w.stir(t, w.leader())
				<-w.nodes[bad].Done()
				if err := w.nodes[bad].Err(); !errors.Is(err, journal.ErrFatal) || !strings.Contains(err.Error(), "is not that of the other members") {
					t.Errorf("got %v", err)
				}
				if _, _, err := (*machine)(w.nodes[bad]).Snapshot(); err == nil {
					t.Error("its table is written to a snapshot")
				}
				w.network.Cut(bad)
				if err := w.journals[bad].Close(); err != nil {
					t.Error(err)
				}
				for _, name := range w.names {
					if name != bad {
						w.stir(t, name)
					}
				}
				<-time.After(5 * time.Second)
				for _, name := range w.names {
					if name != bad && w.nodes[name].Err() != nil {
						t.Errorf("%s has ended as well: %v", name, w.nodes[name].Err())
					}
				}
			})
		})
	}
}

// If no two tables are the same nobody can tell who is right: nothing is granted.
func TestTablesDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openTrioWith(t, func(c *Config) { c.CensusEvery = time.Second })
		defer w.close()
		<-time.After(5 * time.Second)
		w.spoil("a")
		w.spoil("b")
		w.stir(t, "c")
		<-time.After(5 * time.Second)
		for _, name := range w.names {
			if w.nodes[name].QuietLeft() == 0 {
				t.Errorf("%s still grants", name)
			}
		}
	})
}

// While one member knows less, the format stays; a member that comes back with an
// older program than the others have agreed on ends, and says why.
func TestOlderMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openTrioWith(t, func(c *Config) {
			if c.CensusEvery = time.Second; c.Member == "a" {
				c.Level = 1
			}
		})
		defer w.closeQuietly()
		<-time.After(5 * time.Second)
		if got := w.level("b"); got != 1 {
			t.Errorf("level %d, and a knows level 1", got)
		}
		w.network.Cut("a")
		w.newer.Store(true) // a says so, and is started anew in an older version
		for w.level("b") == 1 {
			<-time.After(time.Second)
		}
		w.network.Heal("a")
		<-w.nodes["a"].Done()
		if err := w.nodes["a"].Err(); !errors.Is(err, journal.ErrNewer) || !strings.Contains(err.Error(), "in a version as new as theirs") {
			t.Errorf("got %v", err)
		}
		w.stir(t, "b")
	})
}

// A member that needs a longer lease gets it at once; it gets shorter when all can do with less.
func TestLeaseOfMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openTrioWith(t, func(c *Config) { c.CensusEvery = time.Second })
		defer w.close()
		n := w.nodes["a"]
		n.mu.Lock()
		n.cfg.Settings.MemberLease = 28 * lock.Second
		n.mu.Unlock()
		for n.settings().MemberLease != 28*lock.Second {
			<-time.After(time.Second)
		}
		if got := n.wanted(false).MemberLease; got != 28*lock.Second {
			t.Errorf("a member that starts lowers the lease to %v", timeOf(got))
		}
		n.mu.Lock()
		n.cfg.Settings.MemberLease = memberLeaseOfTrio
		n.mu.Unlock()
		for n.settings().MemberLease != memberLeaseOfTrio {
			<-time.After(time.Second)
		}
	})
}

func TestCount(t *testing.T) {
	n := &Node{}
	n.marks.note(5, lock.Hash{1})
	peer := func(votes bool, hashes ...uint64) PeerReport {
		r := PeerReport{Votes: votes}
		if len(hashes) > 0 {
			r.Marked, r.Hash = true, lock.Hash{hashes[0]}
		}
		return r
	}
	for _, c := range []struct {
		name    string
		reports []PeerReport
		want    verdict
		hash    uint64
	}{
		{"alone", nil, decided, 1},
		{"all", []PeerReport{peer(true, 1), peer(true, 1)}, decided, 1},
		{"one silent", []PeerReport{peer(true, 1), peer(true)}, decided, 1},
		{"two silent", []PeerReport{peer(true), peer(true)}, undecided, 0},
		{"the leader differs", []PeerReport{peer(true, 2), peer(true, 2)}, decided, 2},
		{"one differs, one silent", []PeerReport{peer(true, 2), peer(true)}, undecided, 0},
		{"all differ", []PeerReport{peer(true, 2), peer(true, 3)}, disagreed, 0},
		{"two of two", []PeerReport{peer(true, 2)}, disagreed, 0},
		{"who has no vote does not count", []PeerReport{peer(true, 1), peer(false, 2), peer(false, 2), peer(false, 2)}, decided, 1},
	} {
		if got, hash := n.count(5, c.reports); got != c.want || hash != (lock.Hash{c.hash}) {
			t.Errorf("%s: %v %v", c.name, got, hash)
		}
	}
}
