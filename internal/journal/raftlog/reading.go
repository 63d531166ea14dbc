package raftlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// What is read here is current if this member, or the one that it asks, led after the read
// came in, and everything that was in flight there then is applied here. Raft's own check
// does not say that: it counts every answer that comes in after it began, also one that was
// given before. If this process stood still in between, or the network held the answer
// back, another member may have been elected meanwhile.
//
// So a majority is asked for the term that each of them knows, and every question is sent
// after the read came in. Who votes takes the new term first. So if none of a majority knew
// of a later term when it answered, nobody had been elected in one before the question, and
// all that was acknowledged until then went through this member.

// Barrier waits until what is read here is current. It waits for a lead, and then
// for as long as it takes to make sure of it: nothing if nobody else has a vote.
// With a Courier the lead may be another member's, and it is not waited for longer
// than an election takes. Without one nobody else can lead.
func (j *Journal) Barrier(ctx context.Context) error {
	if j.cfg.Courier != nil {
		return j.barrierAnywhere(ctx)
	}
	for {
		if ctx.Err() != nil {
			return refused(context.Cause(ctx))
		}
		j.mu.Lock()
		term, over, changed := j.term, j.over, j.changed
		j.mu.Unlock()
		switch {
		case over != nil:
			return over
		case term != 0:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// votesAlone reports whether nobody else could lead.
func (j *Journal) votesAlone() bool {
	others, voters := j.voters()
	return len(others) == 0 && voters == 1
}

// voters returns the other members with a vote, by the newest configuration in the log, and
// how many there are with this one.
func (j *Journal) voters() (others []Peer, all int) {
	for _, s := range j.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		all++
		if s.ID != raft.ServerID(j.cfg.Member) {
			others = append(others, Peer{Member: string(s.ID), Address: string(s.Address)})
		}
	}
	return others, all
}

// verify makes sure that this member still leads in a term, and that what was in flight
// is applied.
func (j *Journal) verify(ctx context.Context, term uint64) bool {
	applied := j.queue.lastInFlight()
	if !j.leadsStill(ctx, term) {
		return false
	}
	select {
	case <-applied:
	case <-j.disk.failed:
		return false
	case <-j.stopped.Done():
		return false
	}
	return j.raft.CurrentTerm() == term
}

// leadsStill asks the others until a majority, with this member, has said that it knows of
// no later term.
func (j *Journal) leadsStill(ctx context.Context, term uint64) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	others, voters := j.voters()
	if len(others) == voters {
		return false // this member is to lead no more
	}
	answers := make(chan bool, len(others))
	for _, of := range others {
		if !j.goTask(func() { answers <- j.knowsNoneAfter(ctx, of, term) }) {
			return false
		}
	}
	for needed, left := voters/2, len(others); needed > 0; {
		changed, led := j.watchTerm()
		if led != term || left < needed {
			return false
		}
		select {
		case yes := <-answers:
			if left--; yes {
				needed--
			}
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// knowsNoneAfter asks another member whether it knows of a term after this one. Who does
// not answer is taken to do.
func (j *Journal) knowsNoneAfter(ctx context.Context, of Peer, term uint64) bool {
	known, err := j.ask(ctx, of, []byte{askTerm})
	return err == nil && known <= term
}

// watchTerm returns the term of the established lead, 0 if there is none, and a channel
// that is closed when it may be another one.
func (j *Journal) watchTerm() (changed <-chan struct{}, term uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed, j.term
}

// serveBarrier makes sure for another member that this one leads. Everything that was
// acknowledged anywhere before is then applied here.
func (j *Journal) serveBarrier(ctx context.Context) error {
	switch term := j.termLed(); {
	case term == 0:
		return refused(errNotLeader)
	case j.votesAlone():
		return nil
	}
	return j.here.share(ctx, func(ctx context.Context) error {
		if term := j.termLed(); term != 0 && j.verify(ctx, term) {
			return nil
		}
		return refused(errNotLeader)
	})
}

// termLed is the term of the established lead, 0 if there is none.
func (j *Journal) termLed() uint64 {
	_, term := j.watchTerm()
	return term
}

// barrierAnywhere is a barrier of a member that has others.
func (j *Journal) barrierAnywhere(ctx context.Context) error {
	for w := j.newRespite(); ; {
		if ctx.Err() != nil {
			return refused(context.Cause(ctx))
		}
		err := j.serveBarrier(ctx)
		if elsewhere(err) {
			err = j.barrierThere(ctx)
		}
		j.mu.Lock()
		over := j.over
		j.mu.Unlock()
		switch {
		case over != nil:
			return over
		case !elsewhere(err) || !j.pause(ctx, w):
			return err
		}
	}
}

// barrierThere is a barrier of a member that does not lead.
func (j *Journal) barrierThere(ctx context.Context) error {
	of, known := j.Leader()
	if !known || of.Member == j.cfg.Member {
		return refused(errNoLeader)
	}
	return j.there.share(ctx, func(ctx context.Context) error {
		index, err := j.ask(ctx, of, []byte{askBarrier})
		switch {
		case errors.Is(err, journal.ErrRefused):
			return &elsewhereError{err}
		case err != nil: // whether it arrived does not matter: asking again does no harm
			return refused(fmt.Errorf("%w: %s", errElsewhere, err.Error()))
		}
		return j.fsm.await(ctx, index)
	})
}
