package raftlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

func logOf(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// A bit that flips while the journal runs is found when the entry is read: the
// process ends with file and entry, and does not go on with what it has read.
func TestFlippedBitIsFoundAtTheRead(t *testing.T) {
	j := mustBegin(t, tiny(fastDir(t)), &tape{})
	if _, err := write(j, []string{"one", "two", "the entry that changes"}); err != nil {
		t.Fatal(err)
	}
	path := tailOf(t, j.cfg.Dir)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[bytes.Index(content, []byte("changes"))] ^= 4
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, last, err := j.store.bounds()
	if err != nil {
		t.Fatal(err)
	}
	// Raft panics at the error; so its goroutine ends before it sees it.
	returned, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		var l raft.Log
		returned <- j.store.GetLog(last, &l)
	}()
	<-ended
	if len(returned) > 0 {
		t.Errorf("the goroutine went on with %v", <-returned)
	}
	err = j.Close()
	if want := fmt.Sprintf("entry %d from %s", last, path); !errors.Is(err, journal.ErrFatal) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Raft asks the store whether it allows gaps.
func TestStoreSaysThatItIsMonotonic(t *testing.T) {
	j := mustBegin(t, small(fastDir(t)), &tape{})
	defer mustClose(t, j)
	var logs raft.LogStore = j.store
	if m, ok := logs.(raft.MonotonicLogStore); !ok || !m.IsMonotonic() {
		t.Error("it does not")
	}
}

// An entry that was stamped in one term and appended in another reaches the machine
// with both, and the lead is established anew.
func TestStaleEntry(t *testing.T) {
	m := &tape{}
	j := mustBegin(t, small(fastDir(t)), m)
	defer mustClose(t, j)
	first, err := j.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// As if the term had changed between the stamp and the append.
	j.mu.Lock()
	j.lead.term--
	j.lead.sole = false // which would write ahead of raft
	j.mu.Unlock()
	if err := j.Propose(t.Context(), line("late")); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	e := m.last
	m.mu.Unlock()
	if e.Term != e.StampTerm+1 || m.now != 0 {
		t.Errorf("appended in term %d, stamped in %d, time %d", e.Term, e.StampTerm, m.now)
	}
	<-first.Done()
	if _, err := j.Lead(t.Context()); err != nil {
		t.Error(err)
	}
	if err := j.Propose(t.Context(), line("in time")); err != nil || m.now != 1000 {
		t.Errorf("afterwards: time %d, %v", m.now, err)
	}
	if m.leads != 2 {
		t.Errorf("%d leads, want 2", m.leads)
	}
}

// Which error of raft means what.
func TestEndings(t *testing.T) {
	j := mustBegin(t, small(fastDir(t)), &tape{})
	defer mustClose(t, j)
	now, err := j.leads()
	if err != nil {
		t.Fatal(err)
	}
	for cause, want := range map[error]error{
		raft.ErrNotLeader: journal.ErrRefused, raft.ErrLeadershipTransferInProgress: journal.ErrRefused,
		raft.ErrEnqueueTimeout: journal.ErrRefused, raft.ErrLeadershipLost: journal.ErrUnknown,
		raft.ErrRaftShutdown: journal.ErrUnknown, raft.ErrAbortedByRestore: journal.ErrUnknown,
		errors.New("anything else"): journal.ErrUnknown,
	} {
		m := j.machine.(*tape)
		m.given = 0
		p := newProposal(line("x"))
		e := &inFlight{proposals: []*proposal{p}, data: []byte{1}, lead: now, elapsed: m.Stamp(), done: make(chan struct{})}
		j.queue.fly(e)
		j.fall(e, cause)
		if got := <-p.done; !errors.Is(got, want) || !errors.Is(got, cause) {
			t.Errorf("%v: got %v, want %v", cause, got, want)
		}
		if back := m.given == 0; back != errors.Is(want, journal.ErrRefused) {
			t.Errorf("%v: the time was given back: %v", cause, back)
		}
	}
	// The clock began anew with the lead: an older one has nothing to give back.
	m := j.machine.(*tape)
	m.given = 0
	e := &inFlight{data: []byte{1}, lead: &lead{term: now.term}, elapsed: m.Stamp(), done: make(chan struct{})}
	j.queue.fly(e)
	j.fall(e, raft.ErrNotLeader)
	if m.given == 0 {
		t.Error("time of an older lead was given back")
	}
}

// An entry that the machine cannot read ends the process, with its file.
func TestEntryThatCannotBeRead(t *testing.T) {
	c := small(fastDir(t))
	j := mustBegin(t, c, &tape{})
	if err := j.Propose(t.Context(), line("bad")); err != nil {
		t.Fatal(err)
	}
	j.crash()
	j, err := Open(c, &tape{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = j.Lead(t.Context())
	if !errors.Is(err, journal.ErrFatal) || !strings.Contains(err.Error(), tailOf(t, c.Dir)) {
		t.Errorf("got %v", err)
	}
	_ = j.Close() // it says the same
}

// Batches that come while an entry is on its way make the next one.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &tape{}
		c := small(fastDir(t))
		c.MaxInFlight = 1
		j := mustBegin(t, c, m)
		gate, entered := make(chan struct{}), make(chan struct{})
		var once sync.Once
		j.disk.fault = func(op, _ string) error {
			if op == opSync {
				once.Do(func() {
					close(entered)
					<-gate
				})
			}
			return nil
		}
		const callers = 50
		var wg sync.WaitGroup
		propose := func() {
			if err := j.Propose(context.Background(), line("x")); err != nil {
				t.Error(err)
			}
		}
		wg.Go(propose)
		<-entered
		for range callers {
			wg.Go(propose)
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		if m.last.Index != 2 || len(m.lines) != callers+1 {
			t.Errorf("%d lines in %d entries, want %d in 2", len(m.lines), m.last.Index, callers+1)
		}
		mustClose(t, j)
	})
}

// A batch that was not taken yet can be withdrawn: nothing has happened.
func TestWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &tape{}
		c := small(fastDir(t))
		c.MaxInFlight = 1
		j := mustBegin(t, c, m)
		gate := make(chan struct{})
		var once sync.Once
		j.disk.fault = func(string, string) error {
			once.Do(func() { <-gate })
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		var first, second error
		var wg sync.WaitGroup
		wg.Go(func() { first = j.Propose(ctx, line("on its way")) })
		synctest.Wait()
		wg.Go(func() { second = j.Propose(ctx, line("waiting")) })
		synctest.Wait()
		cancel()
		wg.Wait()
		if !errors.Is(first, journal.ErrUnknown) || !errors.Is(second, journal.ErrRefused) {
			t.Errorf("on its way: %v; waiting: %v", first, second)
		}
		close(gate)
		mustClose(t, j)
		if got := m.contents(); len(got) != 1 || got[0] != "on its way" {
			t.Errorf("applied: %q", got)
		}
	})
}

