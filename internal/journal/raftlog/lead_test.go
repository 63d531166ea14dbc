package raftlog

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// While a lead is being established, it is lost to another member and won again. The barrier
// is from the term before: it says nothing of what the other one has ordered meanwhile, and
// the lead that begins must be of the present term.
func TestLeadLostAndWonWhileItIsEstablished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j, _ := c.leader("")
		m, first := c.machines[name], j.raft.CurrentTerm()
		var begun []uint64 // the terms of leads, as they begin
		m.mu.Lock()
		m.begins = func() {
			begun = append(begun, j.term) // whoever begins a lead has the mutexes
			if now := j.raft.CurrentTerm(); j.term != now {
				t.Errorf("a lead of term %d begins in term %d", j.term, now)
			}
		}
		m.mu.Unlock()

		// The barrier is committed, and waits behind an entry that is being applied.
		gate := m.shut()
		proposed := make(chan error, 1)
		go func() { proposed <- j.Propose(t.Context(), line("held")) }()
		for !slices.Contains(c.machines[c.other(name)].contents(), "held") {
			<-time.After(time.Millisecond)
		}
		j.doubt <- struct{}{}
		<-time.After(20 * time.Millisecond)

		c.isolate(name)
		_, other, _ := c.leader(name)
		c.heal(name)
		if err := other.handOver(name, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		for j.raft.State() != raft.Leader {
			<-time.After(time.Millisecond)
		}
		if now := j.raft.CurrentTerm(); now <= first || len(begun) > 0 {
			t.Fatalf("it leads in term %d, was in term %d, and leads of terms %v have begun already", now, first, begun)
		}
		close(gate)
		if _, err := j.Lead(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(begun) == 0 {
			t.Error("no lead has begun")
		}
		<-proposed // it may be known, or not
	})
}
