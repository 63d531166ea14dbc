package raftlog

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// Connections can use up all the files that a process may open. That fails a snapshot,
// which nobody needs at once, and nothing else.
func TestSnapshotWithTooManyOpenFiles(t *testing.T) {
	var scarce atomic.Bool
	c := small(fastDir(t))
	c.fault = func(op, path string) error {
		if scarce.Load() && op == opCreate && strings.Contains(path, snapshotSuffix) {
			return syscall.EMFILE
		}
		return nil
	}
	j := mustBegin(t, c, &tape{})
	defer mustClose(t, j)
	lines := texts(2)
	if _, err := write(j, lines[:1]); err != nil {
		t.Fatal(err)
	}
	scarce.Store(true)
	if err := j.Snapshot(t.Context()); err == nil {
		t.Error("a snapshot was taken without files")
	}
	scarce.Store(false)
	if _, err := write(j, lines[1:]); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if err := j.Snapshot(t.Context()); err != nil {
		t.Errorf("a snapshot afterwards: %v", err)
	}
}

// The log goes on when there are files again, and says what is wrong if there are none
// for long.
func TestSegmentWithTooManyOpenFiles(t *testing.T) {
	var scarce atomic.Int64 // so many attempts fail yet
	c := small(fastDir(t))
	c.fault = func(op, _ string) error {
		if (op == opAlloc || op == opOpen) && scarce.Load() > 0 {
			scarce.Add(-1)
			return syscall.EMFILE
		}
		return nil
	}
	j := mustBegin(t, c, &tape{})
	defer mustClose(t, j)
	scarce.Store(3)
	if n, err := write(j, texts(80)); err != nil || scarce.Load() != 0 {
		t.Errorf("%d lines: %v, %d failures are left", n, err, scarce.Load())
	}
}

func TestNoOpenFilesForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(logOf(io.Discard), 10*time.Second, nil)
		defer d.running.rest()
		err := d.do(opOpen, "file", func() error { return &os.PathError{Op: "open", Path: "file", Err: syscall.EMFILE} })
		if !errors.Is(err, journal.ErrFatal) || !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), "ulimit -n") {
			t.Errorf("got %v", err)
		}
	})
}

// Where there is no room, room is to be made; nothing is wrong with the disk then.
func TestNoRoomNamesTheNextStep(t *testing.T) {
	for err, want := range map[error]string{syscall.ENOSPC: "make room on the disk, then", syscall.EIO: "check the disk, then"} {
		d := newDisk(slog.New(slog.DiscardHandler), time.Hour, nil)
		if got := d.do(opWrite, "x", func() error { return err }); !strings.Contains(got.Error(), want) {
			t.Errorf("%v: %v does not say %q", err, got, want)
		}
		d.running.rest()
	}
	if got := unusable(t.TempDir(), syscall.ENOSPC); !strings.Contains(got.Error(), "make room there") {
		t.Errorf("a directory without room: %v", got)
	}
}
