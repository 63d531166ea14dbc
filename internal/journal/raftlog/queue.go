package raftlog

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// proposal is a batch that waits to be ordered, and its caller.
type proposal struct {
	batch journal.Batch
	data  []byte
	from  origin     // of another member; zero if it was proposed here
	done  chan error // room for one
	taken bool       // into an entry; guarded by the queue
}

func newProposal(b journal.Batch) *proposal {
	return &proposal{batch: b, done: make(chan error, 1)}
}

func (p *proposal) encode() (err error) {
	p.data, err = p.batch.AppendBinary(nil)
	return err
}

func (*proposal) recycle() {}

// inFlight is an entry on its way.
type inFlight struct {
	proposals []*proposal
	data      []byte
	lead      *lead
	elapsed   int64
	future    raft.ApplyFuture
	settled   bool          // guarded by the queue
	done      chan struct{} // closed when it is settled
}

// queue is what waits to be ordered, and what is on its way. The writer takes from
// it; entries are settled by whoever learns of their end first.
type queue struct {
	maxBytes, maxFlying int

	mu      sync.Mutex
	more    *sync.Cond // something waits and there is room, or the queue is closed
	waiting []*proposal
	bytes   int
	closed  error // why nothing is accepted any more
	flying  map[*byte]*inFlight
	last    *inFlight // the newest
}

func newQueue(maxBytes, maxFlying int) *queue {
	q := &queue{maxBytes: maxBytes, maxFlying: maxFlying, flying: map[*byte]*inFlight{}}
	q.more = sync.NewCond(&q.mu)
	return q
}

var errBusy = errors.New("the disk does not keep up: too much waits to be written")

// add lets a proposal wait for its turn.
func (q *queue) add(p *proposal) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed != nil:
		return q.closed
	case q.bytes+len(p.data) > maxQueuedBytes:
		return refused(errBusy)
	}
	q.waiting = append(q.waiting, p)
	q.bytes += len(p.data)
	if len(q.waiting) == 1 {
		q.more.Signal()
	}
	return nil
}

// withdraw takes a proposal back; false if it was taken. It stays in its place until
// the writer comes to it: when the disk hangs, many may withdraw at once.
func (q *queue) withdraw(p *proposal) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.taken {
		return false
	}
	q.bytes -= len(p.data)
	p.taken, p.data, p.batch = true, nil, nil
	return true
}

// await waits until something waits and there is room for an entry; false says that
// the queue is closed and empty.
func (q *queue) await() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 || len(q.flying) >= q.maxFlying {
		if q.closed != nil && len(q.waiting) == 0 {
			return false
		}
		q.more.Wait()
	}
	return true
}

// take closes an entry: all that waits, as far as it fits. Nothing does if all of it
// was withdrawn.
func (q *queue) take() []*proposal {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken, seen, size := q.waiting[:0], 0, 0
	for _, p := range q.waiting {
		if len(taken) == maxBatches || len(taken) > 0 && size+len(p.data) > q.maxBytes {
			break
		}
		seen++
		if !p.taken {
			p.taken = true
			size += len(p.data)
			taken = append(taken, p)
		}
	}
	taken = slices.Clip(taken)
	q.waiting = q.waiting[seen:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	q.bytes -= size
	return taken
}

// fly notes an entry that is about to be appended.
func (q *queue) fly(e *inFlight) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flying[&e.data[0]] = e
	q.last = e
}

// find returns the entry in flight that has these very bytes, nil if they come from
// elsewhere.
func (q *queue) find(data []byte) *inFlight {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.flying[&data[0]]
}

// settle tells the callers of an entry how it ended; false if they were told before.
func (q *queue) settle(e *inFlight, err error) bool {
	q.mu.Lock()
	if e.settled {
		q.mu.Unlock()
		return false
	}
	e.settled = true
	delete(q.flying, &e.data[0])
	q.more.Signal()
	q.mu.Unlock()
	close(e.done)
	for _, p := range e.proposals {
		p.done <- err
	}
	return true
}

// lastInFlight returns a channel that is closed when everything that is in flight
// now is settled. Entries settle in their order.
func (q *queue) lastInFlight() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.last != nil {
		return q.last.done
	}
	done := make(chan struct{})
	close(done)
	return done
}

// close accepts nothing any more; what waits is still taken.
func (q *queue) close(reason error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.closed = reason
	}
	q.more.Signal()
}

// abandon is for a disk that has failed: nothing that waits is taken any more.
func (q *queue) abandon(reason error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = reason
	for _, p := range q.waiting {
		p.taken = true
		p.done <- reason
	}
	q.waiting, q.bytes = nil, 0
	q.more.Signal()
}

// runWriter closes entries, stamps them and appends them, one after the other.
func (j *Journal) runWriter() {
	defer close(j.flying)
	for j.queue.await() {
		// Callers that were just told of the entry before are about to come again:
		// they are to go into this one, and not into the next.
		runtime.Gosched()
		if e := j.append(j.queue.take()); e != nil {
			j.flying <- e
		}
	}
}

// append makes an entry and appends it. It returns nil, and has told the callers,
// if this member does not lead.
func (j *Journal) append(proposals []*proposal) *inFlight {
	if len(proposals) == 0 {
		return nil
	}
	data := encodeEntry(proposals)
	e := &inFlight{proposals: proposals, data: data, done: make(chan struct{})}
	j.clockMu.Lock()
	defer j.clockMu.Unlock()
	var err error
	if e.lead, err = j.leads(); err != nil {
		for _, p := range proposals {
			p.done <- err
		}
		return nil
	}
	e.elapsed = j.machine.Stamp()
	stampEntry(data, e.lead.term, e.elapsed)
	j.queue.fly(e)
	// A time-out that is longer than the main loop of raft may hang in the disk.
	e.future = j.raft.ApplyLog(raft.Log{Data: data}, 2*j.cfg.WriteDeadline)
	return e
}

// runFinisher waits for the end of each entry, in their order. Those that succeed
// were settled when they were applied.
func (j *Journal) runFinisher() {
	for e := range j.flying {
		if err := e.future.Error(); err != nil {
			j.fall(e, err)
		}
	}
}

// fall settles an entry that raft did not take, or does not know the end of.
func (j *Journal) fall(e *inFlight, err error) {
	ending := journal.ErrUnknown
	switch {
	case j.disk.check() != nil:
		err = j.disk.check()
		j.queue.settle(e, err)
		return
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		ending = journal.ErrRefused
	}
	if j.queue.settle(e, fmt.Errorf("%w: %w", ending, err)) && errors.Is(ending, journal.ErrRefused) {
		j.unstamp(e)
	}
}

// unstamp gives the time of a refused entry back, if its lead lasts: it goes into
// the next one.
func (j *Journal) unstamp(e *inFlight) {
	j.clockMu.Lock()
	defer j.clockMu.Unlock()
	if l, err := j.leads(); err == nil && l == e.lead {
		j.machine.Unstamp(e.elapsed)
	}
}
