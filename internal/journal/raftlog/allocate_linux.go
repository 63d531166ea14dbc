package raftlog

import (
	"errors"
	"os"
	"syscall"
)

// allocate gives a new file its size, with blocks to write to where the file system
// can, so that a full disk is met when the file is made and not when it is written.
func allocate(f *os.File, size int64) error {
	err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return f.Truncate(size)
	}
	return err
}

// syncData makes what was written to a file durable whose size has not changed.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
