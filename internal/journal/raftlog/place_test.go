package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// tailSegment is the newest segment file of a directory, what is known of it, and its batches.
type tailSegment struct {
	path    string
	info    types.SegmentInfo
	content []byte
	batches []frames
	begins  []int // where each of the batches does
}

func readTail(t *testing.T, dir string) tailSegment {
	t.Helper()
	meta, err := openMeta(newDisk(nil, 0, nil), filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	all := meta.segments()
	s := tailSegment{info: all[len(all)-1]}
	s.path = filepath.Join(dir, "log", segment.FileName(s.info))
	if s.content, err = os.ReadFile(s.path); err != nil {
		t.Fatal(err)
	}
	for at := 0; ; {
		f, ok := readFrames(s.content, at)
		if !ok {
			break
		}
		s.batches, s.begins = append(s.batches, f), append(s.begins, at)
		at = f.end
	}
	if len(s.batches) < 3 {
		t.Fatalf("%s has %d batches, too few", s.path, len(s.batches))
	}
	return s
}

// damagedAt expects that a segment file is refused, and that the damage is said to begin there.
func (s *tailSegment) damagedAt(t *testing.T, what string, b []byte, want int) {
	t.Helper()
	_, err := scanSegment(s.path, b, s.info, nil)
	var damage *DamageError
	if !errors.As(err, &damage) || damage.Path != s.path || damage.Offset != int64(want) {
		t.Errorf("%s: got %v, want damage at byte %d", what, err, want)
	}
}

// Damage in a segment file is said to be where the write begins that has it.
func TestDamageInASegmentNamesItsPlace(t *testing.T) {
	dir, _ := written(t, 12)
	s := readTail(t, dir)
	for i, f := range s.batches {
		for at := s.begins[i]; at < f.end; at++ {
			if at > f.end-frameHead && at < f.end-4 {
				continue // reserved in a commit, and read by nobody
			}
			bad := bytes.Clone(s.content)
			bad[at] ^= 0x10
			s.damagedAt(t, "a byte is flipped", bad, s.begins[i])
		}
	}
	for _, size := range []int{0, s.batches[1].end, len(s.content) - 1} {
		s.damagedAt(t, "the file was cut", s.content[:size], size)
	}
}

// A record that is sound, but that of another entry, is not taken for the one whose place it
// stands in, and the place is named.
func TestRecordInTheWrongPlace(t *testing.T) {
	dir, _ := written(t, 12)
	s := readTail(t, dir)
	from, f := s.begins[1], s.batches[1]
	at := f.entries[0]
	// raft-wal's index, term, type and length are a byte each, and the record follows.
	const index, term, kind, record = frameHead, frameHead + 1, frameHead + 2, frameHead + 4
	for what, change := range map[string]func(frame []byte){
		"raft-wal's index": func(b []byte) { b[index]++ },
		"raft-wal's term":  func(b []byte) { b[term]++ },
		"raft-wal's type":  func(b []byte) { b[kind]++ },
		"the record's index": func(b []byte) {
			b[record+recordHead]++
			sumRecord(b[record:])
		},
		"the index of both": func(b []byte) {
			b[index]++
			b[record+recordHead]++
			sumRecord(b[record:])
		},
	} {
		bad := bytes.Clone(s.content)
		change(bad[at : at+frameHead+int(binary.LittleEndian.Uint32(bad[at+4:]))])
		commit := f.end - frameHead
		binary.LittleEndian.PutUint32(bad[commit+4:], crc32.Checksum(bad[from:commit], castagnoli))
		s.damagedAt(t, what, bad, at)
	}
}

// sumRecord gives a record that stands at the beginning of b the checksum that it should have.
// raft-wal has something of its own behind it, whose length is that of a time.
func sumRecord(b []byte) {
	const behind = 1 // no time
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:len(b)-behind], castagnoli))
}

// otherEntries is a log that has another entry in each place.
type otherEntries struct{ walStore }

func (otherEntries) GetLog(index uint64, l *raft.Log) error {
	*l = *encodeRecord(&raft.Log{Index: index + 1, Term: 1, Data: []byte("x")})
	return nil
}

// An entry of the log that is another one than was asked for is not taken for it, and the file
// is named.
func TestEntryInTheWrongPlace(t *testing.T) {
	j := mustBegin(t, small(fastDir(t)), &tape{})
	defer mustClose(t, j)
	s := &store{wal: otherEntries{j.store.wal}, disk: newDisk(j.log, 0, nil), meta: j.store.meta, dir: j.store.dir}
	var l raft.Log
	err := s.GetLog(2, &l)
	if !errors.Is(err, journal.ErrFatal) || !strings.Contains(err.Error(), "entry 2 from "+tailOf(t, j.cfg.Dir)) {
		t.Errorf("got %v", err)
	}
}

// The file that an entry stands in is the one that begins with it, or before it.
func TestSegmentOfAnEntry(t *testing.T) {
	segments := []types.SegmentInfo{{ID: 1, BaseIndex: 1}, {ID: 2, BaseIndex: 9}}
	for index, want := range map[uint64]int{1: 0, 8: 0, 9: 1, 10: 1} {
		if got := segmentOf("log", segments, index); got != filepath.Join("log", segment.FileName(segments[want])) {
			t.Errorf("entry %d is said to be in %s", index, got)
		}
	}
}

