package raftlog

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// catchUp waits until raft has come with everything that was written ahead of it.
func catchUp(j *Journal) {
	level := j.fsm.beginSnapshot()
	j.giveOwed()
	<-level
	j.fsm.endSnapshot()
}

// owes is how many entries raft is owed.
func (j *Journal) owes() int {
	j.ahead.mu.Lock()
	defer j.ahead.mu.Unlock()
	return len(j.ahead.owed)
}

// What is acknowledged is on the disk, applied, and for a while not known to raft. A crash
// then loses nothing of it.
func TestAheadOfRaft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := small(fastDir(t))
		m := &tape{}
		j := mustBegin(t, c, m)
		before := j.raft.LastIndex()
		lines := texts(5)
		if _, err := write(j, lines); err != nil {
			t.Fatal(err)
		}
		written, err := j.store.wal.LastIndex()
		if err != nil || written != before+5 || j.raft.LastIndex() != before || j.owes() != 5 || !slices.Equal(m.contents(), lines) {
			t.Errorf("entry %d is the last one on the disk, %d that of raft, which is owed %d; it was %d; %d lines are applied: %v",
				written, j.raft.LastIndex(), j.owes(), before, len(m.contents()), err)
		}
		j.crash()
		if had, err := survives(c, lines, len(lines)); err != nil {
			t.Errorf("%d lines: %v", len(had), err)
		}
	})
}

// Raft is not owed anything for long, and never much, also when those who propose let the
// writer write. What it comes with is not applied again.
func TestRaftIsGivenWhatItIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &tape{}
		j := mustBegin(t, small(fastDir(t)), m)
		defer mustClose(t, j)
		before := j.raft.LastIndex()
		for n := range uint64(3) { // one after the other: the timer is set each time
			if _, err := write(j, texts(1)); err != nil {
				t.Fatal(err)
			}
			<-time.After(2 * owedTime)
			synctest.Wait()
			if at := j.raft.LastIndex(); at != before+n+1 || j.owes() != 0 {
				t.Errorf("after a while raft has entry %d, want %d, and is owed %d", at, before+n+1, j.owes())
			}
		}
		if _, err := writeIn(t.Context(), j, texts(mostOwed)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if at := j.raft.LastIndex(); at != before+3+mostOwed || j.owes() != 0 {
			t.Errorf("after many raft has entry %d, want %d, and is owed %d", at, before+3+mostOwed, j.owes())
		}
		if n := len(m.contents()); n != 3+mostOwed {
			t.Errorf("%d lines are applied, want %d", n, 3+mostOwed)
		}
	})
}

// slowReader has whoever reads wait until the channel is closed, and fails then.
type slowReader chan struct{}

func (r slowReader) Read([]byte) (int, error) { <-r; return 0, errors.New("nothing comes") }

// Raft's main loop may stand still for longer than anything else may take: no entry is left
// out when it goes on, for that would leave raft another log than the one on the disk.
func TestRaftIsSlowToTakeWhatItIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &tape{}
		j := mustBegin(t, small(fastDir(t)), m)
		defer mustClose(t, j)
		busy, over := make(slowReader), make(chan error, 1)
		go func() { over <- j.raft.Restore(&raft.SnapshotMeta{Version: raft.SnapshotVersionMax}, busy, 0) }()
		synctest.Wait()
		const n = 200 // more than raft's queue has room for
		ended := make(chan error, 1)
		go func() {
			_, err := write(j, texts(n))
			ended <- err
		}()
		<-time.After(10 * j.cfg.WriteDeadline)
		close(busy)
		if err := <-over; err == nil {
			t.Error("raft has restored nothing")
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		catchUp(j)
		if err := j.disk.check(); err != nil || len(m.contents()) != n {
			t.Errorf("%d lines are applied, want %d: %v", len(m.contents()), n, err)
		}
	})
}

// What is written ahead is applied in its order since nothing else is on its way.
func TestAloneOneEntryIsOnItsWay(t *testing.T) {
	c := small(fastDir(t))
	c.MaxInFlight = 2
	if j, err := Open(c, &tape{}); err == nil {
		t.Errorf("a member that is alone has more: %v", j.Close())
	}
}

// Raft has to come with what was written, and with nothing else.
func TestRaftComesWithAnotherEntry(t *testing.T) {
	for name, comes := range map[string]func(l raft.Log) raft.Log{
		"term":  func(l raft.Log) raft.Log { l.Term++; return l },
		"index": func(l raft.Log) raft.Log { l.Index++; return l },
		"data":  func(l raft.Log) raft.Log { l.Data = slices.Clone(l.Data); return l },
		"noop":  func(l raft.Log) raft.Log { l.Data = nil; return l },
	} {
		t.Run(name, func(t *testing.T) {
			j := mustBegin(t, small(fastDir(t)), &tape{})
			defer j.crash()
			l, err := j.store.writeNext(j.raft.CurrentTerm(), []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			other := comes(*l)
			if err := j.store.StoreLog(&other); !errors.Is(err, journal.ErrFatal) || j.disk.check() == nil {
				t.Errorf("got %v, the disk has %v", err, j.disk.check())
			}
		})
	}
	j := mustBegin(t, small(fastDir(t)), &tape{})
	defer j.crash()
	l, err := j.store.writeNext(j.raft.CurrentTerm(), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	more := &raft.Log{Index: l.Index + 1, Term: l.Term, Type: raft.LogBarrier}
	if err := j.store.StoreLogs([]*raft.Log{l, more}); err != nil {
		t.Fatal(err)
	}
	if last, err := j.store.wal.LastIndex(); last != more.Index || err != nil {
		t.Errorf("the log ends with entry %d, want %d: %v", last, more.Index, err)
	}
}

// Who lends its goroutine may be held by a disk that hangs. The others are told, and Close
// does not wait for the disk.
func TestWhoLendsIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := small(fastDir(t))
		j := mustBegin(t, c, &tape{})
		if _, err := write(j, texts(2)); err != nil { // the second one writes itself
			t.Fatal(err)
		}
		disk := make(chan struct{})
		j.disk.fault = func(string, string) error { <-disk; return nil }
		held, told := make(chan error, 1), make(chan error, 1)
		go func() { held <- j.Propose(journal.Lend(t.Context()), line("held")) }()
		synctest.Wait()
		go func() { told <- j.Propose(t.Context(), line("told")) }()
		if err := <-told; !errors.Is(err, journal.ErrFatal) {
			t.Errorf("who waits behind it: %v", err)
		}
		if err := j.Close(); !errors.Is(err, journal.ErrFatal) {
			t.Errorf("close: %v", err)
		}
		synctest.Wait()
		if len(held) > 0 {
			t.Errorf("who has lent its goroutine came back with %v", <-held)
		}
		close(disk)
		if err := <-held; !errors.Is(err, journal.ErrFatal) {
			t.Errorf("when the disk goes on: %v", err)
		}
	})
}
