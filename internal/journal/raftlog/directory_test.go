package raftlog

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// refusedWith opens a directory that must be refused with an error that says all of this.
func refusedWith(t *testing.T, c Config, says ...string) {
	t.Helper()
	j, err := Open(c, &tape{})
	if err == nil {
		mustClose(t, j)
		t.Fatalf("it opens; want a refusal that says %q", says)
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("it says %q, without %q", err, text)
		}
	}
}

func TestDirectoryIsMadeForItsOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	mustClose(t, mustBegin(t, small(dir), &tape{}))
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing here")
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestDirectoryOfSomebodyElse(t *testing.T) {
	dir := fastDir(t)
	c := small(dir)
	c.Member, c.Cluster = "a", "0123"
	mustClose(t, mustBegin(t, c, &tape{}))

	other := c
	other.Member = "b"
	refusedWith(t, other, dir, `belongs to member "a"`, `this is member "b"`, "member_name, cluster_listen_address", "name another directory")
	other = c
	other.Cluster = "4567"
	refusedWith(t, other, dir, "cluster 0123", "4567", "name another directory")
	mustClose(t, mustBegin(t, c, &tape{}))
}

func TestDirectoryOfANewerVersion(t *testing.T) {
	dir := fastDir(t)
	mustClose(t, mustBegin(t, small(dir), &tape{}))
	d := &directory{path: dir}
	if err := d.readIdentity(); err != nil {
		t.Fatal(err)
	}
	d.Format = directoryFormat + 1
	if err := d.writeIdentity(newDisk(logOf(&bytes.Buffer{}), 1e9, nil)); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, small(dir), dir, "format 2", "newer version")
}

func TestDirectoryInUse(t *testing.T) {
	dir := fastDir(t)
	j := mustBegin(t, small(dir), &tape{})
	refusedWith(t, small(dir), dir, "another process uses it", "process ", "name another directory")
	if _, err := Open(small(dir), &tape{}); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
	if n, err := write(j, texts(3)); err != nil {
		t.Errorf("the one that has it: %d lines, %v", n, err)
	}
	mustClose(t, j)
	mustClose(t, mustBegin(t, small(dir), &tape{}))
}

// Where a directory cannot be locked itself, the file in it still is.
func TestLockFileInUse(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if locked, err := lockFile(f); err != nil || !locked {
		t.Fatalf("locked: %v, %v", locked, err)
	}
	refusedWith(t, small(dir), dir, ErrInUse.Error())
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, mustBegin(t, small(dir), &tape{}))
}

func TestDirectoryWithOtherFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, small(dir), dir, "thesis.txt", "empty directory")
	if b, err := os.ReadFile(filepath.Join(dir, "thesis.txt")); err != nil || string(b) != "years of work" {
		t.Errorf("the file is %q, %v", b, err)
	}
}

func TestDirectoryThatIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, small(path), path, "is a file", "name a directory")
}

