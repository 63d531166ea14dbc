package raftlog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// fsm is the machine as raft sees it. Raft calls its methods one at a time. What the only
// member there is writes ahead of raft (type ahead) is applied when it is written, and passed
// over when raft comes with it later.
type fsm struct {
	journal *Journal
	machine journal.Machine

	turn   sync.Mutex // is held for each Apply, and guards what follows
	early  uint64     // the newest of raft's entries that was applied when it was written
	passed uint64     // the newest that raft has come with
	// level is closed when raft has come with all that was applied; not nil while a
	// snapshot is about to be taken, and nothing is applied early.
	level chan struct{}

	applied uint64          // index of the newest entry, as the machine counts them
	batches []journal.Batch // scratch of Apply
	broken  bool            // an entry could not be read: nothing is applied any more
	unread  error           // of the last snapshot that could not be restored

	// What was applied since the newest snapshot; more wakes the keeper.
	entries, bytes atomic.Int64
	more           chan struct{}
	// snapshotSize is that of the newest snapshot.
	snapshotSize atomic.Int64
	// lastApplied is applied, for others; it is stored when the machine is done.
	lastApplied atomic.Uint64

	mu    sync.Mutex    // guards moved
	moved chan struct{} // closed when lastApplied grows; nil if nobody waits for it
	sent  []*proposal   // scratch of Apply: what was proposed here through the leader
}

// ApplyBatch implements raft.BatchingFSM. Some of what it is given is raft's own.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	for _, l := range logs {
		f.Apply(l)
	}
	return make([]any, len(logs))
}

// Apply implements raft.FSM.
func (f *fsm) Apply(l *raft.Log) any {
	f.turn.Lock()
	defer f.turn.Unlock()
	f.passed = l.Index
	if l.Type == raft.LogCommand && l.Index > f.early {
		f.apply(l, f.own(l))
	}
	if f.level != nil && f.passed == f.early {
		close(f.level)
	}
	return nil
}

// written applies an entry that is committed since it is written: one of the only member
// there is. Everything before it is applied, since one is on its way at a time. It reports
// false if the entry is to be applied when raft comes with it.
func (f *fsm) written(l *raft.Log, own *inFlight) bool {
	f.turn.Lock()
	defer f.turn.Unlock()
	if f.level != nil {
		return false
	}
	f.early = l.Index
	f.apply(l, own)
	return true
}

// own returns the entry as it was proposed here, nil if it comes from elsewhere.
func (f *fsm) own(l *raft.Log) *inFlight {
	if len(l.Data) == 0 {
		return nil
	}
	return f.journal.queue.find(l.Data)
}

// apply carries an entry out. What was proposed here is applied as the very batches
// that were given, everything else is decoded. It is called with turn held.
func (f *fsm) apply(l *raft.Log, own *inFlight) {
	if f.broken {
		return
	}
	j := f.journal
	f.batches, f.sent = f.batches[:0], f.sent[:0]
	info, err := readEntry(l.Data, func(from origin, data []byte) error {
		if own != nil {
			f.batches = append(f.batches, own.proposals[len(f.batches)].batch)
			return nil
		}
		if p := j.sent.take(from); p != nil {
			f.batches, f.sent = append(f.batches, p.batch), append(f.sent, p)
			return nil
		}
		b, err := f.machine.Decode(data)
		f.batches = append(f.batches, b)
		return err
	})
	if err != nil {
		j.disk.fail(tooNew(fmt.Errorf("entry %d in %s: %w", l.Index, j.store.pathOf(l.Index), err)))
		f.broken = true
		return
	}
	f.applied++
	f.machine.Apply(journal.Entry{
		Index: f.applied, Term: l.Term, StampTerm: info.term, Elapsed: info.elapsed, Batches: f.batches,
	})
	clear(f.batches)
	f.reach(f.applied)
	for _, p := range f.sent {
		p.done <- nil
	}
	clear(f.sent)
	f.count(len(l.Data))
	if own != nil {
		j.queue.settle(own, nil)
		if info.term != l.Term {
			// The lead was lost and won again in between.
			select {
			case j.doubt <- struct{}{}:
			default:
			}
		}
	}
}

// tooNew says what to do about something that a newer version has written: nothing is
// wrong with the disk.
func tooNew(err error) error {
	if !errors.Is(err, journal.ErrNewer) {
		return err
	}
	return fmt.Errorf("%w: %w: the members have agreed on what this version does not know; start this one in a version as new as theirs", journal.ErrFatal, err)
}

