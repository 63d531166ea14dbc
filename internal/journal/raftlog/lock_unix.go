//go:build unix && !solaris && !aix

package raftlog

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock of a file for this process; false if another has it. The
// lock ends with the file, and with the process.
func lockFile(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
