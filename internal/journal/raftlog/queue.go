package raftlog

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// proposal is a batch that waits to be ordered, and its caller.
type proposal struct {
	batch journal.Batch
	data  []byte
	from  origin     // of another member; zero if it was proposed here
	done  chan error // room for one
	// patient: the machine would only have it wait.
	patient bool
	// lent: whoever proposes it may write it, although that may wait for the disk.
	lent  bool
	taken bool // into an entry; guarded by the queue
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
	begun     time.Time
	pressing  int              // proposals that are not patient
	future    raft.ApplyFuture // guarded by the queue, nil before it was appended
	settled   bool             // guarded by the queue
	done      chan struct{}    // closed when it is settled
}

// queue is what waits to be ordered, and what is on its way. Whoever has the pen
// takes from it: the writer, or a proposer that is alone. Entries are settled by
// whoever learns of their end first.
type queue struct {
	maxBytes, maxFlying int

	mu       sync.Mutex
	more     *sync.Cond // something waits and there is room, or the queue is closed
	waiting  []*proposal
	bytes    int
	pressing int         // of those that wait, how many are not patient
	urgent   bool        // what waits is to go into the next entry, and somebody sees to that
	hurry    *time.Timer // has what is patient become urgent
	closed   error       // why nothing is accepted any more
	pen      bool        // somebody closes an entry and appends it
	sole     bool        // the newest entry had one proposal
	company  company
	flying   []*inFlight // in their order
	last     *inFlight   // the newest
	// follow fires when an entry may have been on its way for long; following says
	// that it is set.
	follow    *time.Timer
	following bool
}

func newQueue(maxBytes, maxFlying int) *queue {
	q := &queue{maxBytes: maxBytes, maxFlying: maxFlying, follow: time.NewTimer(longFlight)}
	q.more = sync.NewCond(&q.mu)
	q.following = true
	q.hurry = time.AfterFunc(lingerTime, q.lingered)
	return q
}

// lingerTime is how long a proposal waits that nobody gains by, for one that shares its
// entry with it. Who gets a lock next often gives it back at once, and would find an entry
// under way that has nothing but a place in the queue.
const lingerTime = 2 * time.Millisecond

// lingered has what waits written, company or not.
func (q *queue) lingered() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.urgent = len(q.waiting) > 0
	if q.ready() {
		q.more.Signal()
	}
}

// longFlight is when it is asked what became of an entry that was not applied. Most
// are applied by then, and to ask for each would cost two changes of goroutines.
const longFlight = 20 * time.Millisecond

var errBusy = errors.New("the disk does not keep up: too much waits to be written")

// add lets a proposal wait for its turn. If mine is set it is the caller's turn at
// once, to write as the writer does, who need not be woken then. Where entries have
// many proposals the writer is: those who come with this one are to be in its entry.
func (q *queue) add(p *proposal) (mine bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed != nil:
		return false, q.closed
	case q.bytes+len(p.data) > maxQueuedBytes:
		return false, refused(errBusy)
	}
	q.waiting = append(q.waiting, p)
	q.bytes += len(p.data)
	if !p.patient {
		q.pressing++
		q.company.seen(q.present())
	}
	switch {
	case q.urgent:
		return false, nil
	case p.patient:
		if len(q.waiting) == 1 {
			q.hurry.Reset(lingerTime)
		}
		return false, nil
	}
	q.urgent = true
	switch {
	case !q.ready(): // who makes it so wakes the writer
	case q.sole && p.lent && !q.company.awaited(q.present()):
		q.pen = true
		return true, nil
	default:
		q.more.Signal()
	}
	return false, nil
}

// pressing counts the proposals that are not patient.
func pressing(all []*proposal) int {
	n := 0
	for _, p := range all {
		if !p.patient {
			n++
		}
	}
	return n
}

// ready reports whether an entry can be closed now.
func (q *queue) ready() bool {
	return q.urgent && len(q.flying) < q.maxFlying && !q.pen
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
	if !p.patient {
		q.pressing--
	}
	p.taken, p.data, p.batch = true, nil, nil
	return true
}

// await waits for the pen, until something waits and there is room for an entry; false
// says that the queue is closed and empty.
func (q *queue) await() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.ready() {
		if q.closed != nil && len(q.waiting) == 0 && !q.pen {
			return false
		}
		q.more.Wait()
	}
	q.pen = true
	return true
}

