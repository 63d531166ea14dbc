//go:build darwin || freebsd || linux

package tokens

import (
	"os"
	"syscall"
)

// lockFile waits until nobody else adds to a file. The lock goes with the descriptor.
func lockFile(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}

// syncDirectory makes sure that a new file is found after a loss of power.
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // nothing was written to it
	return d.Sync()
}
