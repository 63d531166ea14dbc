package raftlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// filesOf returns the files of a directory that say something, without it in front.
func filesOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, pattern := range []string{"identity", "log/*", "snapshots/*"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
	}
	return names
}

// Files are removed, copied over others, given to each other's names, and cut. A
// directory that is no longer as it was has the same acknowledged state or is refused;
// it never waits for ever.
func TestFilesThatWereMoved(t *testing.T) {
	dir, lines := written(t, 60)
	names := filesOf(t, dir)
	if len(names) < 5 {
		t.Fatalf("%v are too few files", names)
	}
	damage := func(what string, do func(here string) error) {
		t.Helper()
		here := fastDir(t)
		copyDir(t, dir, here)
		if err := do(here); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := sameOrDamaged(here, lines); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, a := range names {
		damage("remove "+a, func(here string) error { return os.Remove(filepath.Join(here, a)) })
		info, err := os.Stat(filepath.Join(dir, a))
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(8) {
			damage(fmt.Sprintf("cut %s at byte %d", a, info.Size()*i/8), func(here string) error {
				return os.Truncate(filepath.Join(here, a), info.Size()*i/8)
			})
		}
		for _, b := range names {
			if a == b {
				continue
			}
			damage(fmt.Sprintf("copy %s over %s", a, b), func(here string) error {
				content, err := os.ReadFile(filepath.Join(here, a))
				return errors.Join(err, os.WriteFile(filepath.Join(here, b), content, 0o600))
			})
			damage(fmt.Sprintf("swap %s and %s", a, b), func(here string) error {
				from, to, aside := filepath.Join(here, a), filepath.Join(here, b), filepath.Join(here, "aside")
				return errors.Join(os.Rename(from, aside), os.Rename(to, from), os.Rename(aside, to))
			})
		}
	}
}

// sameOrDamaged is sameOrRefused where it cannot be said which file is to blame.
func sameOrDamaged(dir string, lines []string) error {
	had, err := survives(tiny(dir), lines, len(lines))
	var damage *DamageError
	if err == nil || errors.As(err, &damage) || strings.Contains(err.Error(), "has no file named identity") {
		return nil
	}
	return fmt.Errorf("neither: %w (%d lines are there)", err, len(had))
}

// A directory that was made from a snapshot has all it has in that.
func TestOnlySnapshotIsLost(t *testing.T) {
	c := tiny(fastDir(t))
	if err := Restore(c, SnapshotInfo{Entry: 7, Term: 3}, linesOf("one")); err != nil {
		t.Fatal(err)
	}
	snaps := filepath.Join(c.Dir, "snapshots")
	paths, err := filepath.Glob(filepath.Join(snaps, "*"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("snapshots %v, %v", paths, err)
	}
	if err := os.Remove(paths[0]); err != nil {
		t.Fatal(err)
	}
	_, err = Open(c, &tape{})
	var damage *DamageError
	if !errors.As(err, &damage) || damage.Path != snaps {
		t.Errorf("got %v", err)
	}
}

// linesOf are the chunks of a tape's snapshot.
func linesOf(lines ...string) func() ([]byte, error) {
	next, _, _ := (&tape{lines: lines}).Snapshot() // a tape's never fails
	return next
}

// A snapshot of another cluster, or under another's name, is not taken for this one's.
func TestSnapshotThatDoesNotBelong(t *testing.T) {
	dir, lines := written(t, 12)
	other, _ := written(t, 12)
	find := func(dir string) string {
		paths, err := filepath.Glob(filepath.Join(dir, "snapshots", "*"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no snapshot: %v", err)
		}
		return slices.Max(paths)
	}
	mine := find(dir)
	content, err := os.ReadFile(find(other))
	if err != nil {
		t.Fatal(err)
	}
	here := fastDir(t)
	copyDir(t, dir, here)
	changed := filepath.Join(here, "snapshots", filepath.Base(mine))
	if err := os.WriteFile(changed, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sameOrRefused(here, changed, lines); err != nil {
		t.Error(err)
	}
	if _, err := Open(tiny(here), &tape{}); err == nil || !strings.Contains(err.Error(), "of cluster") {
		t.Errorf("another cluster's: %v", err)
	}
	renamed := filepath.Join(filepath.Dir(mine), "9"+filepath.Base(mine)[1:])
	if err := os.Rename(mine, renamed); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(tiny(dir), &tape{}); err == nil || !strings.Contains(err.Error(), renamed) {
		t.Errorf("under another name: %v", err)
	}
}
