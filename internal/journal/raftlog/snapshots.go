package raftlog

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// snapshots keeps the newest snapshot. It implements raft.SnapshotStore.
//
// A snapshot is a file:
//
//	+----------+---------+--------+------+--------+--------+
//	| LDLMSNAP | version | length | JSON | crc32c | stream |   8, 4, 4, length, 4 bytes
//	+----------+---------+--------+------+--------+--------+
//
// The checksum covers everything before it; the stream has its own.
type snapshots struct {
	disk    *disk
	dir     string
	cluster string
	log     *store // that goes on behind them; nil while no journal runs
	// received is the newest that another member has sent and raft is about to restore. Raft
	// waits for that before it takes another one.
	received *sink
}

// newSnapshots are those of a directory.
func newSnapshots(d *disk, dir *directory) *snapshots {
	return &snapshots{disk: d, dir: dir.snapshotDir(), cluster: dir.Cluster}
}

const (
	snapshotMagic   = "LDLMSNAP"
	snapshotVersion = 1
	snapshotSuffix  = ".snap"
	maxSnapshotMeta = 1 << 20
	// syncEvery is how much of a snapshot is written between two fsyncs, so that
	// those of the log do not wait for all of it.
	syncEvery = 4 << 20
)

// snapshotMeta is the JSON in a snapshot's head.
type snapshotMeta struct {
	Cluster      string         `json:"cluster"`
	Index        uint64         `json:"index"`
	Term         uint64         `json:"term"`
	Members      []snapshotPeer `json:"members"`
	MembersIndex uint64         `json:"members_index"` // of the entry that has them
	Created      time.Time      `json:"created"`       // for people
}

// snapshotPeer is a member when the snapshot was taken.
type snapshotPeer struct {
	Member  string `json:"member"`
	Address string `json:"address"`
	// Suffrage is as raft numbers it: 0 for those who vote.
	Suffrage int `json:"suffrage"`
}

// name is that of the snapshot's file, without its suffix.
func (m *snapshotMeta) name() string { return fmt.Sprintf("%020d-%020d", m.Index, m.Term) }

func (m *snapshotMeta) setMembers(c raft.Configuration) {
	for _, s := range c.Servers {
		m.Members = append(m.Members, snapshotPeer{string(s.ID), string(s.Address), int(s.Suffrage)})
	}
}

func (m *snapshotMeta) configuration() (c raft.Configuration) {
	for _, p := range m.Members {
		c.Servers = append(c.Servers, raft.Server{
			ID: raft.ServerID(p.Member), Address: raft.ServerAddress(p.Address), Suffrage: raft.ServerSuffrage(p.Suffrage),
		})
	}
	return c
}

func encodeSnapshotHead(m *snapshotMeta) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint32([]byte(snapshotMagic), snapshotVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = append(b, text...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

// readSnapshotHead returns the meta of a snapshot and the length of its head.
func readSnapshotHead(r io.Reader) (*snapshotMeta, int64, error) {
	var begin [16]byte
	b := begin[:]
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, 0, early(err)
	}
	version, size := binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
	if string(b[:8]) != snapshotMagic {
		return nil, 0, fmt.Errorf("it is not a snapshot: it does not begin with %q", snapshotMagic)
	}
	if size > maxSnapshotMeta {
		return nil, 0, fmt.Errorf("a head of %d bytes cannot be", size)
	}
	b = slices.Concat(b, make([]byte, size+4))
	if _, err := io.ReadFull(r, b[16:]); err != nil {
		return nil, 0, early(err)
	}
	text := b[16 : len(b)-4]
	if crc32.Checksum(b[:len(b)-4], castagnoli) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return nil, 0, errors.New("the checksum of its head does not match")
	}
	if version != snapshotVersion {
		return nil, 0, fmt.Errorf("it is of version %d, this program reads version %d: use a newer one", version, snapshotVersion)
	}
	m := &snapshotMeta{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, 0, err
	}
	return m, int64(len(b)), nil
}

