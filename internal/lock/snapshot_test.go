package lock

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
)

// lively returns a table in which much is going on, and its snapshot.
func lively(tb testing.TB, seed uint64, steps int) (*Table, []byte) {
	tb.Helper()
	x, err := newTrial(seeded(seed).draw)
	for range steps {
		if err == nil {
			err = x.step()
		}
	}
	if err != nil {
		tb.Fatal(err)
	}
	return x.twin, save(x.twin)
}

// save returns a table's snapshot in one piece.
func save(t *Table) []byte {
	s := t.Snapshot()
	var b []byte
	for chunk, ok := s.Next(); ok; chunk, ok = s.Next() {
		b = append(b, chunk...)
	}
	return b
}

func restore(pieces ...[]byte) (*Table, error) {
	r := NewRestorer()
	for _, p := range pieces {
		if err := r.Write(p); err != nil {
			return nil, err
		}
	}
	return r.Table()
}

// TestSnapshotCutAnywhere restores from pieces of every size.
func TestSnapshotCutAnywhere(t *testing.T) {
	table, b := lively(t, 1, 120)
	for size := 1; size < 50; size++ {
		got, err := restore(slices.Collect(slices.Chunk(b, size))...)
		if err != nil {
			t.Fatalf("pieces of %d: %v", size, err)
		}
		if got.Hash() != table.Hash() || pictureOf(got) != pictureOf(table) {
			t.Errorf("pieces of %d: another table", size)
		}
	}
}

// TestSnapshotIsTheSame saves a restored table: the same records come out.
func TestSnapshotIsTheSame(t *testing.T) {
	table, b := lively(t, 2, 120)
	again, err := restore(b)
	if err != nil {
		t.Fatal(err)
	}
	sorted := func(b []byte) [][]byte {
		all := records(t, b)
		all = all[:len(all)-1] // their checksum differs with their order
		slices.SortFunc(all, bytes.Compare)
		return all
	}
	if !slices.EqualFunc(sorted(save(again)), sorted(save(table)), bytes.Equal) {
		t.Error("saved, restored and saved again, the records differ")
	}
}

// TestDamagedSnapshots cuts a snapshot at every byte, flips every bit, and adds to
// its end: none of them is taken.
func TestDamagedSnapshots(t *testing.T) {
	_, b := lively(t, 3, 60)
	for n := range b {
		if _, err := restore(b[:n]); err == nil {
			t.Fatalf("%d of %d bytes are taken for a snapshot", n, len(b))
		}
		for bit := range 8 {
			bad := slices.Clone(b)
			bad[n] ^= 1 << bit
			if _, err := restore(bad); err == nil {
				t.Fatalf("bit %d of byte %d may be flipped", bit, n)
			}
		}
	}
	for _, more := range [][]byte{{recordEnd, 0}, {recordLock, 0}, b} {
		if _, err := restore(b, more); err == nil {
			t.Errorf("%d bytes after the end are overlooked", len(more))
		}
	}
}

// TestContradictorySnapshots changes single bytes of records and makes the
// checksum right again: either the table that comes out is the one that went in,
// or it is refused. None makes the restorer panic.
func TestContradictorySnapshots(t *testing.T) {
	table, b := lively(t, 4, 60)
	all := records(t, b)
	for i, rec := range all[:len(all)-1] {
		_, head := binary.Uvarint(rec[1:])
		for at := 1 + head; at < len(rec); at++ {
			for _, flip := range []byte{0x01, 0x80, 0xff} {
				bad := slices.Clone(rec)
				bad[at] ^= flip
				got, err := restore(stream(slices.Concat(all[:i], [][]byte{bad}, all[i+1:len(all)-1])))
				if err == nil && got.Hash() != table.Hash() {
					t.Fatalf("byte %d of record %d of kind %d may be another", at, i, rec[0])
				}
			}
		}
		without := stream(slices.Concat(all[:i], all[i+1:len(all)-1]))
		if _, err := restore(without); err == nil {
			t.Fatalf("record %d of kind %d may be missing", i, rec[0])
		}
		twice := stream(slices.Concat(all[:i+1], all[i:len(all)-1]))
		if _, err := restore(twice); err == nil {
			t.Fatalf("record %d of kind %d may stand twice", i, rec[0])
		}
	}
}

// records cuts a snapshot into its records.
func records(t testing.TB, b []byte) [][]byte {
	var all [][]byte
	for len(b) > 0 {
		size, n := binary.Uvarint(b[1:])
		whole := 1 + n + int(size)
		if n <= 0 || whole > len(b) {
			t.Fatal("not a snapshot")
		}
		all, b = append(all, b[:whole]), b[whole:]
	}
	return all
}