// A snapshot is taken when the log has grown by so many bytes, too, and drops what it
// covers.
func TestSnapshotByBytes(t *testing.T) {
	c := small(fastDir(t))
	c.SnapshotBytes = 4000
	j := mustBegin(t, c, &tape{})
	defer mustClose(t, j)
	for j.Status().SnapshotEntry == 0 {
		if _, err := write(j, []string{strings.Repeat("x", 500)}); err != nil {
			t.Fatal(err)
		}
	}
	if s := j.Status(); s.SnapshotBytes < 4000 {
		t.Errorf("status: %+v", s)
	}
}

// The disk fills up: a warning, then refusals that say so, in which time stands
// still; and it goes on when there is room.
func TestDiskFills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var free int64 = 1 << 40
		var mu sync.Mutex
		set := func(n int64) {
			mu.Lock()
			free = n
			mu.Unlock()
			<-time.After(2 * spaceEvery)
		}
		var said bytes.Buffer
		c := Config{Dir: fastDir(t), SegmentBytes: 1 << 20, RefuseFreeBytes: 10 << 20, Logger: logOf(&said)}
		c.space = func(string) (int64, int64, bool) {
			mu.Lock()
			defer mu.Unlock()
			return free, 1 << 40, true
		}
		m := &tape{}
		j := mustBegin(t, c, m)
		lead, err := j.Lead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		set(30 << 20)
		if err := j.Propose(t.Context(), line("little room")); err != nil || !strings.Contains(said.String(), "fills up") {
			t.Errorf("with little room: %v; said %s", err, &said)
		}
		set(5 << 20)
		err = j.Propose(t.Context(), line("no room"))
		if !errors.Is(err, journal.ErrRefused) || !errors.Is(err, ErrDiskFull) {
			t.Errorf("without room: %v", err)
		}
		if !errors.Is(context.Cause(lead), ErrDiskFull) {
			t.Errorf("the lead ended with %v", context.Cause(lead))
		}
		if err := j.Barrier(t.Context()); err != nil {
			t.Errorf("what is there cannot be read: %v", err)
		}
		if s := j.Status(); s.Leads || !errors.Is(s.Full, ErrDiskFull) || s.FreeBytes != 5<<20 {
			t.Errorf("status: %+v", s)
		}
		set(1 << 40)
		if _, err := j.Lead(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := j.Propose(t.Context(), line("room")); err != nil || m.leads != 2 {
			t.Errorf("with room again: %v, %d leads", err, m.leads)
		}
		mustClose(t, j)
	})
}

// The next segment file is made before it is needed, and what a crash leaves of it
// does not matter.
func TestSpareSegment(t *testing.T) {
	c := small(fastDir(t))
	j := mustBegin(t, c, &tape{})
	if err := j.store.meta.makeSpare(int64(c.SegmentBytes)); err != nil {
		t.Fatal(err)
	}
	lines := texts(60)
	if _, err := write(j, lines[:40]); err != nil {
		t.Fatal(err)
	}
	if j.store.meta.spare.path != "" {
		t.Error("it was not used")
	}
	if err := j.store.meta.makeSpare(int64(c.SegmentBytes)); err != nil {
		t.Fatal(err)
	}
	j.crash()
	if _, err := survives(c, lines, 40); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(j.store.meta.spare.path); !os.IsNotExist(err) {
		t.Errorf("the old one is still there: %v", err)
	}
}
