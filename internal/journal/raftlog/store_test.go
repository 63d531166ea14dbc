package raftlog

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft-wal/types"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// failing is a log in which nothing but entries can be changed, with an error that does not come through the gate.
type failing struct{ walStore }

func (failing) DeleteRange(_, _ uint64) error  { return io.ErrClosedPipe }
func (failing) Set(_, _ []byte) error          { return io.ErrClosedPipe }
func (failing) SetUint64([]byte, uint64) error { return io.ErrClosedPipe }

// Nothing that the log fails at is passed over: who asked is told, and nothing is written
// any more.
func TestStoreFails(t *testing.T) {
	j := mustBegin(t, small(fastDir(t)), &tape{})
	defer mustClose(t, j)
	for name, do := range map[string]func(s *store) error{
		"delete": func(s *store) error { return s.DeleteRange(1, 2) },
		"vote":   func(s *store) error { return s.Set([]byte("LastVoteCand"), []byte("b")) },
		"term":   func(s *store) error { return s.SetUint64([]byte("CurrentTerm"), 7) },
	} {
		d := newDisk(j.log, time.Hour, nil)
		err := do(&store{wal: failing{j.store.wal}, disk: d, meta: j.store.meta, dir: j.store.dir})
		if !errors.Is(err, journal.ErrFatal) || !errors.Is(err, io.ErrClosedPipe) || d.check() == nil {
			t.Errorf("%s: got %v, the disk has %v", name, err, d.check())
		}
	}
}

// What the log must remember and could not be written is not remembered: a vote that is
// given twice elects two.
func TestMetaThatIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	good := newDisk(logOf(io.Discard), time.Hour, nil)
	defer good.running.rest()
	if err := createMeta(good, dir); err != nil {
		t.Fatal(err)
	}
	open := func(d *disk) *metaFile {
		m, err := openMeta(d, dir)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if err := open(good).SetStable([]byte("LastVoteCand"), []byte("a")); err != nil {
		t.Fatal(err)
	}
	for _, fails := range []string{opWrite, opSync, opRename} {
		d := newDisk(logOf(io.Discard), time.Hour, func(op, _ string) error {
			if op == fails {
				return syscall.EIO
			}
			return nil
		})
		m := open(d)
		if err := m.SetStable([]byte("LastVoteCand"), []byte("b")); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s fails: a vote: %v", fails, err)
		}
		if vote, err := m.GetStable([]byte("LastVoteCand")); string(vote) != "a" || err != nil {
			t.Errorf("%s fails: the vote is for %q: %v", fails, vote, err)
		}
		if err := m.CommitState(types.PersistentState{NextSegmentID: 9}); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s fails: segments: %v", fails, err)
		}
		if s, err := m.Load(""); s.NextSegmentID == 9 || err != nil {
			t.Errorf("%s fails: segments %+v, %v", fails, s, err)
		}
		d.running.rest()
	}
}

// A change of the segment files leaves what raft remembers, and the other way round.
func TestMetaKeepsBoth(t *testing.T) {
	dir := t.TempDir()
	d := newDisk(logOf(io.Discard), time.Hour, nil)
	defer d.running.rest()
	if err := createMeta(d, dir); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) {
		m, err := openMeta(d, dir)
		if err != nil {
			t.Fatal(err)
		}
		vote, err := m.GetStable([]byte("LastVoteCand"))
		if s, failed := m.Load(""); err != nil || failed != nil || i > 0 && (len(vote) != 1 || vote[0] != byte(i) || s.NextSegmentID != i) {
			t.Errorf("opened for the %d. time: vote %v, segments %+v, %v, %v", i+1, vote, s, err, failed)
		}
		if err := m.SetStable([]byte("LastVoteCand"), []byte{byte(i + 1)}); err != nil {
			t.Fatal(err)
		}
		if err := m.CommitState(types.PersistentState{NextSegmentID: i + 1}); err != nil {
			t.Fatal(err)
		}
	}
}

// The fsync of a segment file is one of the system, whether the file has grown or not.
func TestSyncAsksTheSystem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1.wal")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, end := range []int64{0, 8} {
		d := newDisk(logOf(io.Discard), time.Hour, nil)
		s := &segmentFile{File: f, disk: d, path: path, end: end}
		if err := s.Sync(); !errors.Is(err, journal.ErrFatal) {
			t.Errorf("a closed file with %d bytes more: %v", end, err)
		}
		d.running.rest()
	}
}
