package raftlog

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
)

// Contents is what [Dump] tells of a data directory. Functions that are nil are not
// called; an error of one ends the dump and is returned.
type Contents struct {
	// Identity is called first.
	Identity func(cluster, member string, format int) error
	// Snapshot is called with the newest snapshot, if there is one, and its file.
	// What next returns is good until the next call; it need not be read to the end.
	Snapshot func(path string, info SnapshotInfo, next func() ([]byte, error)) error
	// Entry is called for each entry in the log, in order. Those up to the
	// snapshot's are in it already.
	Entry func(Entry) error
}

// Entry is an entry of the log. It is good until the function that was given it returns.
type Entry struct {
	// Index and Term as raft counts them.
	Index, Term uint64
	// Kind is "batches" for what was proposed, else raft's name of its own entries.
	Kind string
	// StampTerm and Elapsed are of the stamp, for batches.
	StampTerm uint64
	Elapsed   time.Duration
	// Batches are encoded as their machine encodes them.
	Batches [][]byte
	// Members are those from this entry on; nil if it does not change them.
	Members []Peer
}

// Dump verifies the data directory of a member that does not run, and tells what is
// in it. It changes nothing, also where nothing can be written, as in a copy that is mounted
// to be read; a write that was cut short is left out.
func Dump(path string, c Contents) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	dir, err := openToRead(path)
	if err != nil {
		return err
	}
	defer dir.close()
	if !dir.Born {
		return fmt.Errorf("the data directory %s is empty: no server has used it yet", path)
	}
	if c.Identity != nil {
		if err := c.Identity(dir.Cluster, dir.Member, dir.Format); err != nil {
			return err
		}
	}
	d := newDisk(slog.New(slog.DiscardHandler), time.Hour, nil)
	snaps := newSnapshots(d, dir)
	newest, _, err := snaps.examine(nil)
	if err != nil {
		return err
	}
	if newest != "" && c.Snapshot != nil {
		if err := dumpSnapshot(newest, c.Snapshot); err != nil {
			return err
		}
	}
	_, err = examineLog(d, dir.logDir(), false, func(l *raft.Log) error { return dumpEntry(dir, l, c.Entry) })
	return err
}

func dumpSnapshot(path string, tell func(string, SnapshotInfo, func() ([]byte, error)) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, next, err := ReadSnapshot(f)
	if err != nil {
		return err
	}
	return tell(path, info, next)
}

func dumpEntry(dir *directory, l *raft.Log, tell func(Entry) error) error {
	if tell == nil {
		return nil
	}
	e := Entry{Index: l.Index, Term: l.Term, Kind: l.Type.String()}
	switch l.Type {
	case raft.LogConfiguration:
		members, err := membersIn(l.Data)
		if err != nil {
			return fmt.Errorf("entry %d in %s: %w", l.Index, filepath.Join(dir.path, "log"), err)
		}
		e.Members = members
	case raft.LogCommand:
		e.Kind = "batches"
		info, err := readEntry(l.Data, func(_ origin, b []byte) error {
			e.Batches = append(e.Batches, b)
			return nil
		})
		if err != nil {
			return fmt.Errorf("entry %d in %s: %w", l.Index, filepath.Join(dir.path, "log"), err)
		}
		e.StampTerm, e.Elapsed = info.term, time.Duration(info.elapsed)*time.Microsecond
	case raft.LogNoop, raft.LogBarrier, raft.LogAddPeerDeprecated, raft.LogRemovePeerDeprecated:
	}
	return tell(e)
}

// membersIn reads an entry that changes the members. Raft panics at one that it cannot
// read.
func membersIn(data []byte) (members []Peer, err error) {
	defer func() {
		if p := recover(); p != nil {
			members, err = nil, fmt.Errorf("the members cannot be read: %v", p)
		}
	}()
	for _, s := range raft.DecodeConfiguration(data).Servers {
		members = append(members, Peer{Member: string(s.ID), Address: string(s.Address)})
	}
	return members, nil
}
