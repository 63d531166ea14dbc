package raftlog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// replaceFile writes a file such that after a crash either the old content is there
// or the new one: a temporary file, its fsync, the rename, the fsync of the directory.
func (d *disk) replaceFile(path string, content []byte) error {
	temporary := path + temporarySuffix
	err := d.do(opWrite, temporary, func() error { return os.WriteFile(temporary, content, 0o600) })
	if err != nil {
		return err
	}
	if err := d.do(opSync, temporary, func() error { return syncPath(temporary) }); err != nil {
		return err
	}
	return d.moveInto(temporary, path)
}

// temporarySuffix is that of files that are being made; what is left of one is
// removed when the directory is opened.
const temporarySuffix = ".tmp"

// moveInto gives a file that is complete and synced its name, for good.
func (d *disk) moveInto(temporary, path string) error {
	if err := d.do(opRename, path, func() error { return os.Rename(temporary, path) }); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	return d.do(opSync, dir, func() error { return syncDir(dir) })
}

// syncPath makes the content of a file durable.
func syncPath(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Sync()
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// removeTemporary removes what a crash has left of files that were being made.
func removeTemporary(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), temporarySuffix) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// DamageError says that a file is not as it was written. Nothing was changed.
type DamageError struct {
	Path string
	// Offset is where the damaged part begins, in bytes.
	Offset int64
	Reason string
}

// Error says where the damage is, and what to do.
func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s; restore the data directory from a backup, "+
		"or move it away to begin without what it held", e.Path, e.Offset, e.Reason)
}

func damaged(path string, offset int, format string, args ...any) error {
	return &DamageError{Path: path, Offset: int64(offset), Reason: fmt.Sprintf(format, args...)}
}
