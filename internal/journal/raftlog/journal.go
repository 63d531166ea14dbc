package raftlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// Journal is a [journal.Journal] with a data directory. Make one with [Open].
type Journal struct {
	// Set by Open, constant afterwards.
	cfg       Config
	log       *slog.Logger
	machine   journal.Machine
	dir       *directory
	roll      *Roll
	disk      *disk
	store     *store
	snapshots *snapshots
	raft      *raft.Raft
	fsm       *fsm
	queue     *queue
	ahead     *ahead
	sent      *sent
	here      rounds      // of making sure that this member leads
	there     rounds      // of asking the one that does
	links     *links      // to the other members
	handing   sync.Mutex  // is held while the lead is handed over
	alone     bool        // there is no transport
	running   atomic.Bool // raft is set

	// The goroutines: writing has the writer, finishing those that wait for raft's
	// answers, tasks those that follow the lead and keep house, which stopped ends.
	writing, finishing, tasks sync.WaitGroup

	stopped     context.Context
	stop        context.CancelFunc
	notify      chan bool     // raft's: lead won or lost
	written     chan struct{} // closed when the writer has ended
	doubt       chan struct{} // room for one: the lead must be established anew
	snapshotNow chan chan error
	closing     sync.Once
	closed      error // what Close returns; set in closing

	// clockMu serialises StartClock, Stamp and Unstamp, and is held from a stamp to
	// the append of its entry.
	clockMu sync.Mutex

	// mu guards what follows; it is held for a few assignments.
	mu   sync.Mutex
	term uint64 // of the established lead, 0 if there is none
	lead *lead  // nil if there is none, or the disk is nearly full
	full error  // why nothing is accepted although this member leads
	over error  // why there will be no lead any more
	// leader is who leads, as far as it is known here; leaderless is since when it is
	// not, zero if it is.
	leader     Peer
	leaderless time.Time
	changed    chan struct{} // closed when any of them changes

	room atomic.Int32 // the newest answer of the disk
}

// lead is one lead.
type lead struct {
	term uint64
	sole bool // there is no other member, and can be none before it ends
	ctx  context.Context
	end  context.CancelCauseFunc
}

var (
	errClosed    = errors.New("the journal is closed")
	errNotLeader = errors.New("this member does not lead")
	errLostLead  = errors.New("this member leads no more")
)

// ErrDiskFull says why a batch was refused: the file system of the data directory
// has so little room that the log would soon meet its end.
var ErrDiskFull = journal.ErrDiskFull

// refused says that nothing has happened; an error that says so already stays as it is.
func refused(err error) error {
	if errors.Is(err, journal.ErrRefused) {
		return err
	}
	return fmt.Errorf("%w: %w", journal.ErrRefused, err)
}

func unknown(err error) error { return fmt.Errorf("%w: %w", journal.ErrUnknown, err) }

// Propose puts a batch into the order. It returns when the batch is on the disks of
// a majority of the members and was applied here. With a Courier it goes through the
// member that leads, and waits for one for as long as an election takes.
func (j *Journal) Propose(ctx context.Context, b journal.Batch) error {
	if ctx.Err() != nil {
		return refused(context.Cause(ctx))
	}
	p := newProposal(b)
	if err := p.encode(); err != nil {
		return refused(err)
	}
	if j.cfg.Courier != nil {
		return j.proposeAnywhere(ctx, b, p.data)
	}
	return j.proposeHere(ctx, p)
}

// proposeHere puts a batch into the order if this member leads.
func (j *Journal) proposeHere(ctx context.Context, p *proposal) error {
	p.patient, p.lent = j.machine.WouldWait(p.batch), !j.alone || journal.Lent(ctx)
	mine, err := j.queue.add(p)
	if err != nil {
		return err
	}
	if mine {
		j.writeOne() //nolint:contextcheck // what is being written does not end with ctx
	}
	select {
	case err := <-p.done:
		p.recycle()
		return err
	case <-ctx.Done():
		if j.queue.withdraw(p) {
			p.recycle()
			return refused(context.Cause(ctx))
		}
		return unknown(context.Cause(ctx))
	case <-j.disk.failed:
		return j.disk.check()
	}
}

// Lead waits until this member leads.
func (j *Journal) Lead(ctx context.Context) (context.Context, error) {
	for {
		j.mu.Lock()
		l, over, changed := j.lead, j.over, j.changed
		j.mu.Unlock()
		switch {
		case over != nil:
			return nil, over
		case l != nil:
			return l.ctx, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, refused(context.Cause(ctx))
		}
	}
}

// Snapshot takes a snapshot now. The log that it covers is dropped, but for what is
// kept for members that lag.
func (j *Journal) Snapshot(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case j.snapshotNow <- done:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-j.stopped.Done():
		return refused(errClosed)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close refuses new batches, waits for those under way, takes a snapshot and ends
// raft. After a failure of the disk it waits for nothing that may hang in it.
func (j *Journal) Close() error {
	j.closing.Do(func() { j.closed = j.shut() })
	return j.closed
}

func (j *Journal) shut() error {
	j.queue.close(refused(errClosed))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		j.writing.Wait()
		j.stopTasks()
		j.tasks.Wait()
		j.awaitAnswers()
		if j.disk.check() == nil && j.fsm.sinceSnapshot() > 0 {
			if err := j.takeSnapshot(); err != nil {
				j.log.WarnContext(context.Background(), "No snapshot was taken at the end", "err", err)
			}
		}
		j.endLead(errClosed)
		j.finish(refused(errClosed))
		j.quit()
	}()
	select {
	case <-ended:
		return j.disk.check()
	case <-j.disk.failed:
	}
	// What hangs in the disk hangs until the process ends.
	select {
	case <-ended:
	case <-time.After(2 * patience):
	}
	return j.disk.check()
}

// goTask runs a task that the end of the journal waits for, which stopped is to end soon;
// false if the journal has stopped.
func (j *Journal) goTask(task func()) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.stopped.Err() != nil {
		return false
	}
	j.tasks.Go(task)
	return true
}

// stopTasks ends the tasks. None begins any more.
func (j *Journal) stopTasks() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stop()
}

// patience is how long Close waits, after a failure, for what should not take long.
const patience = time.Second

// awaitAnswers waits until raft has answered everything that it was asked. It does not
// answer once it has ended, and after a failure perhaps never.
func (j *Journal) awaitAnswers() {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		j.finishing.Wait()
	}()
	select {
	case <-answered:
		return
	case <-j.disk.failed:
	}
	select {
	case <-answered:
	case <-time.After(patience):
	}
}

// quit ends raft and lets the files go.
func (j *Journal) quit() {
	_ = j.raft.Shutdown().Error() // it has none
	j.disk.atWork.Store(false)
	j.store.close()
	j.roll.close()
	j.dir.close()
	j.disk.running.rest()
}
