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

// lockDirectory locks a directory itself for this process, false if another has it. The
// lock ends with the file. Some network file systems cannot do that: then the file is nil.
func lockDirectory(path string) (*os.File, bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, true // whatever it is, what comes next says it
	}
	locked, err := lockFile(f)
	if err != nil || !locked {
		_ = f.Close() // it was only read
		return nil, err != nil
	}
	return f, true
}
