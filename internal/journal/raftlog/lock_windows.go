package raftlog

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes the lock of a file for this process; false if another has it. The
// lock ends with the file, and with the process. It lies behind the content, which
// others may read.
func lockFile(f *os.File) (bool, error) {
	at := windows.Overlapped{Offset: 1 << 20}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// lockDirectory does nothing: a file that is open cannot be deleted here.
func lockDirectory(string) (*os.File, bool) { return nil, true }