func TestDirectoryWithoutRights(t *testing.T) {
	if os.Getuid() <= 0 {
		t.Skip("root, or a system without users, may write everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, small(dir), dir, "permission denied", "name another one")
}

func TestDirectoryOnAReadOnlyFileSystem(t *testing.T) {
	if _, err := os.Stat("/proc/version"); err != nil {
		t.Skip("no file system here that cannot be written to")
	}
	refusedWith(t, small("/proc/ldlm"), "/proc/ldlm", "name another one")
}

// Whoever can read the directory can release every lock.
func TestWarnsOfADirectoryThatIsOpen(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing here")
	}
	dir := fastDir(t)
	var said bytes.Buffer
	c := small(dir)
	c.Logger = logOf(&said)
	mustClose(t, mustBegin(t, c, &tape{}))
	if strings.Contains(said.String(), "chmod") {
		t.Errorf("it warns of its own directory: %s", &said)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	mustClose(t, mustBegin(t, c, &tape{}))
	if !strings.Contains(said.String(), "chmod 700 "+dir) {
		t.Errorf("no warning in %s", &said)
	}
}

// What came back from a backup is the whole state, under the next numbers, and goes on.
func TestRestore(t *testing.T) {
	c := small(fastDir(t))
	m := &tape{}
	j := mustBegin(t, c, m)
	lines := texts(20)
	if _, err := write(j, lines); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := j.SaveSnapshot(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)

	info, next, err := ReadSnapshot(&file)
	if err != nil || info.Applied != 20 || info.Cluster != j.dir.Cluster || len(info.Members) != 1 {
		t.Fatalf("read: %+v, %v", info, err)
	}
	restored := small(fastDir(t))
	if err := Restore(restored, info, next); err != nil {
		t.Fatal(err)
	}
	back := &tape{}
	j = mustBegin(t, restored, back)
	if !slices.Equal(back.contents(), lines) || back.now != m.now {
		t.Errorf("%d lines are back, time %d instead of %d", len(back.lines), back.now, m.now)
	}
	if _, err := write(j, []string{"more"}); err != nil || back.last.Index != 21 {
		t.Errorf("it goes on with entry %d: %v", back.last.Index, err)
	}
	j.crash()
	if _, err := survives(restored, append(lines, "more"), 21); err != nil {
		t.Error(err)
	}
	if err := Restore(restored, info, next); err == nil || !strings.Contains(err.Error(), restored.Dir) {
		t.Errorf("over what is there: %v", err)
	}
}

// A snapshot that was damaged restores nothing, and the directory can be restored
// into afterwards.
func TestRestoreOfDamage(t *testing.T) {
	var file bytes.Buffer
	rest := [][]byte{make([]byte, 8), []byte("line")}
	next := func() ([]byte, error) {
		if len(rest) == 0 {
			return nil, nil
		}
		chunk := rest[0]
		rest = rest[1:]
		return chunk, nil
	}
	if err := WriteSnapshot(&file, SnapshotInfo{Entry: 7, Term: 3, Applied: 5}, next); err != nil {
		t.Fatal(err)
	}
	c := small(fastDir(t))
	for at := range file.Bytes() {
		bad := bytes.Clone(file.Bytes())
		bad[at] ^= 0x10
		info, next, err := ReadSnapshot(bytes.NewReader(bad))
		if err == nil {
			err = Restore(c, info, next)
		}
		if err == nil {
			t.Fatalf("byte %d is flipped, and it is restored", at)
		}
	}
	for size := range file.Len() {
		info, next, err := ReadSnapshot(bytes.NewReader(file.Bytes()[:size]))
		if err == nil {
			err = Restore(c, info, next)
		}
		if err == nil {
			t.Fatalf("cut at byte %d, and it is restored", size)
		}
	}
	info, next, err := ReadSnapshot(&file)
	if err == nil {
		err = Restore(c, info, next)
	}
	if err != nil {
		t.Fatal(err)
	}
	if had, err := survives(c, []string{"line"}, 1); err != nil {
		t.Errorf("%q, %v", had, err)
	}
}

func TestDump(t *testing.T) {
	dir, lines := written(t, 12)
	var whose string
	var inSnapshot, inLog []string
	var entries []uint64
	err := Dump(dir, Contents{
		Identity: func(cluster, member string, format int) error {
			whose = member
			return nil
		},
		Snapshot: func(path string, info SnapshotInfo, next func() ([]byte, error)) error {
			m := &tape{}
			err := m.Restore(next)
			inSnapshot = m.lines
			return err
		},
		Entry: func(e Entry) error {
			entries = append(entries, e.Index)
			for _, b := range e.Batches {
				inLog = append(inLog, string(b))
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if whose != "local" || !slices.Equal(inSnapshot, lines[:6]) || !slices.Equal(inLog[len(inLog)-6:], lines[6:]) {
		t.Errorf("member %q, snapshot %q, log %q", whose, inSnapshot, inLog)
	}
	for i := range entries {
		if entries[i] != entries[0]+uint64(i) {
			t.Errorf("entries %v", entries)
		}
	}
	j := mustBegin(t, tiny(dir), &tape{})
	if err := Dump(dir, Contents{}); !errors.Is(err, ErrInUse) {
		t.Errorf("while it is in use: %v", err)
	}
	mustClose(t, j)
	if err := Dump(filepath.Join(dir, "nowhere"), Contents{}); !os.IsNotExist(err) {
		t.Errorf("of nothing: %v", err)
	}
}

// The lock file can be deleted while a process uses the directory. Another one is
// refused nevertheless.
func TestDirectoryWithoutItsLockFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be deleted here")
	}
	dir := fastDir(t)
	j := mustBegin(t, small(dir), &tape{})
	defer mustClose(t, j)
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, small(dir), dir, ErrInUse.Error())
}

// Files that are taken away while they are used can still be written to, but what is
// written is lost: the journal ends.
func TestFilesTakenAway(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files that are open cannot be moved here")
	}
	segments := func(dir string) string { return filepath.Join(dir, "log") + "/*.wal" }
	for what, take := range map[string]func(dir string) error{
		"the directory was moved":    func(dir string) error { return os.Rename(dir, dir+".moved") },
		"the directory is another":   func(dir string) error { return errors.Join(os.Rename(dir, dir+".moved"), os.Mkdir(dir, 0o700)) },
		"the segment was moved away": func(dir string) error { return moveAll(segments(dir), dir+".moved") },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := filepath.Join(fastDir(t), "data")
				j := mustBegin(t, small(dir), &tape{})
				<-time.After(3 * spaceEvery)
				if _, err := write(j, texts(1)); err != nil {
					t.Errorf("before: %v", err)
				}
				if err := take(dir); err != nil {
					t.Fatal(err)
				}
				<-time.After(2 * spaceEvery)
				_, err := write(j, texts(1))
				if !errors.Is(err, journal.ErrFatal) || !strings.Contains(err.Error(), "moved or deleted") {
					t.Errorf("afterwards: %v", err)
				}
				if err := j.Close(); !errors.Is(err, journal.ErrFatal) {
					t.Errorf("close: %v", err)
				}
			})
		})
	}
}

func moveAll(pattern, to string) error {
	paths, err := filepath.Glob(pattern)
	for _, path := range paths {
		err = errors.Join(err, os.Rename(path, to+filepath.Base(path)))
	}
	return err
}

// What a crash has left is removed, in this directory and no other, whatever its name
// would mean as a pattern.
func TestTemporaryFilesOfADirectoryNamedLikeAPattern(t *testing.T) {
	parent := fastDir(t)
	dir, other := filepath.Join(parent, "[a-z]"), filepath.Join(parent, "b")
	for _, dir := range []string{dir, other} {
		mustClose(t, mustBegin(t, small(dir), &tape{}))
	}
	left, kept := filepath.Join(dir, "snapshots", "1.snap.tmp"), filepath.Join(other, "snapshots", "1.snap.tmp")
	for _, path := range []string{left, kept} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, mustBegin(t, small(dir), &tape{}))
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a crash left is there: %v", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("a file of another directory is gone: %v", err)
	}
}
