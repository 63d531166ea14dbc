package raftlog

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// mountedToRead returns a second way to a directory, on which nothing can be written.
func mountedToRead(t *testing.T, dir string) string {
	t.Helper()
	at := t.TempDir()
	if err := syscall.Mount(dir, at, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("a directory cannot be mounted here, which takes root's rights: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Mount("", at, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("a mount cannot be made read only here: %v", err)
	}
	return at
}

// batchesIn counts the batches in the log of a directory.
func batchesIn(dir string) (n int, err error) {
	err = Dump(dir, Contents{Entry: func(e Entry) error {
		n += len(e.Batches)
		return nil
	}})
	return n, err
}

// Where nothing can be written a directory can be read, be the file of the lock there or
// not. Who writes to it on another way is found all the same, and nobody can use it.
func TestDumpWithoutWriting(t *testing.T) {
	dir, _ := written(t, 12)
	want, err := batchesIn(dir)
	if err != nil || want == 0 {
		t.Fatalf("%d batches: %v", want, err)
	}
	at := mountedToRead(t, dir)
	for _, missing := range []bool{false, true} {
		if missing {
			if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := batchesIn(at); err != nil || got != want {
			t.Errorf("the lock is missing: %v: %d batches, want %d: %v", missing, got, want, err)
		}
	}
	refusedWith(t, small(at), at, "read-only file system", "mount the file system for writing")
	j := mustBegin(t, small(dir), &tape{})
	defer mustClose(t, j)
	if _, err := batchesIn(at); !errors.Is(err, ErrInUse) {
		t.Errorf("while a server uses it: %v", err)
	}
}