// Damage in a snapshot is said to be in its head, or where the chunk begins that has it.
func TestDamageInASnapshotNamesItsPlace(t *testing.T) {
	dir, _ := written(t, 12)
	d, err := openDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	s := newSnapshots(newDisk(nil, 0, nil), d)
	paths, err := s.list()
	if err != nil || len(paths) != 1 {
		t.Fatalf("%d snapshots: %v", len(paths), err)
	}
	content, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	_, head, err := readSnapshotHead(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	want, next := 0, int(head)
	for at := range content {
		if at == next {
			want, next = at, at+chunkHead+int(binary.LittleEndian.Uint32(content[at:]))
		}
		bad := bytes.Clone(content)
		bad[at] ^= 0x10
		if err := os.WriteFile(paths[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.examine(nil)
		var damage *DamageError
		if !errors.As(err, &damage) || damage.Path != paths[0] || damage.Offset != int64(want) {
			t.Errorf("byte %d is flipped: got %v, want damage at byte %d", at, err, want)
		}
	}
	if want <= int(head) {
		t.Error("the snapshot has one chunk")
	}
}

// What follows the end of a snapshot does not belong to it.
func TestSnapshotThatGoesOn(t *testing.T) {
	var file bytes.Buffer
	if err := WriteSnapshot(&file, SnapshotInfo{Entry: 7, Term: 3}, func() ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	file.WriteByte(0)
	_, next, err := ReadSnapshot(&file)
	if err == nil {
		_, err = next()
	}
	if err == nil || !strings.Contains(err.Error(), "goes on after its end") {
		t.Errorf("got %v", err)
	}
}

// hasty is a machine that does not read a snapshot to its end.
type hasty struct{ *tape }

func (hasty) Restore(next func() ([]byte, error)) error {
	_, err := next()
	return err
}

// A snapshot counts when it was read to its end: before that it may have been cut.
func TestSnapshotThatIsNotReadToItsEnd(t *testing.T) {
	j := mustBegin(t, small(fastDir(t)), &tape{})
	defer mustClose(t, j)
	if err := j.Propose(t.Context(), line("x")); err != nil {
		t.Fatal(err)
	}
	if err := j.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	metas, err := j.snapshots.List()
	if err != nil || len(metas) != 1 {
		t.Fatalf("%d snapshots: %v", len(metas), err)
	}
	_, r, err := j.snapshots.Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // it was only read
	f := &fsm{journal: j, machine: hasty{&tape{}}}
	if err := f.Restore(r); err == nil || f.applied != 0 {
		t.Errorf("got %v, entry %d", err, f.applied)
	}
}

// sealedSegment makes a directory with a segment file that is full, and returns what is known
// of that.
func sealedSegment(t *testing.T) (dir string, info types.SegmentInfo) {
	t.Helper()
	c := tiny(fastDir(t))
	j := mustBegin(t, c, &tape{})
	for len(j.store.meta.segments()) == 1 {
		if _, err := write(j, []string{strings.Repeat("x", 300)}); err != nil {
			t.Fatal(err)
		}
	}
	info = j.store.meta.segments()[0]
	j.crash()
	if info.SealTime.IsZero() || info.MaxIndex < 5 {
		t.Fatalf("the first segment file is not full: %+v", info)
	}
	return filepath.Join(c.Dir, "log"), info
}

// A file that is full has as many entries as is known of it, and the list of them where it is
// known to be; one that has fewer has lost its end.
func TestSealedSegmentHasItsEntries(t *testing.T) {
	dir, info := sealedSegment(t)
	if _, err := examineSegment(nil, dir, info, false, false, nil); err != nil {
		t.Fatal(err)
	}
	more, elsewhere := info, info
	more.MaxIndex++
	elsewhere.IndexStart += frameHead
	for _, wrong := range []types.SegmentInfo{more, elsewhere} {
		scan, err := examineSegment(nil, dir, wrong, false, false, nil)
		var damage *DamageError
		if !errors.As(err, &damage) || damage.Offset != int64(scan.end) || scan.end == 0 {
			t.Errorf("entries up to %d, list at %d: got %v", wrong.MaxIndex, wrong.IndexStart, err)
		}
	}
}

// Entries that were cut off are no part of the log, also while they stand in a file.
func TestEntriesThatWereCutOff(t *testing.T) {
	dir, info := sealedSegment(t)
	info.MinIndex += 2
	info.MaxIndex--
	next := info.MinIndex
	_, err := examineSegment(nil, dir, info, false, false, func(l *raft.Log) error {
		if l.Index != next {
			t.Errorf("entry %d comes instead of %d", l.Index, next)
		}
		next = l.Index + 1
		return nil
	})
	if err != nil || next != info.MaxIndex+1 {
		t.Errorf("entries up to %d, want %d: %v", next-1, info.MaxIndex, err)
	}
}

// After a file that is full comes one that begins behind it, with a number of its own.
func TestSuccessorOfASegment(t *testing.T) {
	full := types.SegmentInfo{ID: 3, BaseIndex: 10, MinIndex: 12, Codec: 1, SizeLimit: 4096}
	s := changeSegment(types.PersistentState{NextSegmentID: 7, Segments: []types.SegmentInfo{full}}, segmentScan{count: 5, indexStart: 800})
	if s.NextSegmentID != 8 || len(s.Segments) != 2 {
		t.Fatalf("got %+v", s)
	}
	if f := s.Segments[0]; f.SealTime.IsZero() || f.MinIndex != 12 || f.MaxIndex != 14 || f.IndexStart != 800 {
		t.Errorf("the full one is %+v", f)
	}
	if n := s.Segments[1]; n.ID != 7 || n.BaseIndex != 15 || n.MinIndex != 15 || n.MaxIndex != 0 || n.Codec != 1 || n.SizeLimit != 4096 || !n.SealTime.IsZero() {
		t.Errorf("the next one is %+v", n)
	}
}
