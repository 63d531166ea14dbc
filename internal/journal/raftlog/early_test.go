package raftlog

import (
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// Entries are applied before raft knows that they are committed. A snapshot that is
// taken in between does not have them under the number of an older one: the next start
// would apply them twice.
func TestSnapshotsBesideWrites(t *testing.T) {
	c := small(fastDir(t))
	c.SegmentBytes = 64 << 10
	j := mustBegin(t, c, &tape{})
	lines := texts(300)
	done := make(chan error, 1)
	go func() {
		_, err := write(j, lines)
		done <- err
	}()
	for running := true; running; {
		select {
		case err := <-done:
			if running = false; err != nil {
				t.Fatal(err)
			}
		default:
			if err := j.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	j.crash()
	if had, err := survives(c, lines, len(lines)); err != nil || !slices.Equal(had, lines) {
		t.Errorf("%d of %d lines: %v", len(had), len(lines), err)
	}
}

// A snapshot waits until raft has come with all that was applied, and nothing is
// applied early meanwhile.
func TestSnapshotWaitsForRaft(t *testing.T) {
	j := mustBegin(t, small(fastDir(t)), &tape{})
	defer mustClose(t, j)
	if err := j.Propose(t.Context(), line("one")); err != nil {
		t.Fatal(err)
	}
	<-j.fsm.beginSnapshot() // raft has come with it
	early := j.fsm.early
	if early == 0 {
		t.Error("it was not applied when it was written")
	}
	if err := j.Propose(t.Context(), line("two")); err != nil || j.fsm.early != early {
		t.Errorf("while a snapshot is about to be taken: %v, entry %d was applied early", err, j.fsm.early)
	}
	j.fsm.endSnapshot()

	f := &fsm{journal: j, machine: j.machine, early: 5, passed: 4}
	if _, err := f.Snapshot(); !errors.Is(err, errAhead) {
		t.Errorf("a snapshot before raft has come with all: %v", err)
	}
	level := f.beginSnapshot()
	select {
	case <-level:
		t.Error("raft has not come with all yet")
	default:
	}
	f.Apply(&raft.Log{Index: 5, Type: raft.LogCommand})
	<-level
	if _, err := f.Snapshot(); err != nil || f.level != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// lost is what raft answers for an entry that it has lost.
type lost struct{ raft.ApplyFuture }

func (lost) Error() error { return raft.ErrLeadershipLost }

// Who waits for an entry that is never applied is told.
func TestEntryThatIsNotApplied(t *testing.T) {
	j := mustBegin(t, small(fastDir(t)), &tape{})
	defer mustClose(t, j)
	lead, err := j.leads()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p := newProposal(line("lost"))
		e := &inFlight{proposals: []*proposal{p}, data: []byte{1}, lead: lead, done: make(chan struct{})}
		j.queue.fly(e)
		j.queue.appended(e, lost{})
		if err := <-p.done; !errors.Is(err, journal.ErrUnknown) {
			t.Errorf("got %v", err)
		}
	}
}

// Who proposes alone writes by itself, and leaves that to the writer where others
// wait, or an entry is on its way.
func TestWhoWrites(t *testing.T) {
	q := newQueue(1<<20, 1)
	proposeAs := func(lent bool) bool {
		mine, err := q.add(&proposal{data: []byte{1}, done: make(chan error, 1), lent: lent})
		if err != nil {
			t.Fatal(err)
		}
		return mine
	}
	propose := func() bool { return proposeAs(true) }
	if propose() {
		t.Error("nothing is known of the entries before, and the first writes itself")
	}
	if !q.await() || len(q.take()) != 1 {
		t.Fatal("the writer does not get the first")
	}
	q.putDown()
	if proposeAs(false) {
		t.Error("one writes who must not wait for the disk")
	}
	if !q.await() || len(q.take()) != 1 {
		t.Fatal("the writer does not get what nobody else writes")
	}
	q.putDown()
	if !propose() {
		t.Error("who is alone does not write")
	}
	if propose() {
		t.Error("two write")
	}
	if len(q.take()) != 2 {
		t.Error("not both are taken")
	}
	q.putDown()
	if propose() {
		t.Error("entries have many proposals, and one writes itself")
	}
	if !q.await() || len(q.take()) != 1 {
		t.Fatal("the writer does not get the last")
	}
	e := &inFlight{data: []byte{1}, done: make(chan struct{})}
	q.fly(e)
	q.putDown()
	if propose() {
		t.Error("an entry is on its way, and one writes itself")
	}
	q.settle(e, nil)
	if !q.await() {
		t.Error("the writer does not come when an entry is settled")
	}
}

// An operation that takes too long is found, also behind ones that did not, and a disk
// that has nothing to do is not.
func TestDeadlineOfOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const deadline = 10 * time.Second
		d := newDisk(logOf(io.Discard), deadline, nil)
		defer d.running.rest()
		take := func(how time.Duration) error {
			return d.do(opSync, "file", func() error {
				<-time.After(how)
				return nil
			})
		}
		for range 10 {
			if err := take(deadline / 3); err != nil {
				t.Fatal(err)
			}
			<-time.After(deadline)
		}
		begun := time.Now()
		done := make(chan error)
		go func() { done <- take(3 * deadline) }()
		<-d.failed
		if took := time.Since(begun); took != deadline {
			t.Errorf("it was found after %v", took)
		}
		if err := <-done; !errors.Is(err, journal.ErrFatal) {
			t.Errorf("got %v", err)
		}
	})
}

// brokenLog is a log whose errors do not come through the gate.
type brokenLog struct{ walStore }

func (brokenLog) StoreLogs([]*raft.Log) error { return io.ErrClosedPipe }

// Whatever the log fails at, the latch falls, and nothing counts as written.
func TestLogFails(t *testing.T) {
	j := mustBegin(t, small(fastDir(t)), &tape{})
	d := newDisk(j.log, time.Hour, nil)
	s := &store{wal: brokenLog{j.store.wal}, disk: d}
	if err := s.StoreLog(&raft.Log{Index: 9}); !errors.Is(err, journal.ErrFatal) || d.check() == nil {
		t.Errorf("got %v, the disk has %v", err, d.check())
	}
	if l, err := s.writeNext(1, []byte("x")); !errors.Is(err, journal.ErrFatal) || l != nil || s.unseen.last != 0 {
		t.Errorf("ahead of raft: %v, %v, and the log ends with entry %d", l, err, s.unseen.last)
	}
	mustClose(t, j)
}