// Create implements raft.SnapshotStore.
func (s *snapshots) Create(_ raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	meta := snapshotMeta{Cluster: s.cluster, Index: index, Term: term, MembersIndex: cIndex, Created: time.Now().UTC().Truncate(time.Second)}
	meta.setMembers(c)
	head, err := encodeSnapshotHead(&meta)
	if err != nil {
		return nil, err
	}
	k := &sink{store: s, id: meta.name(), index: index, term: term, begun: time.Now()}
	path := filepath.Join(s.dir, k.id+snapshotSuffix)
	k.path = path + temporarySuffix
	err = s.attempt(opCreate, k.path, func() (err error) {
		k.file, err = os.OpenFile(k.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, err := k.Write(head); err != nil {
		return nil, errors.Join(err, k.Cancel())
	}
	return k, nil
}

// errHadAlready is what another member is told whose snapshot has nothing that is not here.
var errHadAlready = errors.New("all of the snapshot was here already, and perhaps more: it is not taken")

// had reports whether a snapshot of another member has nothing that is not here: a newer one
// is, or the log has its last entry, or goes on behind it. Raft would go back to it, and drop
// a log that this member has vouched for: it may have been on its way for long.
func (s *snapshots) had(k *sink) bool {
	paths, err := s.list()
	if err != nil || s.log == nil {
		return false
	}
	newest := ""
	if len(paths) > 0 {
		newest = strings.TrimSuffix(filepath.Base(paths[0]), snapshotSuffix)
	}
	var l raft.Log
	switch {
	case newest > k.id:
		return true
	case s.log.GetLog(k.index, &l) == nil:
		return l.Term == k.term
	default:
		return newest == k.id && s.log.GetLog(k.index+1, &l) == nil
	}
}

// edge returns index and term of the newest snapshot, 0 if there is none.
func (s *snapshots) edge() (index, term uint64) {
	paths, err := s.list()
	if err != nil || len(paths) == 0 {
		return 0, 0
	}
	_, err = fmt.Sscanf(filepath.Base(paths[0]), "%d-%d"+snapshotSuffix, &index, &term)
	if err != nil {
		return 0, 0
	}
	return index, term
}

// attempt carries out an operation on a file that is not needed yet: a full disk, or
// too many open files, fail the snapshot and nothing else.
func (s *snapshots) attempt(op, path string, f func() error) error {
	err := s.disk.try(op, path, f)
	if err != nil && !isFull(err) && !isOutOfFiles(err) {
		s.disk.fail(err)
		return s.disk.check()
	}
	return err
}

// isFull reports whether an error says that there is no room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || isOverQuota(err)
}

// isOutOfFiles reports whether an error says that no more files can be opened.
func isOutOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// sink is a snapshot that is being written.
type sink struct {
	store       *snapshots
	id, path    string
	index, term uint64
	begun       time.Time
	own         bool     // it is of this member's state, and not sent by another one
	file        *os.File // nil when it is done with
	unsynced    int
}

// ID implements raft.SnapshotSink.
func (k *sink) ID() string { return k.id }

// Write implements raft.SnapshotSink. It is better given large pieces.
func (k *sink) Write(b []byte) (n int, err error) {
	err = k.store.attempt(opWrite, k.path, func() error {
		n, err = k.file.Write(b)
		return err
	})
	if k.unsynced += n; err == nil && k.unsynced >= syncEvery {
		err = k.sync()
	}
	return n, err
}

func (k *sink) sync() error {
	k.unsynced = 0
	return k.store.attempt(opSync, k.path, k.file.Sync)
}

// Close implements raft.SnapshotSink: the snapshot is complete, and counts from now on.
func (k *sink) Close() error {
	if k.file == nil {
		return nil
	}
	if !k.own && k.store.had(k) {
		return errors.Join(errHadAlready, k.Cancel())
	}
	if err := k.sync(); err != nil {
		return errors.Join(err, k.Cancel())
	}
	f := k.file
	k.file = nil
	if err := f.Close(); err != nil {
		return err
	}
	final := strings.TrimSuffix(k.path, temporarySuffix)
	if err := k.store.disk.moveInto(k.path, final); err != nil {
		return err
	}
	k.store.removeOld()
	if !k.own {
		k.store.received = k
	}
	return nil
}

// noteRestored says that what another member has sent has taken the place of what was here.
func (s *snapshots) noteRestored(size int64) {
	k := s.received
	if s.received = nil; k == nil {
		return // it was here when the journal was opened
	}
	s.disk.log.InfoContext(context.Background(), "A snapshot of the member that leads was taken over",
		"entry", k.index, "bytes", size, "took", time.Since(k.begun).String())
}

// Cancel implements raft.SnapshotSink.
func (k *sink) Cancel() error {
	if k.file == nil {
		return nil
	}
	f := k.file
	k.file = nil
	_ = f.Close() // it is thrown away
	return k.store.disk.try(opDelete, k.path, func() error { return os.Remove(k.path) })
}

// list returns the paths of the snapshots, newest first.
func (s *snapshots) list() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), snapshotSuffix) {
			paths = append(paths, filepath.Join(s.dir, e.Name()))
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Compare(b, a) })
	return paths, nil
}