// stream puts records together and adds the right end.
func stream(records [][]byte) []byte {
	b := bytes.Join(records, nil)
	end := encoder{}
	end.uint(uint64(len(records)))
	end.fixed(uint64(crc32.Checksum(b, castagnoli)))
	out := encoder{b: b}
	out.byte(recordEnd)
	out.bytes(end.b)
	return out.b
}

// TestRestorerSaysWhatIsWrong wants errors that help.
func TestRestorerSaysWhatIsWrong(t *testing.T) {
	_, b := lively(t, 5, 40)
	all := records(t, b)
	body := all[:len(all)-1]
	head := func(change func(e *encoder)) []byte {
		e := encoder{}
		change(&e)
		out := encoder{}
		out.byte(recordHead)
		out.bytes(e.b)
		return out.b
	}
	for _, test := range []struct {
		name, want string
		b          []byte
	}{
		{"nothing", "ends early", nil},
		{"no snapshot", "not a snapshot", stream([][]byte{{recordLock, 0}})},
		{"another file", "not a snapshot", stream([][]byte{head(func(e *encoder) { e.text("something") })})},
		{"format 4", "up to 3: use a newer version", stream([][]byte{head(func(e *encoder) { e.text(snapshotMagic); e.uint(4) })})},
		{"a kind from the future", "unknown kind 77", stream([][]byte{all[0], {77, 0}})},
		{"a record that is too long", "longer than the limit", []byte{recordHead, 0xff, 0xff, 0xff, 0x7f}},
		{"a record less", "records", slices.Concat(bytes.Join(body[:len(body)-1], nil), all[len(all)-1])},
		{"a bit flipped", "checksum", func() []byte {
			bad := slices.Clone(b)
			bad[len(bad)-20] ^= 1
			return bad
		}()},
		{"two heads", "head", stream(slices.Concat(body[:1], body))},
		{"slots of nobody", "belong to no session", stream([][]byte{all[0], {recordSlots, 2, 99, 0}})},
	} {
		_, err := restore(test.b)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want one with %q", test.name, err, test.want)
		}
	}
}

// TestSnapshotTakenOver begins a second view while the first is read: the first
// ends without its end, and cannot be taken for a whole one.
func TestSnapshotTakenOver(t *testing.T) {
	table, _ := lively(t, 6, 60)
	first := table.Snapshot()
	first.rows = 1
	first.advance()
	second := table.Snapshot()
	r := NewRestorer()
	for chunk, ok := first.Next(); ok; chunk, ok = first.Next() {
		if err := r.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Table(); err == nil {
		t.Error("a view that was taken over ended as if it were whole")
	}
	var b []byte
	for chunk, ok := second.Next(); ok; chunk, ok = second.Next() {
		b = append(b, chunk...)
	}
	if got, err := restore(b); err != nil || got.Hash() != table.Hash() {
		t.Errorf("the second view is not whole: %v", err)
	}
}

// TestSnapshotClosed closes a view early: it has no more chunks, and the table
// saves nothing for it.
func TestSnapshotClosed(t *testing.T) {
	table, _ := lively(t, 7, 60)
	s := table.Snapshot()
	s.Close()
	s.Close()
	if table.snapshot != nil {
		t.Error("the table goes on saving for a view that was closed")
	}
	if chunk, ok := s.Next(); ok {
		t.Errorf("a view that was closed goes on for %d bytes", len(chunk))
	}
}

// TestSnapshotInChunks reads a table that takes many chunks, none much larger than
// said, while all of it changes.
func TestSnapshotInChunks(t *testing.T) {
	table, n, at := attached(t)
	name := func(i int) string { return strings.Repeat("x", 100) + itoa(i) }
	for i := range 3000 {
		one(table, &Acquire{
			Caller: Caller{Session: n, Attach: at, Slot: uint32(i), Seq: 1}, Items: []Item{{Name: name(i)}},
			Key: Key{1, byte(i), byte(i >> 8)},
		})
	}
	want, hash := pictureOf(table), table.Hash()
	s, r, chunks := table.Snapshot(), NewRestorer(), 0
	for chunk, ok := s.Next(); ok; chunk, ok = s.Next() {
		if len(chunk) > 4*chunkBytes && chunks > 0 {
			t.Errorf("a chunk of %d bytes", len(chunk))
		}
		if err := r.Write(chunk); err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			one(table, &Release{Caller: Caller{Session: n, Attach: at}, Hold: Hold{Name: name(2999 - 300*chunks - i), Token: Token(3000 - 300*chunks - i)}})
		}
		chunks++
	}
	got, err := r.Table()
	if err != nil {
		t.Fatal(err)
	}
	if chunks < 5 || got.Hash() != hash || pictureOf(got) != want {
		t.Errorf("after %d chunks another table was restored", chunks)
	}
	if table.Counts().Holds == 3000 {
		t.Error("nothing changed meanwhile")
	}
}
