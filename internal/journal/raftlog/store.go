package raftlog

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// raftLogs is what raft-wal offers.
type raftLogs interface {
	raft.LogStore
	raft.MonotonicLogStore
	raft.StableStore
}

var (
	_ raftLogs           = (*store)(nil)
	_ types.MetaStore    = (*metaFile)(nil)
	_ types.VFS          = segmentFiles{}
	_ types.WritableFile = (*segmentFile)(nil)
	_ raft.SnapshotStore = (*snapshots)(nil)
	_ raft.BatchingFSM   = (*fsm)(nil)
)

// openStore opens the log in dir, which must have been examined.
func openStore(d *disk, dir string, meta *metaFile, segmentBytes int, log *logWriter) (*store, error) {
	w, err := wal.Open(dir, wal.WithMetaStore(meta), wal.WithSegmentSize(segmentBytes),
		wal.WithSegmentFiler(segment.NewFiler(dir, segmentFiles{d})), wal.WithLogger(log.hclog("wal")))
	if err != nil {
		return nil, fmt.Errorf("open the log in %s: %w", dir, err)
	}
	return &store{wal: w, disk: d, meta: meta, dir: dir}, nil
}

// segmentOf names the file that has an entry.
func segmentOf(dir string, segments []types.SegmentInfo, index uint64) string {
	name := ""
	for _, info := range segments {
		if info.BaseIndex <= index {
			name = segment.FileName(info)
		}
	}
	return filepath.Join(dir, name)
}

// IsMonotonic implements raft.MonotonicLogStore: without it, raft would leave a gap
// after a snapshot from elsewhere, which the log refuses.
func (s *store) IsMonotonic() bool { return s.wal.IsMonotonic() }

// FirstIndex implements raft.LogStore.
func (s *store) FirstIndex() (uint64, error) {
	first, _ := s.tail.bounds() // before the log, in which it may be a moment later
	logged, err := s.wal.FirstIndex()
	if logged != 0 || err != nil {
		return logged, err
	}
	return first, nil
}

// LastIndex implements raft.LogStore.
func (s *store) LastIndex() (uint64, error) {
	if _, last := s.tail.bounds(); last != 0 {
		return last, nil
	}
	return s.wal.LastIndex()
}

// GetLog implements raft.LogStore.
func (s *store) GetLog(index uint64, l *raft.Log) error {
	if s.tail.get(index, l) {
		return nil
	}
	var stored raft.Log
	err := s.wal.GetLog(index, &stored)
	if err == nil {
		*l, err = decodeRecord(&stored)
	}
	if err == nil && l.Index != index {
		err = fmt.Errorf("entry %d stands in its place", l.Index)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrLogNotFound):
		return s.before(index, l)
	case errors.Is(err, wal.ErrClosed):
		return err
	}
	return s.disk.stop(fmt.Errorf("read entry %d from %s: %w", index, s.pathOf(index), err))
}

// before returns what stands for the entry before the first one: its index and term, which
// the snapshot has that the log goes on behind. Raft asks a follower for them when the leader
// sends what comes behind once more, since its answer was lost, or has other entries there;
// without them it sends its snapshot again and again. It stands for no entry that is sent:
// who needs this one needs the one before it too, which is not there. So there is none for
// the very first one.
func (s *store) before(index uint64, l *raft.Log) error {
	first, err := s.wal.FirstIndex()
	if err != nil || index <= 1 || first != index+1 || s.edge == nil {
		return raft.ErrLogNotFound
	}
	at, term := s.edge()
	if at != index {
		return raft.ErrLogNotFound
	}
	*l = raft.Log{Index: index, Term: term, Type: raft.LogNoop}
	return nil
}

// StoreLog implements raft.LogStore.
func (s *store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore. Where nothing can be committed without another member
// it returns before the entries are on the disk (type tail). Not so for a change of the
// members: it counts when it is stored, and this one may be the only one afterwards.
func (s *store) StoreLogs(logs []*raft.Log) error {
	logs, err := s.unseen.pass(logs)
	if err != nil || len(logs) == 0 {
		return s.fatal(err)
	}
	if s.shared != nil && s.shared() && !slices.ContainsFunc(logs, changesMembers) {
		if err := s.append(logs); err != nil || s.shared() {
			return err
		}
		// The lead was lost meanwhile, to a heartbeat, for which raft has another goroutine:
		// a newer term may have been written before these were there to be waited for.
		return s.settle(math.MaxUint64)
	}
	if err := s.settle(math.MaxUint64); err != nil {
		return err
	}
	if err := s.write(logs); err != nil {
		return err
	}
	s.unseen.wrote(logs, false)
	return nil
}

// write puts entries on the disk.
func (s *store) write(logs []*raft.Log) error {
	records := make([]*raft.Log, len(logs))
	for i, l := range logs {
		records[i] = encodeRecord(l)
	}
	return s.fatal(s.wal.StoreLogs(records))
}

func changesMembers(l *raft.Log) bool { return l.Type == raft.LogConfiguration }

// DeleteRange implements raft.LogStore.
func (s *store) DeleteRange(first, last uint64) error {
	if err := s.settle(last); err != nil {
		return err
	}
	return s.fatal(s.wal.DeleteRange(first, last))
}

// Set implements raft.StableStore.
func (s *store) Set(key, value []byte) error {
	return s.remember(key, func() error { return s.wal.Set(key, value) })
}

// remember writes what raft must remember, after everything that it has stored before. Raft
// panics if it cannot write its term.
func (s *store) remember(key []byte, write func() error) error {
	err := s.settle(math.MaxUint64)
	if err == nil {
		err = write()
	}
	if err != nil {
		return s.disk.stop(fmt.Errorf("remember %q: %w", key, err))
	}
	return nil
}

// Get implements raft.StableStore.
func (s *store) Get(key []byte) ([]byte, error) { return s.wal.Get(key) }

// SetUint64 implements raft.StableStore.
func (s *store) SetUint64(key []byte, value uint64) error {
	return s.remember(key, func() error { return s.wal.SetUint64(key, value) })
}

// GetUint64 implements raft.StableStore.
func (s *store) GetUint64(key []byte) (uint64, error) { return s.wal.GetUint64(key) }
