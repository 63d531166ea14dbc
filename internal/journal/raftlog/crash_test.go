package raftlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// slow reports whether the exhaustive versions of tests are asked for.
func slow() bool { return os.Getenv("LDLM_CRASH_SLOW") != "" }

// A life is what happens in the tests that follow: a directory is born, lines are
// written through several segment files and two snapshots, and it is closed.
func life(c Config, lines []string) (acknowledged int, err error) {
	j, err := begin(c, &tape{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	for i := 0; i < len(lines); i += 8 {
		n, err := write(j, lines[i:min(len(lines), i+8)])
		if acknowledged += n; err != nil {
			return acknowledged, err
		}
		if i%16 == 8 {
			if err := j.Snapshot(context.Background()); err != nil {
				return acknowledged, err
			}
		}
	}
	return acknowledged, nil
}

// counter of operations that fails from one on, or at one.
type faults struct {
	mu    sync.Mutex
	count int
	from  int // the first operation that fails
	only  bool
	err   error
	after int // operations after the first that failed
}

func (f *faults) fault(string, string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.count
	f.count++
	switch {
	case n == f.from, n > f.from && !f.only:
		return f.err
	case n > f.from:
		f.after++
	}
	return nil
}

// operations counts the operations of a whole life.
func operations(t *testing.T, lines []string) int {
	t.Helper()
	f := &faults{from: 1 << 30}
	c := small(fastDir(t))
	c.fault = f.fault
	if n, err := life(c, lines); err != nil || n != len(lines) {
		t.Fatalf("%d of %d lines: %v", n, len(lines), err)
	}
	return f.count
}

// each calls a test for every operation of a life.
func each(t *testing.T, n int, run func(t *testing.T, at int) error) {
	t.Helper()
	for at := range n {
		if err := run(t, at); err != nil {
			t.Errorf("operation %d of %d: %v", at, n, err)
		}
	}
}

// A process is killed before each operation on a file. What was acknowledged is
// there afterwards, and the journal goes on.
func TestKilledAtEveryOperation(t *testing.T) {
	lines := texts(40)
	each(t, operations(t, lines), func(t *testing.T, at int) error {
		c := small(fastDir(t))
		c.fault = (&faults{from: at, err: errCrash}).fault
		n, _ := life(c, lines) // it ends with the crash
		c.fault = nil
		had, err := survives(c, lines, n)
		if err != nil {
			return err
		}
		if len(had) > n+1 {
			return fmt.Errorf("%d lines are there, %d were acknowledged and one was on its way", len(had), n)
		}
		if _, err := life(c, lines); err != nil {
			return fmt.Errorf("it does not go on: %w", err)
		}
		return nil
	})
}

// A restart is killed again and again while it recovers.
func TestKilledDuringRecovery(t *testing.T) {
	lines := texts(40)
	each(t, operations(t, lines), func(t *testing.T, at int) error {
		c := small(fastDir(t))
		c.fault = (&faults{from: at, err: errCrash}).fault
		n, _ := life(c, lines) // it ends with the crash
		for _, again := range []int{at % 3, at % 7, at % 13} {
			c.fault = (&faults{from: again, err: errCrash}).fault
			if j, err := begin(c, &tape{}); err == nil {
				j.crash()
			}
		}
		c.fault = nil
		_, err := survives(c, lines, n)
		return err
	})
}

// An operation fails. Nothing is written after it, everybody is told, and what was
// acknowledged is there afterwards. That there is no room for a snapshot is no
// failure.
func TestErrors(t *testing.T) {
	lines := texts(40)
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		t.Run(cause.Error(), func(t *testing.T) {
			each(t, operations(t, lines), func(t *testing.T, at int) error {
				f := &faults{from: at, only: true, err: cause}
				c := small(fastDir(t))
				c.fault = f.fault
				n, err := life(c, lines)
				tolerated := n == len(lines) || errors.Is(cause, syscall.ENOSPC)
				switch {
				case err == nil && tolerated:
				case err == nil:
					return errors.New("nobody was told")
				case errors.Is(err, journal.ErrFatal) && f.after > 0:
					return fmt.Errorf("%d operations followed one that had failed", f.after)
				case !strings.Contains(err.Error(), cause.Error()):
					return fmt.Errorf("the cause is lost: %w", err)
				}
				c.fault = nil
				_, err = survives(c, lines, n)
				return err
			})
		})
	}
}

// An operation hangs for longer than the deadline. Whoever waits is told, the lead
// ends, and Close does not wait for the disk.
func TestStalls(t *testing.T) {
	lines := texts(12)
	dir := fastDir(t)
	if _, err := life(small(dir), lines); err != nil {
		t.Fatal(err)
	}
	for at := range 12 {
		synctest.Test(t, func(t *testing.T) {
			here := fastDir(t)
			copyDir(t, dir, here)
			m := &tape{}
			j := mustBegin(t, small(here), m)
			lead, err := j.Lead(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			release := make(chan struct{})
			var once sync.Once
			f := &faults{from: at, only: true, err: errCrash}
			j.disk.fault = func(op, path string) error {
				if f.fault(op, path) != nil {
					once.Do(func() { <-release })
				}
				return nil
			}
			n, err := writeIn(t.Context(), j, texts(40)[12:])
			if !errors.Is(err, journal.ErrFatal) {
				t.Errorf("operation %d hangs: %v after %d lines, want a fatal error", at, err, n)
			}
			<-lead.Done()
			if !errors.Is(context.Cause(lead), journal.ErrFatal) {
				t.Errorf("the lead ended with %v", context.Cause(lead))
			}
			if _, err := j.Lead(t.Context()); !errors.Is(err, journal.ErrFatal) {
				t.Errorf("another lead: %v", err)
			}
			if err := j.Close(); !errors.Is(err, journal.ErrFatal) {
				t.Errorf("close: %v", err)
			}
			close(release)
			synctest.Wait()
			if had, err := survives(small(here), texts(40), 12+n); err != nil {
				t.Errorf("afterwards: %v (%d lines)", err, len(had))
			}
		})
	}
}

// What was applied before a crash is what is applied after it, time included.
func TestTimeSurvives(t *testing.T) {
	c := small(fastDir(t))
	m := &tape{}
	j := mustBegin(t, c, m)
	if _, err := write(j, texts(10)); err != nil {
		t.Fatal(err)
	}
	j.crash()
	again := &tape{}
	mustClose(t, mustBegin(t, c, again))
	if again.now != m.now || !slices.Equal(again.lines, m.lines) || again.last.Index != m.last.Index {
		t.Errorf("after: time %d, %d lines, entry %d; before: time %d, %d lines, entry %d",
			again.now, len(again.lines), again.last.Index, m.now, len(m.lines), m.last.Index)
	}
}
