package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// written makes a small directory: a snapshot, and a log with some entries behind
// it. Its segment file has one page.
func written(t *testing.T, n int) (dir string, lines []string) {
	t.Helper()
	dir = fastDir(t)
	c := tiny(dir)
	j := mustBegin(t, c, &tape{})
	for i := range n {
		lines = append(lines, fmt.Sprintf("line %d", i))
	}
	if _, err := write(j, lines[:n/2]); err != nil {
		t.Fatal(err)
	}
	if err := j.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := write(j, lines[n/2:]); err != nil {
		t.Fatal(err)
	}
	j.crash() // no snapshot of the end
	return dir, lines
}

// tiny is small with segment files of one page.
func tiny(dir string) Config {
	c := small(dir)
	c.SegmentBytes = 4 << 10
	return c
}

// tailOf returns the newest segment file.
func tailOf(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "log", "*.wal"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no segment files: %v", err)
	}
	return slices.Max(paths)
}

// sameOrRefused is the whole promise: a directory that was changed behind our back
// has the same acknowledged state, or is refused with the file and the place.
func sameOrRefused(dir, changed string, lines []string) error {
	had, err := survives(tiny(dir), lines, len(lines))
	if err == nil {
		return nil
	}
	var damage *DamageError
	if !errors.As(err, &damage) {
		return fmt.Errorf("neither: %w (%d lines are there)", err, len(had))
	}
	if damage.Path != changed {
		return fmt.Errorf("it says that %s is damaged", damage.Path)
	}
	return nil
}

