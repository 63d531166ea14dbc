package raftlog

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Status is how a journal is, for operators.
type Status struct {
	// Dir is the data directory, Cluster and Member whose it is.
	Dir, Cluster, Member string
	// Leads says that this member leads and accepts batches; Leader is the member
	// that leads, "" if that is not known here.
	Leads  bool
	Leader string
	// Term is the newest one that this member knows.
	Term uint64
	// Members are all members, as the newest configuration in the log has them.
	Members []Peer
	// FirstEntry and LastEntry bound the log, 0 if it is empty; AppliedEntry is
	// the newest that was given to the machine. All count raft's own entries, too.
	FirstEntry, LastEntry, AppliedEntry uint64
	// Applied counts the entries that the machine was given since its birth.
	Applied uint64
	// SnapshotEntry is the newest entry in the newest snapshot, SnapshotBytes its
	// size, SnapshotTime when it was taken; zero if there is none. EntriesSince and
	// BytesSince are what a start would have to apply.
	SnapshotEntry             uint64
	SnapshotBytes             int64
	SnapshotTime              time.Time
	EntriesSince, BytesSince  int64
	LogFiles                  int
	Bytes                     int64 // that the files of the directory take
	FreeBytes, TotalBytes     int64 // of the file system; 0 if it does not say
	WarnBelow, RefuseBelow    int64
	Full                      error // why batches are refused; nil if they are not
	Failed                    error // why the process must end; nil if it need not
	Syncs                     uint64
	SlowestSync, SyncDeadline time.Duration
}

// Status returns how the journal is.
func (j *Journal) Status() Status {
	s := Status{
		Dir: j.cfg.Dir, Cluster: j.dir.Cluster, Member: j.cfg.Member, Term: j.raft.CurrentTerm(),
		AppliedEntry: j.raft.AppliedIndex(), Applied: j.fsm.lastApplied.Load(), SnapshotBytes: j.fsm.snapshotSize.Load(),
		EntriesSince: j.fsm.entries.Load(), BytesSince: j.fsm.bytes.Load(), Failed: j.disk.check(),
		Syncs: j.disk.syncs.Load(), SlowestSync: time.Duration(j.disk.slowest.Load()), SyncDeadline: j.cfg.WriteDeadline,
		LogFiles: len(j.store.meta.segments()),
	}
	_, leader := j.raft.LeaderWithID()
	s.Leader = string(leader)
	// A log that is closed has no bounds.
	s.FirstEntry, s.LastEntry, _ = j.store.bounds()
	for _, m := range j.raft.GetConfiguration().Configuration().Servers {
		s.Members = append(s.Members, Peer{Member: string(m.ID), Address: string(m.Address)})
	}
	s.SnapshotEntry, s.SnapshotTime = j.snapshotHead()
	s.Bytes = j.dir.bytes()
	s.FreeBytes, s.TotalBytes, _ = j.cfg.space(j.cfg.Dir)
	s.RefuseBelow, s.WarnBelow = j.needs(s.TotalBytes)
	j.mu.Lock()
	defer j.mu.Unlock()
	s.Leads, s.Full = j.lead != nil, j.full
	return s
}

// AppliedEntry is the newest entry that was given to the machine, raft's own counted.
func (j *Journal) AppliedEntry() uint64 { return j.raft.AppliedIndex() }

// SaveSnapshot takes a snapshot and writes its file to w, which may be slow: nothing
// waits for it. [ReadSnapshot] reads it, and [Restore] makes a data directory of it.
func (j *Journal) SaveSnapshot(ctx context.Context, w io.Writer) error {
	if err := j.Snapshot(ctx); err != nil {
		return err
	}
	f, err := j.newestSnapshot()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	_, err = io.Copy(w, f)
	return err
}

// snapshotHead says which entry the newest snapshot ends with and when it was taken;
// zero if there is none that can be read.
func (j *Journal) snapshotHead() (entry uint64, taken time.Time) {
	f, err := j.newestSnapshot()
	if err != nil {
		return 0, time.Time{}
	}
	defer func() { _ = f.Close() }() // it was only read
	meta, _, err := readSnapshotHead(f)
	if err != nil {
		return 0, time.Time{}
	}
	return meta.Index, meta.Created
}

// bytes is how much the files take. They come and go meanwhile; what cannot be seen
// is not counted.
func (d *directory) bytes() (sum int64) {
	_ = filepath.WalkDir(d.path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // as the comment says
		}
		if info, err := e.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// newestSnapshot opens the file of the newest snapshot, which may be replaced
// by a newer one at any time.
func (j *Journal) newestSnapshot() (*os.File, error) {
	for range 10 {
		paths, err := j.snapshots.list()
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			break
		}
		if f, err := os.Open(paths[0]); !os.IsNotExist(err) {
			return f, err
		}
	}
	return nil, fmt.Errorf("there is no snapshot in %s: nothing has happened yet", j.snapshots.dir)
}
