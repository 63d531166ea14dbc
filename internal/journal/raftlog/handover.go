package raftlog

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// follower is how another member keeps up with this one while this one leads.
type follower struct {
	ends  uint64    // how often it has confirmed all of the log
	at    time.Time // when it did last
	wants uint64    // so many ends it must have confirmed before it is asked to lead
}

// followers are those to whom the lead can be handed. Raft has one place to leave word for
// the goroutine that sends entries to a follower. An attempt to hand the lead over that came
// to no end may have left it full: with another attempt raft would wait for that goroutine and
// accept nothing meanwhile, for ever if the lead is lost then. So nobody is asked who does not
// keep up, and who was asked in vain must have kept up for a while: each time that it has
// confirmed all of the log, the goroutine looks at the place again. The zero value is ready.
type followers struct {
	mu  sync.Mutex
	all map[raft.ServerID]*follower
}

// endsAfterFailure are so many looks that one of them has found what was left.
const endsAfterFailure = 32

func (f *followers) of(id raft.ServerID) *follower {
	if f.all == nil {
		f.all = map[raft.ServerID]*follower{}
	}
	if f.all[id] == nil {
		f.all[id] = &follower{}
	}
	return f.all[id]
}

// confirmed notes that a member has all of the log.
func (f *followers) confirmed(id raft.ServerID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.of(id)
	x.ends, x.at = x.ends+1, time.Now()
}

// failed notes that a member did not take the lead that it was given.
func (f *followers) failed(id raft.ServerID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.of(id)
	x.wants = x.ends + endsAfterFailure
}

// keepsUp reports whether a member can be asked to lead: it had all of the log a moment ago,
// at that time.
func (f *followers) keepsUp(id raft.ServerID, moment time.Duration) (at time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.of(id)
	return x.at, x.ends > 0 && x.ends >= x.wants && time.Since(x.at) <= moment
}

// handOver hands the lead to a member, or to any if the name is empty. It waits for one that
// keeps up, for so long at most.
func (j *Journal) handOver(name string, limit time.Duration) error {
	for begun := time.Now(); ; {
		if j.raft.State() != raft.Leader { // it may, and accept nothing since its disk is full
			return refused(errNotLeader)
		}
		if to, found := j.successor(name); found {
			return j.handTo(to)
		}
		if time.Since(begun) >= limit {
			return refused(behindError(name))
		}
		if err := j.rest(j.stopped); err != nil {
			return err
		}
	}
}

// handTo hands the lead to a member, one at a time. Who waits for a member to keep up is in
// nobody's way.
func (j *Journal) handTo(to Member) error {
	if !j.handing.TryLock() {
		return refused(raft.ErrLeadershipTransferInProgress)
	}
	defer j.handing.Unlock()
	id := raft.ServerID(to.Member)
	if err := j.await(j.raft.LeadershipTransferToServer(id, raft.ServerAddress(to.Address))); err != nil {
		j.links.followers.failed(id)
		return ended(err)
	}
	j.log.InfoContext(j.stopped, "The lead was handed over", "member", to.Member)
	return nil
}

// successor returns the member of a name, or if that is empty the one that had all of the log
// last, if it can be asked to lead. One that has just gone away had it longer ago.
func (j *Journal) successor(name string) (to Member, found bool) {
	moment := max(j.cfg.Timing.Heartbeat, 4*j.cfg.Timing.Commit)
	var newest time.Time
	for _, m := range j.Members() {
		if !m.Votes || m.Member == j.cfg.Member || name != "" && name != m.Member {
			continue
		}
		if at, ok := j.links.followers.keepsUp(raft.ServerID(m.Member), moment); ok && at.After(newest) {
			to, found, newest = m, true, at
		}
	}
	return to, found
}

// behindError says that nobody can be asked to lead.
func behindError(name string) error {
	who := "no other member with a vote keeps up"
	if name != "" {
		who = fmt.Sprintf("member %q does not keep up", name)
	}
	return fmt.Errorf("%s: it is away, or does not have all entries: see \"ldlm cluster status\", and try again when it has them", who)
}
