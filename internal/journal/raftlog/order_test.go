package raftlog

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// done is an operation on a file.
type done struct{ op, path string }

// Nothing gets its name before it is synced, a name counts when its directory is synced,
// and what is written to a segment file is synced before anything else is done to it.
func TestOrderOfSteps(t *testing.T) {
	var mu sync.Mutex
	var all []done
	c := tiny(fastDir(t))
	c.fault = func(op, path string) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, done{op, path})
		return nil
	}
	if _, err := life(c, texts(60)); err != nil {
		t.Fatal(err)
	}
	names, appended := 0, 0
	for i, d := range all {
		switch {
		case d.op == opRename:
			names++
			if last := before(all[:i], d.path+temporarySuffix, filepath.Join(filepath.Dir(d.path), "spare"+temporarySuffix)); last != opSync {
				t.Errorf("%s got its name after %q, not after it was synced", d.path, last)
			}
			if next := after(all[i+1:], d.path, filepath.Dir(d.path)); next != (done{opSync, filepath.Dir(d.path)}) {
				t.Errorf("%s got its name, and then came %v, not the sync of the directory", d.path, next)
			}
		case d.op == opWrite && strings.HasSuffix(d.path, ".wal"):
			appended++
			if next := after(all[i+1:], d.path); next.op != opSync {
				t.Errorf("%s was written to, and then came %v, not its sync", d.path, next)
			}
		}
	}
	if names < 10 || appended < 10 {
		t.Errorf("%d names were given, and %d times a segment file was written to: too few", names, appended)
	}
}

// before returns the last operation on one of the paths.
func before(all []done, paths ...string) (op string) {
	for _, d := range all {
		if slices.Contains(paths, d.path) {
			op = d.op
		}
	}
	return op
}

// after returns the first operation on one of the paths.
func after(all []done, paths ...string) done {
	for _, d := range all {
		if slices.Contains(paths, d.path) {
			return d
		}
	}
	return done{}
}
