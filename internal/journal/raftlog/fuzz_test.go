package raftlog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"
)

// FuzzSegment reads what may stand in a segment file: it is refused or it is not, and
// what is read has the right numbers.
func FuzzSegment(f *testing.F) {
	path := filepath.Join("testdata", "segment.wal")
	sound, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sound)
	f.Add(sound[:1000])
	f.Add([]byte{})
	torn := bytes.Clone(sound)
	clear(torn[sectorBytes:])
	f.Add(torn)
	info := types.SegmentInfo{BaseIndex: 1, MinIndex: 1, Codec: 1, SizeLimit: 4 << 10}
	f.Fuzz(func(t *testing.T, b []byte) {
		next := uint64(1)
		scan, err := scanSegment(path, b, info, func(l *raft.Log) error {
			if l.Index != next {
				t.Errorf("entry %d follows entry %d", l.Index, next-1)
			}
			next++
			return nil
		})
		var damage *DamageError
		switch {
		case err != nil && !errors.As(err, &damage):
			t.Errorf("got %v", err)
		case err != nil && (damage.Offset < 0 || damage.Offset > int64(len(b))):
			t.Errorf("damage at %d of %d bytes", damage.Offset, len(b))
		case err == nil && (scan.end > len(b) || scan.count != int(next-1) || scan.torn != 0 && scan.torn <= scan.end):
			t.Errorf("got %+v from %d bytes", scan, len(b))
		}
	})
}

// FuzzMeta reads what may stand in a meta file, and writes it again.
func FuzzMeta(f *testing.F) {
	sound, err := encodeMeta(metaState{
		Log:    types.PersistentState{NextSegmentID: 3, Segments: []types.SegmentInfo{{ID: 2, BaseIndex: 9, MinIndex: 10}}},
		Stable: map[string][]byte{"CurrentTerm": {7}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sound)
	f.Add(sound[:len(sound)-1])
	f.Add([]byte(metaMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeMeta("meta", b)
		if err != nil {
			return
		}
		again, err := encodeMeta(s)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decodeMeta("meta", again); err != nil || back.Log.NextSegmentID != s.Log.NextSegmentID || len(back.Log.Segments) != len(s.Log.Segments) {
			t.Errorf("%+v came back as %+v, %v", s, back, err)
		}
	})
}

// FuzzSnapshot reads what may stand in the file of a snapshot.
func FuzzSnapshot(f *testing.F) {
	chunks := [][]byte{[]byte("one"), []byte("two")}
	next := func() ([]byte, error) {
		if len(chunks) == 0 {
			return nil, nil
		}
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	}
	var sound bytes.Buffer
	if err := WriteSnapshot(&sound, SnapshotInfo{Cluster: "c", Entry: 3, Term: 2, Applied: 1}, next); err != nil {
		f.Fatal(err)
	}
	f.Add(sound.Bytes())
	f.Add(sound.Bytes()[:sound.Len()-5])
	f.Add([]byte(snapshotMagic))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, next, err := ReadSnapshot(bytes.NewReader(b))
		for err == nil {
			var chunk []byte
			if chunk, err = next(); chunk == nil {
				return
			}
		}
	})
}
