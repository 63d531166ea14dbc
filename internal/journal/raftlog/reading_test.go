package raftlog

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// A member that has just been cut off still thinks that it leads. It asks the others
// before it lets anybody read.
func TestReadNeedsAMajority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j, lead := c.leader("")
		if err := j.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.isolate(name)
		synctest.Wait() // answers that are on their way still count
		if lead.Err() != nil {
			t.Fatal("the lead is over already: that proves nothing")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := j.Barrier(ctx); err == nil {
			t.Error("what is read there may be old, and nobody says so")
		}
		c.heal(name)
	})
}

// What is in flight when a read comes in is applied here before it is answered: it may
// have been acknowledged elsewhere.
func TestReadWaitsForWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j, _ := c.leader("")
		gate := c.machines[name].shut()
		proposed := make(chan error, 1)
		go func() { proposed <- j.Propose(t.Context(), line("seen")) }()
		for !slices.Contains(c.machines[c.other(name)].contents(), "seen") {
			<-time.After(time.Millisecond) // then a majority has it
		}
		read := make(chan error, 1)
		go func() { read <- j.Barrier(t.Context()) }()
		select {
		case err := <-read:
			t.Errorf("it was read before it was applied here: %v", err)
			read <- err
		case <-time.After(time.Second):
		}
		close(gate)
		if err := <-read; err != nil {
			t.Error(err)
		}
		if !slices.Contains(c.machines[name].contents(), "seen") {
			t.Error("what was in flight is not there")
		}
		if err := <-proposed; err != nil {
			t.Error(err)
		}
	})
}

// A member stood still, with answers of the others on their way to it, for so long that they
// have elected another one. When it goes on the answers come in after it began to make
// sure of its lead, and it still thinks that it leads. What others have acknowledged
// meanwhile is read all the same.
func TestReadAfterStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, "a", "b", "c")
		defer c.close()
		var late *lateTransport
		c.complete = func(cfg *Config) {
			if cfg.Member == "a" {
				// It does not find out by itself that nobody answers, as if its clocks stood.
				late = &lateTransport{InmemTransport: c.networkOf(cfg)}
				cfg.Transport, cfg.Timing = late, Timing{Heartbeat: time.Hour, Lease: time.Hour, Commit: 5 * time.Millisecond}
			}
		}
		for _, name := range c.names {
			c.open(name)
		}
		a := c.journals["a"]
		for _, leader, _ := c.leader(""); leader != a; _, leader, _ = c.leader("") {
			if err := leader.Transfer(t.Context(), "a"); err != nil {
				t.Log("another attempt after ", err)
			}
			<-time.After(100 * time.Millisecond)
		}
		if err := a.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		late.hold()
		<-time.After(100 * time.Millisecond) // more than enough for all answers that are sent
		c.isolate("a")
		_, next, _ := c.leader("a")
		if err := next.Propose(t.Context(), line("new")); err != nil {
			t.Fatal(err)
		}
		if _, err := a.leads(); err != nil {
			t.Fatalf("a knows already, and that proves nothing: %v", err)
		}
		c.post.sever("a", false)
		read := make(chan error, 1)
		go func() { read <- a.Barrier(t.Context()) }()
		synctest.Wait()
		late.release()
		synctest.Wait()
		c.heal("a")
		if err := <-read; err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(c.machines["a"].contents(), "new") {
			t.Error("what was acknowledged before the read is not there")
		}
	})
}

// lateTransport holds answers back that have been given.
type lateTransport struct {
	*raft.InmemTransport
	mu   sync.Mutex
	gate chan struct{} // nil: nothing is held
}

func (l *lateTransport) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate = make(chan struct{})
}

func (l *lateTransport) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.gate)
	l.gate = nil
}

// AppendEntries implements raft.Transport.
func (l *lateTransport) AppendEntries(id raft.ServerID, to raft.ServerAddress, q *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse) error {
	err := l.InmemTransport.AppendEntries(id, to, q, a)
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return err
}

// AppendEntriesPipeline implements raft.Transport.
func (l *lateTransport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// networkOf is a member's part of the network in memory.
func (c *cluster) networkOf(cfg *Config) *raft.InmemTransport {
	network, is := cfg.Transport.(*raft.InmemTransport)
	if !is {
		c.t.Fatalf("%T is not in memory", cfg.Transport)
	}
	return network
}

// other is a member besides the one named.
func (c *cluster) other(than string) string {
	return c.names[(slices.Index(c.names, than)+1)%len(c.names)]
}
