package raftlog

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// ahead is what a member that is the only one writes before raft does. Where nobody else can
// order anything, raft's answer is known: an entry gets the next number in the present term,
// and is committed when it is written. So whoever has the pen writes it, and applies it; raft
// is given it a little later, with others, and finds it in the log. Thus an answer waits for
// the disk, and for no other goroutine.
//
// Raft is not overruled. It gets every entry, in the order in which they are numbered, and as
// long as such a lead lasts it appends nothing else: no barrier, no change of members. Should
// it come with another entry all the same, the latch falls: what is on the disk was
// acknowledged, and the next start goes on behind it. What raft was not given when a process
// ends is the end of the log that it finds when it starts again.
type ahead struct {
	// giving has room for the one who gives raft entries, for their order. It may be had for
	// long: whoever waits for it waits on a channel, which fake time does not take for being busy.
	giving chan struct{}

	mu     sync.Mutex  // guards what follows; held for a few assignments
	owed   []*inFlight // written, and not given to raft
	due    *time.Timer // fires when raft is to be given them
	timing bool        // it is set
}

const (
	// owedTime is how long raft may be owed an entry.
	owedTime = 10 * time.Millisecond
	// mostOwed bounds the entries that it is owed. It has room for twice as many before
	// whoever gives them has to wait.
	mostOwed = 32
)

func newAhead() *ahead {
	a := &ahead{giving: make(chan struct{}, 1), due: time.NewTimer(owedTime)}
	a.due.Stop()
	return a
}

// add notes an entry that raft is owed; true if it is enough to be given.
func (a *ahead) add(e *inFlight) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.owed = append(a.owed, e)
	if !a.timing {
		a.timing = true
		a.due.Reset(owedTime)
	}
	return len(a.owed) >= mostOwed
}

// take returns what raft is owed, and forgets it.
func (a *ahead) take() []*inFlight {
	a.mu.Lock()
	defer a.mu.Unlock()
	owed := a.owed
	a.owed, a.timing = nil, false
	return owed
}

// writeAhead writes an entry that is stamped, and applies it. The caller has the pen. While a
// snapshot is about to be taken nothing is applied before raft comes with it, which is given
// it at once then.
func (j *Journal) writeAhead(e *inFlight) {
	l, err := j.store.writeNext(e.lead.term, e.data)
	if err != nil {
		j.queue.settle(e, err)
		return
	}
	applied := j.fsm.written(l, e)
	if j.ahead.add(e) || !applied {
		j.giveOwed()
	}
}

// giveOwed gives raft what it is owed.
func (j *Journal) giveOwed() {
	j.ahead.giving <- struct{}{}
	defer func() { <-j.ahead.giving }()
	// However long raft's main loop stands still: it has to come with what was written.
	const forEver = 0
	for _, e := range j.ahead.take() {
		j.apply(e, forEver)
	}
}

// apply gives raft an entry, and waits for so long at most until it takes it.
func (j *Journal) apply(e *inFlight, limit time.Duration) {
	j.queue.appended(e, j.raft.ApplyLog(raft.Log{Data: e.data}, limit))
}

// unseen are the entries of the log that raft has not come with yet.
type unseen struct {
	mu   sync.Mutex
	last uint64      // the newest entry of the log, once something was written to it
	logs []*raft.Log // the oldest first
}

// next makes the next entry of the log.
func (u *unseen) next(term uint64, data []byte) *raft.Log {
	u.mu.Lock()
	defer u.mu.Unlock()
	return &raft.Log{Index: u.last + 1, Term: term, Type: raft.LogCommand, Data: data}
}

// wrote notes what is on the disk now: ahead of raft, or by it.
func (u *unseen) wrote(logs []*raft.Log, ahead bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last = logs[len(logs)-1].Index
	if ahead {
		u.logs = append(u.logs, logs...)
	}
}

// pass returns those of the entries that raft comes with that are not written. An error says
// that others are in their place.
func (u *unseen) pass(logs []*raft.Log) ([]*raft.Log, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.logs) > 0 && len(logs) > 0 {
		is, comes := u.logs[0], logs[0]
		if is.Index != comes.Index || is.Term != comes.Term || len(comes.Data) == 0 || &is.Data[0] != &comes.Data[0] {
			return nil, fmt.Errorf("entry %d of term %d was written, and raft comes with entry %d of term %d, or another one",
				is.Index, is.Term, comes.Index, comes.Term)
		}
		u.logs, logs = u.logs[1:], logs[1:]
	}
	return logs, nil
}

// writeNext writes a command as the next entry of the log, before raft comes with it.
func (s *store) writeNext(term uint64, data []byte) (*raft.Log, error) {
	l := s.unseen.next(term, data)
	logs := []*raft.Log{l}
	if err := s.write(logs); err != nil {
		return nil, err
	}
	s.unseen.wrote(logs, true)
	return l, nil
}
