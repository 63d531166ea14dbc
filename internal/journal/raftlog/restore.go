package raftlog

import (
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

// SnapshotInfo is the head of a snapshot's file.
type SnapshotInfo struct {
	// Cluster is whose snapshot it is.
	Cluster string
	// Entry is the newest entry in it, Term that entry's term, and Applied how many
	// entries the machine had been given.
	Entry, Term, Applied uint64
	// Members are those of the cluster then.
	Members []Peer
	// Created is when it was taken, by the clock of the member that took it.
	Created time.Time
}

func infoOf(m *snapshotMeta, applied uint64) SnapshotInfo {
	i := SnapshotInfo{Cluster: m.Cluster, Entry: m.Index, Term: m.Term, Applied: applied, Created: m.Created}
	for _, p := range m.Members {
		i.Members = append(i.Members, Peer{Member: p.Member, Address: p.Address})
	}
	return i
}

// ReadSnapshot reads the file of a snapshot. next returns the chunks that the
// machine wrote, nil at the end; that is the only proof that the file is whole.
// Checksums are verified on the way.
func ReadSnapshot(r io.Reader) (info SnapshotInfo, next func() ([]byte, error), err error) {
	meta, head, err := readSnapshotHead(r)
	if err != nil {
		return SnapshotInfo{}, nil, fmt.Errorf("the snapshot cannot be read at byte 0: %w", err)
	}
	s, err := newStreamReader(r)
	if err != nil {
		return SnapshotInfo{}, nil, fmt.Errorf("the snapshot cannot be read at byte %d: %w", head, err)
	}
	next = func() ([]byte, error) {
		chunk, err := s.next()
		if err != nil {
			err = fmt.Errorf("the snapshot cannot be read at byte %d: %w", head+s.offset, err)
		}
		return chunk, err
	}
	return infoOf(meta, s.applied), next, nil
}

// WriteSnapshot writes the file of a snapshot with what next returns, until that is
// nil.
func WriteSnapshot(w io.Writer, info SnapshotInfo, next func() ([]byte, error)) error {
	meta := snapshotMeta{Cluster: info.Cluster, Index: info.Entry, Term: info.Term, MembersIndex: 1, Created: info.Created}
	for _, p := range info.Members {
		meta.Members = append(meta.Members, snapshotPeer{Member: p.Member, Address: p.Address})
	}
	head, err := encodeSnapshotHead(&meta)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	return writeStream(w, info.Applied, next)
}

// Restore makes a new data directory, of a member that is alone, whose state is what
// next returns, until that is nil: the chunks of a machine's snapshot, in which the
// caller has changed what a restore has to change. Entries are numbered on from
// those of info. The directory of the configuration must be new or empty; if Restore
// fails, what it has made in it is made anew by the next attempt.
func Restore(c Config, info SnapshotInfo, next func() ([]byte, error)) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	dir, err := openDirectory(c.Dir)
	if err != nil {
		return err
	}
	defer dir.close()
	if dir.Born {
		return fmt.Errorf("the data directory %s has data: restore into an empty one", c.Dir)
	}
	d := newDisk(c.Logger, c.WriteDeadline, c.fault)
	defer d.running.rest()
	if err := dir.claim(d, c.Cluster, c.Member); err != nil {
		return err
	}
	if err := dir.layOut(d); err != nil {
		return err
	}
	if err := fillIn(d, dir, &c, info, next); err != nil {
		return err
	}
	dir.Born = true
	return dir.writeIdentity(d)
}

// fillIn writes the snapshot of a directory that is being made from one, and the
// term that its log goes on in.
func fillIn(d *disk, dir *directory, c *Config, info SnapshotInfo, next func() ([]byte, error)) error {
	snaps := newSnapshots(d, dir)
	entry, term := max(info.Entry, 1), max(info.Term, 1)
	sink, err := snaps.Create(raft.SnapshotVersionMax, entry, term, c.configuration(raft.ServerAddress(c.Member)), 1, nil)
	if err != nil {
		return err
	}
	if err := (&view{applied: info.Applied, next: next}).write(sink); err != nil {
		_ = sink.Cancel() // the first error counts
		return err
	}
	if err := sink.Close(); err != nil {
		return err
	}
	meta, err := openMeta(d, dir.logDir())
	if err != nil {
		return err
	}
	store, err := openStore(d, dir.logDir(), meta, c.SegmentBytes, &logWriter{c.Logger})
	if err != nil {
		return err
	}
	defer store.close()
	return store.SetUint64([]byte("CurrentTerm"), term)
}
