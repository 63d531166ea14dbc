//go:build unix && !solaris && !illumos && !aix

package unixsock

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// lockMode are the rights of the file that is locked.
const lockMode fs.FileMode = 0o600

// restrict gives a socket its rights before it has a file. Where that does not
// work it does nothing.
func restrict(fd uintptr, mode fs.FileMode) { _ = syscall.Fchmod(int(fd), uint32(mode)) }

// lockPatience bounds how long the start of another server is waited for, and
// lockPause lies between looks. Nobody has the lock for longer than a probe takes.
const (
	lockPatience = 3 * time.Second
	lockPause    = 10 * time.Millisecond
)

// errLockBusy means that others kept the lock for longer than they can need it.
var errLockBusy = errors.New("another server has been about to start with this socket file for too long: try again")

// lockPath makes a file, or finds it, and locks it for this process alone. unlock
// removes the file. The lock of a process that dies is free.
func lockPath(path string) (unlock func(), err error) {
	for end := time.Now().Add(lockPatience); ; {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, lockMode)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && isAt(f, path) {
			return func() { _ = os.Remove(path); _ = f.Close() }, nil
		}
		_ = f.Close()
		switch {
		case err == nil: // removed by whoever had it before
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return nil, err
		case time.Now().After(end):
			return nil, errLockBusy
		default:
			time.Sleep(lockPause)
		}
	}
}

// isAt reports whether an open file is the one at a path.
func isAt(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(open, there)
}