// putDown gives the pen back.
func (q *queue) putDown() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pen = false
	if q.ready() || q.closed != nil {
		q.more.Signal()
	}
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
		q.waiting, q.urgent = nil, false
	}
	q.bytes -= size
	n := pressing(taken)
	q.pressing -= n
	q.sole = n == 1
	q.company.turn()
	return taken
}

// fly notes an entry that is about to be appended.
func (q *queue) fly(e *inFlight) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.begun, e.pressing = time.Now(), pressing(e.proposals)
	q.flying = append(q.flying, e)
	q.last = e
}

// appended notes what raft answers with when it knows the end of an entry.
func (q *queue) appended(e *inFlight, f raft.ApplyFuture) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.future = f
	if !e.settled && !q.following {
		q.following = true
		q.follow.Reset(longFlight)
	}
}

// long returns the oldest entry if it has been on its way for so long. Otherwise
// follow fires when it will have, if there is one.
func (q *queue) long(than time.Duration) *inFlight {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.following = false
	if len(q.flying) == 0 || q.flying[0].future == nil {
		return nil // which is appended, and then followed
	}
	left := than - time.Since(q.flying[0].begun)
	if left <= 0 {
		return q.flying[0]
	}
	q.following = true
	q.follow.Reset(left)
	return nil
}

// find returns the entry in flight that has these very bytes, nil if they come from
// elsewhere.
func (q *queue) find(data []byte) *inFlight {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.flying {
		if &e.data[0] == &data[0] {
			return e
		}
	}
	return nil
}

// settle tells the callers of an entry how it ended; false if they were told before.
func (q *queue) settle(e *inFlight, err error) bool {
	q.mu.Lock()
	if e.settled {
		q.mu.Unlock()
		return false
	}
	e.settled = true
	q.flying = slices.DeleteFunc(q.flying, func(f *inFlight) bool { return f == e })
	if q.ready() {
		q.more.Signal()
	}
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
	q.urgent = len(q.waiting) > 0
	q.hurry.Stop()
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
	q.waiting, q.bytes, q.pressing, q.urgent = nil, 0, 0, false
	q.hurry.Stop()
	q.more.Signal()
}

// runWriter closes entries, stamps them and appends them, one after the other.
func (j *Journal) runWriter() {
	defer close(j.written)
	for j.queue.await() {
		// Callers that were just told of the entry before are about to come again:
		// they are to go into this one, and not into the next.
		runtime.Gosched()
		j.queue.gather()
		j.writeOne()
	}
}

// writeOne closes an entry, stamps it and appends it. The caller has the pen.
func (j *Journal) writeOne() {
	defer j.queue.putDown()
	j.append(j.queue.take())
}

// append makes an entry and appends it. If this member does not lead it tells the
// callers.
func (j *Journal) append(proposals []*proposal) {
	if len(proposals) == 0 {
		return
	}
	e := &inFlight{proposals: proposals, data: encodeEntry(proposals), done: make(chan struct{})}
	switch err := j.stamp(e); {
	case err != nil:
		for _, p := range proposals {
			p.done <- err
		}
	case e.lead.sole:
		j.writeAhead(e) // which may hang in the disk, and nothing else must then
	}
}

// stamp stamps an entry, and gives it to raft if there are others.
func (j *Journal) stamp(e *inFlight) (err error) {
	j.clockMu.Lock()
	defer j.clockMu.Unlock()
	if e.lead, err = j.leads(); err != nil {
		return err
	}
	e.elapsed = j.machine.Stamp()
	stampEntry(e.data, e.lead.term, e.elapsed)
	j.queue.fly(e)
	if !e.lead.sole {
		j.apply(e, 2*j.cfg.WriteDeadline) // raft's main loop may hang in the disk for less
	}
	return nil
}

// runFollower gives raft what it is owed, and asks what became of entries that were not applied
// for long, in their order. Those that succeed are settled when they are applied.
func (j *Journal) runFollower() {
	defer j.queue.follow.Stop()
	defer j.ahead.due.Stop()
	for {
		select {
		case <-j.ahead.due.C:
			j.giveOwed()
		case <-j.queue.follow.C:
			j.follow(longFlight)
		case <-j.written:
			j.giveOwed()
			j.follow(0)
			return
		}
	}
}

// follow asks what became of the entries that have been on their way for so long.
func (j *Journal) follow(than time.Duration) {
	for e := j.queue.long(than); e != nil; e = j.queue.long(than) {
		err := e.future.Error()
		if err == nil {
			err = errNotApplied // or it is settled, and nobody is told
		}
		j.fall(e, err)
	}
}

var errNotApplied = errors.New("the entry was not applied")

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
