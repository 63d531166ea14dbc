package raftlog

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
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
