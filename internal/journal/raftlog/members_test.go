package raftlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// cluster is three members on a network in memory.
type cluster struct {
	t        *testing.T
	names    []string
	dirs     map[string]string
	networks map[string]*raft.InmemTransport
	machines map[string]*tape
	journals map[string]*Journal
	post     *post
	join     bool // new members join others
	// complete changes what a member is opened with.
	complete func(*Config)
}

func newCluster(t *testing.T, names ...string) *cluster {
	t.Helper()
	c := &cluster{
		t: t, names: names, dirs: map[string]string{}, networks: map[string]*raft.InmemTransport{},
		machines: map[string]*tape{}, journals: map[string]*Journal{},
		post: &post{journals: map[string]*Journal{}, cut: map[string]bool{}}, complete: func(*Config) {},
	}
	for _, name := range names {
		c.dirs[name] = fastDir(t)
	}
	return c
}

func openCluster(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t, "a", "b", "c")
	for _, name := range c.names {
		c.open(name)
	}
	return c
}

// open starts a member, connected to all that run.
func (c *cluster) open(name string) {
	c.t.Helper()
	_, network := raft.NewInmemTransport(raft.ServerAddress(name))
	cfg := small(c.dirs[name])
	cfg.Member, cfg.Cluster, cfg.Transport = name, "0123", network
	for _, n := range c.names {
		cfg.Peers = append(cfg.Peers, Peer{Member: n, Address: n})
		if other := c.networks[n]; other != nil && c.journals[n] != nil {
			network.Connect(raft.ServerAddress(n), other)
			other.Connect(raft.ServerAddress(name), network)
		}
	}
	cfg.Join = c.join
	cfg.Courier = postOf{c.post, name}
	c.complete(&cfg)
	m := &tape{}
	j, err := Open(cfg, m)
	if err != nil {
		c.t.Fatal(err)
	}
	c.post.connect(name, j)
	c.networks[name], c.machines[name], c.journals[name] = network, m, j
}

// isolate cuts a member off.
func (c *cluster) isolate(name string) {
	c.post.sever(name, true)
	c.networks[name].DisconnectAll()
	for n, other := range c.networks {
		if n != name {
			other.Disconnect(raft.ServerAddress(name))
		}
	}
}

// heal connects a member again.
func (c *cluster) heal(name string) {
	c.post.sever(name, false)
	for n, other := range c.networks {
		if n != name && c.journals[n] != nil {
			other.Connect(raft.ServerAddress(name), c.networks[name])
			c.networks[name].Connect(raft.ServerAddress(n), other)
		}
	}
}

// restart has a member crash, and begin again with what was on its disk.
func (c *cluster) restart(name string) {
	c.t.Helper()
	c.isolate(name)
	c.journals[name].crash()
	c.journals[name] = nil
	c.open(name)
	c.heal(name)
}

// leader waits until a member leads that is not the one named.
func (c *cluster) leader(not string) (string, *Journal, context.Context) {
	c.t.Helper()
	for range 1000 {
		for _, name := range c.names {
			j := c.journals[name]
			if name == not || j == nil {
				continue
			}
			if l, err := j.leads(); err == nil {
				return name, j, l.ctx
			}
		}
		<-time.After(20 * time.Millisecond)
	}
	c.t.Fatal("nobody leads")
	return "", nil, nil
}

func (c *cluster) close() {
	c.t.Helper()
	for name, j := range c.journals {
		if j == nil {
			continue
		}
		if err := j.Close(); err != nil {
			c.t.Errorf("close %s: %v", name, err)
		}
	}
}

// settled waits until all members that run have applied the same so many lines.
func (c *cluster) settled(n int) {
	c.t.Helper()
	for range 500 {
		var all [][]string
		for name, j := range c.journals {
			if j != nil {
				all = append(all, c.machines[name].contents())
			}
		}
		if len(all[0]) == n && !slices.ContainsFunc(all, func(x []string) bool { return !slices.Equal(x, all[0]) }) {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	for name, m := range c.machines {
		c.t.Errorf("%s has %d lines, want %d: %q", name, len(m.contents()), n, m.contents())
	}
}

// Three members, one of which is killed again and again while it leads: what was
// acknowledged is everywhere, in one order, and only who leads accepts anything.
func TestMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		written := 0
		for round := range 5 {
			name, j, lead := c.leader("")
			for i := range 10 {
				if err := j.Propose(t.Context(), line(fmt.Sprintf("line %d", written))); err != nil {
					t.Fatalf("round %d, line %d at %s: %v", round, i, name, err)
				}
				written++
			}
			if err := j.Barrier(t.Context()); err != nil {
				t.Errorf("barrier: %v", err)
			}
			for n, other := range c.journals {
				if n == name {
					continue
				}
				if err := other.proposeHere(t.Context(), proposalOf(t, "from a follower")); !errors.Is(err, journal.ErrRefused) {
					t.Errorf("%s does not lead and says %v", n, err)
				}
			}
			c.isolate(name)
			j.crash()
			<-lead.Done()
			c.journals[name] = nil
			c.leader(name)
			c.open(name)
			c.heal(name)
		}
		c.settled(written)
	})
}