// removeOld removes all snapshots but the newest. What stays is removed the next time.
func (s *snapshots) removeOld() {
	paths, err := s.list()
	for _, path := range paths[min(1, len(paths)):] {
		err = errors.Join(err, s.disk.try(opDelete, path, func() error { return os.Remove(path) }))
	}
	if err != nil {
		s.disk.log.WarnContext(context.Background(), "An old snapshot could not be removed", "err", err)
	}
}

// List implements raft.SnapshotStore. There is one, or none.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	paths, err := s.list()
	if err != nil || len(paths) == 0 {
		return nil, err
	}
	m, f, err := s.Open(strings.TrimSuffix(filepath.Base(paths[0]), snapshotSuffix))
	if err != nil {
		return nil, err
	}
	return []*raft.SnapshotMeta{m}, f.Close()
}

// Open implements raft.SnapshotStore.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	path := filepath.Join(s.dir, id+snapshotSuffix)
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	meta, head, err := readSnapshotHead(f)
	var info os.FileInfo
	if err == nil {
		info, err = f.Stat()
	}
	if err != nil {
		_ = f.Close() // the first error counts
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: id, Index: meta.Index, Term: meta.Term,
		Configuration: meta.configuration(), ConfigurationIndex: meta.MembersIndex, Size: info.Size() - head,
	}, f, nil
}

// examine verifies the newest snapshot. It returns its path and meta, nil if
// there is none.
func (s *snapshots) examine(each func(chunk []byte) error) (string, *snapshotMeta, error) {
	paths, err := s.list()
	if err != nil || len(paths) == 0 {
		return "", nil, err
	}
	f, err := os.Open(paths[0])
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	meta, head, err := readSnapshotHead(f)
	if err != nil {
		return "", nil, damaged(paths[0], 0, "%v", err)
	}
	switch name := meta.name() + snapshotSuffix; {
	case filepath.Base(paths[0]) != name:
		return "", nil, damaged(paths[0], 0, "it is not the snapshot that its name says, but %s", name)
	case meta.Cluster != s.cluster:
		return "", nil, damaged(paths[0], 0, "it is a snapshot of cluster %s, and not of %s", meta.Cluster, s.cluster)
	}
	r, err := newStreamReader(f)
	if err != nil {
		return "", nil, damaged(paths[0], int(head), "%v", err)
	}
	for {
		chunk, err := r.next()
		if err != nil {
			return "", nil, damaged(paths[0], int(head+r.offset), "%v", err)
		}
		if chunk == nil {
			return paths[0], meta, nil
		}
		if each != nil {
			if err := each(chunk); err != nil {
				return "", nil, damaged(paths[0], int(head+r.offset), "%v", err)
			}
		}
	}
}
