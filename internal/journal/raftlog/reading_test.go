package raftlog

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
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

// other is a member besides the one named.
func (c *cluster) other(than string) string {
	return c.names[(slices.Index(c.names, than)+1)%len(c.names)]
}