// proposalOf is one that waits for its turn.
func proposalOf(t *testing.T, text string) *proposal {
	t.Helper()
	p := newProposal(line(text))
	if err := p.encode(); err != nil {
		t.Fatal(err)
	}
	return p
}

// A leader that is cut off leads no more, before another one does; what it was
// given meanwhile is unknown, not refused; and it comes back. A hundred times in half
// an hour.
func TestIsolatedLeader(t *testing.T) {
	const times, each = 100, 18 * time.Second
	seldom := Timing{Heartbeat: 500 * time.Millisecond, Lease: 250 * time.Millisecond, Commit: time.Second}
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, "a", "b", "c")
		// Followers hear of commits seldom: a million small messages would show nothing.
		c.complete = func(cfg *Config) { cfg.Timing = seldom }
		for _, name := range c.names {
			c.open(name)
		}
		defer c.close()
		for range times {
			begun := time.Now()
			name, j, lead := c.leader("")
			c.isolate(name)
			err := j.Propose(t.Context(), line("lost"))
			if err == nil {
				t.Fatalf("%s is alone and acknowledges", name)
			}
			if !errors.Is(err, journal.ErrUnknown) && !errors.Is(err, journal.ErrRefused) {
				t.Errorf("got %v", err)
			}
			<-lead.Done()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := j.Barrier(ctx); err == nil {
				t.Errorf("%s is alone and passes a barrier", name)
			}
			cancel()
			next, other, _ := c.leader(name)
			if err := other.Propose(t.Context(), line("kept")); err != nil {
				t.Errorf("%s leads: %v", next, err)
			}
			c.heal(name)
			<-time.After(each - time.Since(begun))
		}
		_, j, _ := c.leader("")
		if err := j.Propose(t.Context(), line("the end")); err != nil {
			t.Fatal(err)
		}
		lines := c.machines["a"].contents()
		for len(lines) == 0 || lines[len(lines)-1] != "the end" {
			<-time.After(20 * time.Millisecond)
			lines = c.machines["a"].contents()
		}
		c.settled(len(lines))
		kept := slices.DeleteFunc(lines, func(l string) bool { return l != "kept" })
		if len(kept) != times {
			t.Errorf("%d of %d acknowledged lines are there", len(kept), times)
		}
	})
}

// A member that comes back after all that it lacks was dropped gets a snapshot, whose
// end lies behind that of its own log, and goes on; also after a restart.
func TestSnapshotFromElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j, _ := c.leader("")
		lag := c.names[0]
		if lag == name {
			lag = c.names[1]
		}
		if err := j.Propose(t.Context(), line("early")); err != nil {
			t.Fatal(err)
		}
		c.settled(1)
		c.isolate(lag)
		for i := range 50 {
			if err := j.Propose(t.Context(), line(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.heal(lag)
		c.settled(51)
		c.restart(lag)
		c.settled(51)
		_, j, _ = c.leader("")
		if err := j.Propose(t.Context(), line("late")); err != nil {
			t.Fatal(err)
		}
		c.settled(52)
	})
}

// astray is a courier of members of whom each says that another one leads.
type astray struct {
	asked  int
	enough func()
}

// Ask implements Courier.
func (a *astray) Ask(ctx context.Context, of Peer, _ []byte) ([]byte, error) {
	const far = 1000
	if a.asked++; a.asked == far {
		a.enough()
	}
	return writeAnswer(refused(&movedError{of}), 0), ctx.Err()
}

// Members who do not agree on who leads are asked now and then, and not again and again.
func TestMembersWhoNameEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a := &astray{enough: cancel}
		c := newCluster(t, "a", "b", "c")
		defer c.close()
		c.complete = func(cfg *Config) { cfg.Courier = a }
		for _, name := range c.names {
			c.open(name)
		}
		_, j := c.follower()
		err := j.Remove(ctx, "x")
		if !errors.Is(err, journal.ErrRefused) {
			t.Errorf("got %v", err)
		}
		if most := 2 * (1 + int(time.Second/(j.cfg.Timing.Heartbeat/2))); a.asked < 2 || a.asked > most {
			t.Errorf("others were asked %d times within a second, want %d at most", a.asked, most)
		}
	})
}
