package raftlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// leads returns the present lead, or why there is none.
func (j *Journal) leads() (*lead, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.over != nil:
		return nil, j.over
	case j.lead != nil:
		return j.lead, nil
	case j.term != 0 && j.full != nil:
		return nil, refused(j.full)
	default:
		return nil, refused(errNotLeader)
	}
}

// runLead follows raft: it establishes leads and ends them.
func (j *Journal) runLead() {
	for {
		select {
		case won := <-j.notify:
			j.endTerm(errLostLead)
			if won {
				j.establish()
			}
		case <-j.doubt:
			j.endTerm(errLostLead)
			j.establish()
		case <-j.stopped.Done():
			return
		}
	}
}

// establish takes the lead: a barrier was applied, and the term is the same before
// and after. That raft has told of a lead says little: it tells only what was last.
func (j *Journal) establish() {
	for j.raft.State() == raft.Leader && j.stopped.Err() == nil {
		term := j.raft.CurrentTerm()
		err := j.await(j.raft.Barrier(2 * j.cfg.WriteDeadline))
		if err == nil && j.raft.State() == raft.Leader && j.raft.CurrentTerm() == term {
			j.take(term)
			j.moveAlone()
			return
		}
		if err != nil && !errors.Is(err, raft.ErrEnqueueTimeout) {
			return // raft tells when there is a new lead
		}
	}
}

// await waits for raft, which does not answer any more if what it reads is damaged.
func (j *Journal) await(f raft.Future) error {
	done := make(chan error, 1)
	j.finishing.Go(func() { done <- f.Error() })
	select {
	case err := <-done:
		return err
	case <-j.disk.failed:
		return j.disk.check()
	}
}

// take begins a lead.
func (j *Journal) take(term uint64) {
	j.clockMu.Lock()
	defer j.clockMu.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over != nil {
		return
	}
	j.term = term
	if j.full == nil {
		j.begin()
	}
	j.tell()
}

// begin begins a lead in the established term. It is called with both mutexes held.
func (j *Journal) begin() {
	l := &lead{term: j.term, sole: j.alone && j.votesAlone() && len(j.Members()) == 1}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	j.machine.StartClock()
	j.lead = l
}

// tell wakes whoever waits for a change. It is called with mu held.
func (j *Journal) tell() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// endTerm ends the lead, and that it is established.
func (j *Journal) endTerm(cause error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.term = 0
	j.endLocked(cause)
}

// endLead ends the lead.
func (j *Journal) endLead(cause error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.endLocked(cause)
}

func (j *Journal) endLocked(cause error) {
	if j.lead != nil {
		j.lead.end(cause)
		j.lead = nil
	}
	j.tell()
}

// finish says that there will be no lead any more. The first reason counts, but for
// a failure, which always does.
func (j *Journal) finish(reason error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over == nil || errors.Is(reason, journal.ErrFatal) {
		j.over = reason
	}
	j.endLocked(reason)
}

// failed is called by the disk when its latch falls.
func (j *Journal) failed(err error) {
	j.finish(err)
	j.queue.abandon(err)
	// Other members must not wait for this one. Closing may wait for what hangs in
	// the disk.
	go closeTransport(j.cfg.Transport)
}

// setFull begins or ends the time in which nothing is accepted. It is a time
// without a lead: what passes in it does not count.
func (j *Journal) setFull(full error) {
	j.clockMu.Lock()
	defer j.clockMu.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if (full == nil) == (j.full == nil) || j.over != nil {
		return
	}
	j.full = full
	if full != nil {
		j.endLocked(fmt.Errorf("%w", full))
		return
	}
	if j.term != 0 {
		j.begin()
	}
	j.tell()
}
