package raftlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft-wal/types"
)

// segmentFiles are the files that raft-wal writes to. It implements types.VFS.
type segmentFiles struct{ disk *disk }

// createSegment makes a segment file of its full size, or takes the spare one. It gets
// its name when it is complete, so that a file that is shorter was cut.
func (m *metaFile) createSegment(path string, size int64) error {
	if spare := m.spare.take(size); spare != "" {
		return m.disk.moveInto(spare, path)
	}
	temporary := path + temporarySuffix
	if err := fillFile(m.disk.do, temporary, size); err != nil {
		return err
	}
	return m.disk.moveInto(temporary, path)
}

// fillFile makes a file of zeros. They are written, so that later writes change
// nothing but data, which makes their fsyncs cheaper.
func fillFile(do func(op, path string, f func() error) error, path string, size int64) error {
	const piece = 1 << 20
	var f *os.File
	err := do(opAlloc, path, func() (err error) {
		if f, err = os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600); err == nil {
			err = allocate(f, size)
		}
		return err
	})
	if f == nil {
		return err
	}
	zeros := make([]byte, min(size, piece))
	for at := int64(0); at < size && err == nil; at += piece {
		err = do(opWrite, path, func() error {
			_, err := f.WriteAt(zeros[:min(size-at, piece)], at)
			return err
		})
	}
	if err == nil {
		err = do(opSync, path, f.Sync)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// spare is a segment file that was made in advance, so that nobody waits for the
// next one.
type spare struct {
	mu   sync.Mutex
	path string // "" if there is none
	size int64
}

// take returns the path of the spare file if it has the size; it is the caller's.
func (s *spare) take(size int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path == "" || s.size != size {
		return ""
	}
	path := s.path
	s.path = ""
	return path
}

// makeSpare makes the spare file, if there is none. That there is no room for it is no
// failure.
func (m *metaFile) makeSpare(size int64) error {
	m.spare.mu.Lock()
	defer m.spare.mu.Unlock()
	if m.spare.path != "" {
		return nil
	}
	path := filepath.Join(filepath.Dir(m.path), "spare"+temporarySuffix)
	if err := fillFile(m.disk.try, path, size); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	m.spare.path, m.spare.size = path, size
	return nil
}

// ListDir implements types.VFS.
func (segmentFiles) ListDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// Create implements types.VFS. The file was made when it was listed.
func (s segmentFiles) Create(dir, name string, _ uint64) (types.WritableFile, error) {
	return s.OpenWriter(dir, name)
}

// Delete implements types.VFS. A file that stays is removed when the log is opened
// the next time.
func (s segmentFiles) Delete(dir, name string) error {
	path := filepath.Join(dir, name)
	return s.disk.try(opDelete, path, func() error { return os.Remove(path) })
}

// OpenReader implements types.VFS.
func (segmentFiles) OpenReader(dir, name string) (types.ReadableFile, error) {
	return os.Open(filepath.Join(dir, name))
}

// OpenWriter implements types.VFS.
func (s segmentFiles) OpenWriter(dir, name string) (types.WritableFile, error) {
	path := filepath.Join(dir, name)
	var f *os.File
	err := s.disk.do(opOpen, path, func() (err error) {
		f, err = os.OpenFile(path, os.O_RDWR, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close() // the first error counts
		return nil, err
	}
	return &segmentFile{File: f, disk: s.disk, path: path, size: info.Size()}, nil
}

// segmentFile is a segment file that is written to, by one goroutine at a time.
type segmentFile struct {
	*os.File
	disk *disk
	path string
	size int64 // synced
	end  int64 // of what was written
}

// WriteAt implements io.WriterAt.
func (f *segmentFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.disk.do(opWrite, f.path, func() error {
		n, err = f.File.WriteAt(b, at)
		return err
	})
	f.end = max(f.end, at+int64(n))
	return n, err
}

// Sync implements types.WritableFile.
func (f *segmentFile) Sync() error {
	return f.disk.do(opSync, f.path, func() error {
		if f.end <= f.size {
			return syncData(f.File)
		}
		f.size = f.end // it has grown
		return f.File.Sync()
	})
}

// store is raft's log and its memory, over raft-wal. Each error of it that is not
// an answer lets the latch fall.
type store struct {
	edge func() (index, term uint64) // of the newest snapshot; nil while no journal runs
	wal  walStore
	disk *disk
	meta *metaFile
	dir  string
	tail tail
	// shared, if set, says that nothing is committed without another member.
	shared func() bool
	// unseen is not used then.
	unseen unseen
}

// walStore is what store needs of raft-wal.
type walStore interface {
	raftLogs
	io.Closer
}

// fatal lets the latch fall for errors that did not come through the gate.
func (s *store) fatal(err error) error {
	if err == nil {
		return nil
	}
	s.disk.fail(fmt.Errorf("the log in %s: %w", s.dir, err))
	return s.disk.check()
}

// pathOf names the segment file that an entry stands in.
func (s *store) pathOf(index uint64) string { return segmentOf(s.dir, s.meta.segments(), index) }

func (s *store) close() {
	s.tail.writers.Wait()
	if err := s.wal.Close(); err != nil {
		s.disk.log.WarnContext(context.Background(), "The log does not close", "dir", s.dir, "err", err)
	}
}