// reach notes that the machine is done with an entry, and wakes who waits for it.
func (f *fsm) reach(index uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastApplied.Store(index)
	if f.moved != nil {
		close(f.moved)
		f.moved = nil
	}
}

// await waits until the machine is done with an entry.
func (f *fsm) await(ctx context.Context, index uint64) error {
	for {
		f.mu.Lock()
		if f.lastApplied.Load() >= index {
			f.mu.Unlock()
			return nil
		}
		if f.moved == nil {
			f.moved = make(chan struct{})
		}
		moved := f.moved
		f.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return refused(context.Cause(ctx))
		case <-f.journal.stopped.Done():
			return refused(errClosed)
		case <-f.journal.disk.failed:
			return f.journal.disk.check()
		}
	}
}

// count wakes the keeper when a snapshot is due.
func (f *fsm) count(size int) {
	c := &f.journal.cfg
	if f.entries.Add(1) < c.SnapshotEntries && f.bytes.Add(int64(size)) < max(c.SnapshotBytes, f.snapshotSize.Load()) {
		return
	}
	select {
	case f.more <- struct{}{}:
	default:
	}
}

func (f *fsm) sinceSnapshot() int64 { return f.entries.Load() }

// Snapshot implements raft.FSM: it takes a view, which is read while the machine
// goes on.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	if f.early > f.passed {
		return nil, errAhead
	}
	f.level = nil
	next, done, err := f.machine.Snapshot()
	if err != nil {
		return nil, err
	}
	f.entries.Store(0)
	f.bytes.Store(0)
	return &view{fsm: f, applied: f.applied, next: next, done: done}, nil
}

// errAhead is why there is no snapshot: raft would give it the number of an older entry.
var errAhead = errors.New("entries are applied that raft has not come with yet")

// beginSnapshot sees to it that raft comes with all that was applied; then the channel
// is closed, and a snapshot can be taken. endSnapshot is to follow.
func (f *fsm) beginSnapshot() (level <-chan struct{}) {
	f.turn.Lock()
	defer f.turn.Unlock()
	f.level = make(chan struct{})
	if f.passed >= f.early {
		close(f.level)
	}
	return f.level
}

// endSnapshot lets entries be applied early again.
func (f *fsm) endSnapshot() {
	f.turn.Lock()
	defer f.turn.Unlock()
	f.level = nil
}

// Restore implements raft.FSM.
func (f *fsm) Restore(r io.ReadCloser) (err error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	defer func() { f.unread = err }()
	counted := &countingReader{r: r}
	s, err := newStreamReader(counted)
	if err != nil {
		return fmt.Errorf("read a snapshot: %w", err)
	}
	if err := f.machine.Restore(s.next); err != nil {
		if errors.Is(err, journal.ErrNewer) && f.journal.running.Load() {
			f.journal.disk.fail(tooNew(err)) // another attempt would come to the same end
		}
		return err
	}
	if !s.ended {
		return fmt.Errorf("read a snapshot: it was not read to its end")
	}
	f.applied = s.applied
	f.reach(f.applied)
	// What became of batches that were on their way is in the state, but nobody can tell.
	f.journal.sent.fail(unknown(errOvertaken))
	f.entries.Store(0)
	f.bytes.Store(0)
	f.snapshotSize.Store(counted.n)
	f.journal.snapshots.noteRestored(counted.n)
	return nil
}

type countingReader struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// view is a snapshot that is being written.
type view struct {
	fsm     *fsm
	applied uint64
	next    func() ([]byte, error)
	done    func()
}

// Persist implements raft.FSMSnapshot. The caller closes the sink, or cancels it.
func (v *view) Persist(to raft.SnapshotSink) error {
	if k, is := to.(*sink); is {
		k.own = true
	}
	counted := &countingWriter{w: to}
	if err := v.write(counted); err != nil {
		return err
	}
	v.fsm.snapshotSize.Store(counted.n)
	return nil
}

// write writes the stream in large pieces.
func (v *view) write(to io.Writer) error {
	w := bufio.NewWriterSize(to, 256<<10)
	if err := writeStream(w, v.applied, v.next); err != nil {
		return err
	}
	return w.Flush()
}

type countingWriter struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// Release implements raft.FSMSnapshot.
func (v *view) Release() { v.done() }
