package raftlog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// proposeWithin proposes a line at a member, and wants it to be acknowledged in time.
func proposeWithin(t *testing.T, j *Journal, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := j.Propose(ctx, line("x")); err != nil {
		t.Errorf("proposed at %s: %v", j.cfg.Member, err)
	}
}

// transferWithin hands the lead to a member.
func transferWithin(t *testing.T, j *Journal, to string, limit time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return j.Transfer(ctx, to)
}

// The lead is not offered to a member that is away: nobody else waits for that.
func TestTransferToMemberThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j, _ := c.leader("")
		at := c.other(name)
		c.isolate(at)
		for range 20 { // raft asks it less and less often
			proposeWithin(t, j, time.Second)
			<-time.After(time.Second)
		}
		var asking sync.WaitGroup
		asking.Go(func() {
			err := transferWithin(t, j, at, time.Minute)
			if !errors.Is(err, journal.ErrRefused) || !strings.Contains(err.Error(), `"`+at+`" does not keep up`) {
				t.Errorf("got %v", err)
			}
		})
		for range 20 {
			proposeWithin(t, j, 100*time.Millisecond)
			<-time.After(250 * time.Millisecond)
		}
		asking.Wait()
		proposeWithin(t, j, 100*time.Millisecond)
		c.heal(at)
		c.settled(len(c.machines[name].contents())) // which takes raft a while
		<-time.After(time.Second)
		if err := transferWithin(t, j, at, time.Minute); err != nil {
			t.Errorf("when it is back: %v", err)
		}
		if now, _, _ := c.leader(name); now != at {
			t.Errorf("%s leads", now)
		}
	})
}

// A member may go away while it is given the lead. Whoever leads goes on, and can lose the lead
// and win it again.
func TestTransferThatComesToNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j, _ := c.leader("")
		at := c.other(name)
		proposeWithin(t, j, time.Second)
		for range 3 {
			c.settled(len(c.machines[name].contents()))
			<-time.After(time.Second)
			c.isolate(at)
			proposeWithin(t, j, time.Second) // which the other one does not get
			if _, found := j.successor(at); !found {
				t.Fatal("it is not known yet that the member is away, and it is not asked")
			}
			if err := transferWithin(t, j, at, 3*time.Second); err == nil {
				t.Error("the lead was handed to one that is away")
			}
			proposeWithin(t, j, 100*time.Millisecond)
			c.isolate(name)
			<-time.After(2 * time.Second)
			c.heal(name)
			c.heal(at)
			if now, leader, _ := c.leader(""); now != name {
				c.settled(len(c.machines[now].contents()))
				if err := transferWithin(t, leader, name, time.Minute); err != nil {
					t.Fatal(err)
				}
				c.leader(now)
			}
			proposeWithin(t, j, time.Second)
		}
	})
}

// A member that is closed while it hands the lead over leaves nothing behind: nobody may be
// there any more who waits for the other one.
func TestCloseWhileTheLeadIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j, _ := c.leader("")
		at := c.other(name)
		proposeWithin(t, j, time.Second)
		<-time.After(time.Second)
		c.isolate(at)
		proposeWithin(t, j, time.Second)
		var asking sync.WaitGroup
		asking.Go(func() {
			if err := transferWithin(t, j, at, time.Minute); err == nil {
				t.Error("the lead was handed to one that is away")
			}
		})
		<-time.After(100 * time.Millisecond)
		if j.handing.TryLock() {
			t.Error("the lead is not being handed over")
			j.handing.Unlock()
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		asking.Wait()
	})
}

// Who was asked in vain is asked again when it has kept up for a while.
func TestAskedInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f followers
		const moment = time.Second
		want := func(when string, want bool) {
			t.Helper()
			if _, got := f.keepsUp("b", moment); got != want {
				t.Errorf("%s: it keeps up: %v", when, got)
			}
		}
		want("never heard of", false)
		f.confirmed("b")
		want("heard of", true)
		<-time.After(moment)
		want("a moment later", true)
		<-time.After(1)
		want("later", false)
		f.confirmed("b")
		f.failed("b")
		for range endsAfterFailure {
			want("in vain", false)
			f.confirmed("b")
		}
		want("in vain, long ago", true)
	})
}

// Whoever does not lead has nothing to hand over, also if it finds that out late; and the lead
// is handed over once at a time.
func TestYieldWithoutTheLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, leader, _ := c.leader("")
		_, j := c.follower()
		if err := j.Yield(); err != nil {
			t.Errorf("one that follows: %v", err)
		}
		j.mu.Lock()
		j.leader = Peer{Member: j.cfg.Member, Address: j.cfg.Member} // as if it had not heard of the other one yet
		j.mu.Unlock()
		if err := j.Yield(); err != nil {
			t.Errorf("one whose lead has ended: %v", err)
		}
		if err := j.handTo(Member{Peer: Peer{Member: name, Address: name}}); !errors.Is(err, raft.ErrNotLeader) || !elsewhere(err) {
			t.Errorf("raft says %v", err)
		}
		if now, _, _ := c.leader(""); now != name {
			t.Errorf("%s leads", now)
		}
		leader.handing.Lock()
		if err := leader.Yield(); !elsewhere(err) {
			t.Errorf("while it is handed over: %v", err)
		}
		leader.handing.Unlock()
		if err := leader.Yield(); err != nil {
			t.Error(err)
		}
		c.leader(name)
	})
}

// The lead goes to who has everything now, and not to who went away a moment ago.
func TestYieldToWhoIsThere(t *testing.T) {
	for dead := range 2 {
		synctest.Test(t, func(t *testing.T) {
			c := openCluster(t)
			defer c.close()
			name, j, _ := c.leader("")
			proposeWithin(t, j, time.Second)
			<-time.After(time.Second)
			followers := slices.DeleteFunc(slices.Clone(c.names), func(n string) bool { return n == name })
			c.isolate(followers[dead])
			for range 10 {
				proposeWithin(t, j, time.Second)
				<-time.After(20 * time.Millisecond)
			}
			if err := j.Yield(); err != nil {
				t.Errorf("without %s: %v", followers[dead], err)
			}
			c.heal(followers[dead])
		})
	}
}

// Who waits for a member that is away is in nobody's way.
func TestYieldWhileATransferWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j, _ := c.leader("")
		proposeWithin(t, j, time.Second)
		away := c.other(name)
		c.isolate(away)
		for range 5 {
			proposeWithin(t, j, time.Second)
			<-time.After(time.Second)
		}
		var asking sync.WaitGroup
		asking.Go(func() { _ = transferWithin(t, j, away, 20*time.Second) }) // it succeeds when that is back
		<-time.After(300 * time.Millisecond)
		if err := j.Yield(); err != nil {
			t.Error(err)
		}
		c.heal(away)
		asking.Wait()
	})
}
