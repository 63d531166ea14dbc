package raftlog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// metaFile is what the log knows about its segment files, and what raft must
// remember: its term and its vote. It is small, and replaced as a whole:
//
//	+----------+---------+--------+------+--------+
//	| LDLMmeta | version | length | JSON | crc32c |   8, 4, 4, length and 4 bytes
//	+----------+---------+--------+------+--------+
//
// The checksum covers everything before it. It implements types.MetaStore.
type metaFile struct {
	disk  *disk
	path  string
	spare spare

	mu    sync.Mutex
	state metaState
}

type metaState struct {
	Log    types.PersistentState
	Stable map[string][]byte
}

// metaJSON is a metaState as it stands in the file.
type metaJSON struct {
	NextSegment uint64            `json:"next_segment"`
	Segments    []segmentJSON     `json:"segments"`
	Stable      map[string][]byte `json:"stable"`
}

// segmentJSON is a segment. MaxIndex, IndexStart and Sealed are zero for the last one.
type segmentJSON struct {
	ID         uint64    `json:"id"`
	BaseIndex  uint64    `json:"base_index"`
	MinIndex   uint64    `json:"min_index"`
	MaxIndex   uint64    `json:"max_index"`
	Codec      uint64    `json:"codec"`
	IndexStart uint64    `json:"index_start"`
	SizeLimit  uint32    `json:"size_limit"`
	Created    time.Time `json:"created"`
	Sealed     time.Time `json:"sealed"`
}

func (s *metaState) toJSON() *metaJSON {
	j := &metaJSON{NextSegment: s.Log.NextSegmentID, Stable: s.Stable}
	for _, i := range s.Log.Segments {
		j.Segments = append(j.Segments, segmentJSON{
			i.ID, i.BaseIndex, i.MinIndex, i.MaxIndex, i.Codec, i.IndexStart, i.SizeLimit, i.CreateTime, i.SealTime,
		})
	}
	return j
}

func (j *metaJSON) state() metaState {
	s := metaState{Log: types.PersistentState{NextSegmentID: j.NextSegment}, Stable: j.Stable}
	for _, i := range j.Segments {
		s.Log.Segments = append(s.Log.Segments, types.SegmentInfo{
			ID: i.ID, BaseIndex: i.BaseIndex, MinIndex: i.MinIndex, MaxIndex: i.MaxIndex, Codec: i.Codec,
			IndexStart: i.IndexStart, CreateTime: i.Created, SealTime: i.Sealed, SizeLimit: i.SizeLimit,
		})
	}
	if s.Stable == nil {
		s.Stable = map[string][]byte{}
	}
	return s
}

const (
	metaMagic   = "LDLMmeta"
	metaVersion = 1
	metaHead    = 16
)

func openMeta(d *disk, dir string) (*metaFile, error) {
	m := &metaFile{disk: d, path: filepath.Join(dir, "meta"), state: metaState{Stable: map[string][]byte{}}}
	content, err := os.ReadFile(m.path)
	if err != nil {
		return nil, err
	}
	m.state, err = decodeMeta(m.path, content)
	return m, err
}

// createMeta makes the meta file of a log that is being born.
func createMeta(d *disk, dir string) error {
	m := &metaFile{disk: d, path: filepath.Join(dir, "meta"), state: metaState{Stable: map[string][]byte{}}}
	return m.write(m.state)
}

func encodeMeta(s metaState) ([]byte, error) {
	text, err := json.Marshal(s.toJSON())
	if err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint32([]byte(metaMagic), metaVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = append(b, text...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

func decodeMeta(path string, b []byte) (metaState, error) {
	var s metaState
	var j metaJSON
	switch {
	case len(b) < metaHead+4:
		return s, damaged(path, len(b), "the file ends early")
	case string(b[:8]) != metaMagic:
		return s, damaged(path, 0, "it does not begin with %q", metaMagic)
	}
	text := b[metaHead : len(b)-4]
	if binary.LittleEndian.Uint32(b[len(b)-4:]) != crc32.Checksum(b[:len(b)-4], castagnoli) ||
		uint64(binary.LittleEndian.Uint32(b[12:])) != uint64(len(text)) {
		return s, damaged(path, metaHead, "the checksum does not match")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != metaVersion {
		return s, fmt.Errorf("%s is of version %d, this program reads version %d: use a newer one", path, v, metaVersion)
	}
	if err := json.Unmarshal(text, &j); err != nil {
		return s, damaged(path, metaHead, "%v", err)
	}
	return j.state(), nil
}

// write makes a state durable and takes it over.
func (m *metaFile) write(s metaState) error {
	b, err := encodeMeta(s)
	if err != nil {
		return err
	}
	if err := m.disk.replaceFile(m.path, b); err != nil {
		return err
	}
	m.state = s
	return nil
}

// Load implements types.MetaStore.
func (m *metaFile) Load(string) (types.PersistentState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Log, nil
}

// CommitState implements types.MetaStore. A segment file is made before it is
// listed, so that one that is listed and missing was lost.
func (m *metaFile) CommitState(log types.PersistentState) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, info := range log.Segments {
		path := filepath.Join(filepath.Dir(m.path), segment.FileName(info))
		if _, err := os.Stat(path); !info.SealTime.IsZero() || !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := m.createSegment(path, int64(info.SizeLimit)); err != nil {
			return err
		}
	}
	return m.write(metaState{Log: log, Stable: m.state.Stable})
}

// GetStable implements types.MetaStore.
func (m *metaFile) GetStable(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.state.Stable[string(key)]), nil
}

// SetStable implements types.MetaStore.
func (m *metaFile) SetStable(key, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	stable := maps.Clone(m.state.Stable)
	stable[string(key)] = bytes.Clone(value)
	return m.write(metaState{Log: m.state.Log, Stable: stable})
}

// Close implements types.MetaStore.
func (*metaFile) Close() error { return nil }

// tailMissing says that the segment file that is written to has no name any more, nil
// if it has. A file is made before it is listed, and deleted after it is not.
func (m *metaFile) tailMissing() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.state.Log.Segments)
	if n == 0 {
		return nil
	}
	path := filepath.Join(filepath.Dir(m.path), segment.FileName(m.state.Log.Segments[n-1]))
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s was moved or deleted while it is written to: put it back", path)
	}
	return nil
}

// segments returns what is known about the segment files.
func (m *metaFile) segments() []types.SegmentInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Log.Segments
}