// Every byte of every file is flipped, in ways that matter.
func TestFlippedBytes(t *testing.T) {
	dir, lines := written(t, 12)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "lock" {
			return err
		}
		t.Run(e.Name(), func(t *testing.T) { flipAll(t, dir, path, 0, lines) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// flipAll flips every byte of a file from one on; of the zeros at its end some.
func flipAll(t *testing.T, dir, path string, from int, lines []string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(content, "\x00")) + 64
	here := fastDir(t)
	name, _ := strings.CutPrefix(path, dir)
	changed := filepath.Join(here, name)
	for at := from; at < len(content); at++ {
		if at > used && at%61 != 0 && !slow() {
			continue
		}
		flips := []byte{0xff, content[at] ^ frameEntry}
		if slow() {
			flips = append(flips, 0x01, 0x80, content[at]^frameIndex, content[at]^frameCommit)
		}
		for _, flip := range flips {
			if flip == 0 {
				continue
			}
			_ = os.RemoveAll(here) // copyDir notices if it is still there
			copyDir(t, dir, here)
			bad := bytes.Clone(content)
			bad[at] ^= flip
			if err := os.WriteFile(changed, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := sameOrRefused(here, changed, lines); err != nil {
				t.Errorf("byte %d (%#x) flipped by %#x: %v", at, content[at], flip, err)
			}
		}
	}
}

// The newest segment file is cut at every byte of its last records, and every file
// is lost.
func TestCutFiles(t *testing.T) {
	dir, lines := written(t, 12)
	tail := tailOf(t, dir)
	content, err := os.ReadFile(tail)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(content, "\x00"))
	for size := range content {
		if (size < used/2 || size > used+64) && size%31 != 0 && !slow() {
			continue
		}
		here := fastDir(t)
		copyDir(t, dir, here)
		changed := filepath.Join(here, "log", filepath.Base(tail))
		if err := os.Truncate(changed, int64(size)); err != nil {
			t.Fatal(err)
		}
		_, err := Open(tiny(here), &tape{})
		var damage *DamageError
		if !errors.As(err, &damage) || damage.Path != changed {
			t.Fatalf("cut at byte %d: %v", size, err)
		}
		_ = os.RemoveAll(here) // there are thousands of them
	}
	for _, name := range []string{"log/meta", "log/" + filepath.Base(tail), "identity"} {
		here := fastDir(t)
		copyDir(t, dir, here)
		if err := os.Remove(filepath.Join(here, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := survives(tiny(here), lines, len(lines)); err == nil {
			t.Errorf("without %s it starts", name)
		}
	}
}

// The last record ends where a sector ends, which is how a write looks that was cut
// short: it is told from one all the same.
func TestFlippedBytesAtTheEndOfASector(t *testing.T) {
	for pad := 0; pad < sectorBytes; pad += frameHead {
		dir, lines := written(t, 12)
		lines = append(lines, strings.Repeat("z", pad))
		j := mustBegin(t, tiny(dir), &tape{})
		if _, err := write(j, lines[12:]); err != nil {
			t.Fatal(err)
		}
		j.crash()
		path := tailOf(t, dir)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if (len(bytes.TrimRight(content, "\x00"))+7)&^7%sectorBytes == 0 {
			flipAll(t, dir, path, len(bytes.TrimRight(content, "\x00"))-pad, lines)
			return
		}
	}
	t.Error("no length makes a record end with a sector")
}

// A sector of old data reads as zeros.
func TestLostSector(t *testing.T) {
	dir, lines := written(t, 40)
	path := tailOf(t, dir)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := len(bytes.TrimRight(content, "\x00"))
	for at := 0; at+sectorBytes < end; at += sectorBytes {
		lost := bytes.Clone(content)
		clear(lost[at : at+sectorBytes])
		here := fastDir(t)
		copyDir(t, dir, here)
		changed := filepath.Join(here, "log", filepath.Base(path))
		if err := os.WriteFile(changed, lost, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := survives(tiny(here), lines, len(lines))
		var damage *DamageError
		if !errors.As(err, &damage) || damage.Path != changed {
			t.Errorf("sector at %d: %v", at, err)
		}
	}
}

// The last write is torn: of its sectors, only some have reached the disk. Nobody
// was told that it had happened, so it has not, unless all of it is there. The
// longest fill the segment file.
func TestTornWrites(t *testing.T) {
	for _, size := range []int{10, 300, 500, 900, 1700, 2900} {
		t.Run(fmt.Sprint(size), func(t *testing.T) { tearAll(t, size) })
	}
}

func tearAll(t *testing.T, size int) {
	origin, lines := written(t, 12)
	next := strings.Repeat("y", size)
	j := mustBegin(t, tiny(origin), &tape{}) // which writes a little, too
	dir := fastDir(t)
	copyDir(t, origin, dir)
	path := tailOf(t, origin)
	name := filepath.Join("log", filepath.Base(path))
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write(j, []string{next}); err != nil {
		t.Fatal(err)
	}
	j.crash()
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before = append(before, make([]byte, len(after)-len(before))...)
	var sectors []int
	for at := 0; at < len(after); at += sectorBytes {
		if end := min(len(after), at+sectorBytes); !bytes.Equal(before[at:end], after[at:end]) {
			sectors = append(sectors, at)
		}
	}
	all := append(slices.Clone(lines), next)
	for some := range 1 << len(sectors) {
		torn := bytes.Clone(after)
		for i, at := range sectors {
			if some&(1<<i) == 0 {
				copy(torn[at:min(len(torn), at+sectorBytes)], before[at:])
			}
		}
		here := fastDir(t)
		copyDir(t, dir, here)
		if err := os.WriteFile(filepath.Join(here, name), torn, 0o600); err != nil {
			t.Fatal(err)
		}
		want := len(lines)
		if some == 1<<len(sectors)-1 {
			want++
		}
		had, err := survives(tiny(here), all, len(lines))
		if err != nil || len(had) != want {
			t.Errorf("sectors %b of %d: %v, %d lines, want %d", some, len(sectors), err, len(had), want)
			continue
		}
		// It goes on where it ended.
		if _, err := life(tiny(here), texts(9)); err != nil {
			t.Errorf("sectors %b of %d: it does not go on: %v", some, len(sectors), err)
		}
	}
}
