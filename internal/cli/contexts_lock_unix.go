//go:build darwin || freebsd || linux

package cli

import (
	"os"
	"syscall"
)

// lockFolder keeps others of this program from changing what is in a folder, until
// unlock is called. Where the file system knows no such locks there is none.
func lockFolder(dir string) (unlock func()) {
	f, err := os.Open(dir)
	if err != nil {
		return func() {} // whoever wants to write there learns why not
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			break
		}
	}
	return func() { _ = f.Close() }
}
