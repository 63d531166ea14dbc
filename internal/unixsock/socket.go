package unixsock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxPathBytes is how long the path of a socket may be, which the system bounds
// with room for a zero at the end.
const maxPathBytes = len(syscall.RawSockaddrUnix{}.Path) - 1

// probePatience bounds how long a socket that is in the way may take to answer.
const probePatience = time.Second

// ErrInTheWay means that there is something at the path that is not to be
// removed: a socket that somebody listens on, or no socket at all.
var ErrInTheWay = errors.New("there is a file, or another server's socket")

// A Listener listens on a socket, and removes its file when it is closed. Make
// one with [Listen]. All methods are safe for concurrent use.
type Listener struct {
	*net.UnixListener
	path  string
	file  fs.FileInfo // as it was made
	close sync.Once
	err   error // of closing
}

// Listen makes a socket whose file has these rights. It takes the place of one
// that nobody listens on any more, and of nothing else: then its error wraps
// [ErrInTheWay].
func Listen(path string, mode fs.FileMode) (*Listener, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	// Whoever looks whether a socket is alive and then takes its place must be
	// alone in doing so, or it would take that of a server that has just begun.
	// Without the lock (no such folder, no right to write to it) nothing is
	// removed, and the system says below what is wrong.
	unlock, lockErr := lockPath(path + ".lock")
	if errors.Is(lockErr, errLockBusy) {
		return nil, lockErr
	}
	if lockErr == nil {
		defer unlock()
	}
	if err := makeRoom(path, lockErr == nil); err != nil {
		return nil, err
	}
	inner, err := listenWith(path, mode)
	if err != nil {
		return nil, err
	}
	inner.SetUnlinkOnClose(false) // Close looks first whose file it is
	l := &Listener{UnixListener: inner, path: path}
	err = os.Chmod(path, mode)
	if err == nil {
		l.file, err = os.Lstat(path)
	}
	if err != nil {
		_ = os.Remove(path)
		_ = inner.Close()
		return nil, err
	}
	return l, nil
}

// checkPath refuses paths that cannot be, with more to say than the system has.
func checkPath(path string) error {
	if strings.HasPrefix(path, "@") {
		return fmt.Errorf("socket path %s begins with @: such a socket has no file whose rights would protect it; write ./%s if you mean a file", path, path)
	}
	if len(path) > maxPathBytes {
		return fmt.Errorf("socket path %s is %d bytes long, and this system allows %d: choose a shorter one", path, len(path), maxPathBytes)
	}
	return nil
}

// makeRoom removes a socket that nobody listens on, if it may, and refuses
// whatever else is in the way.
func makeRoom(path string, mayRemove bool) error {
	info, _ := os.Lstat(path)
	switch {
	case info == nil:
		return nil // nothing there; or the system says to who listens what is wrong
	case info.Mode().Type() != fs.ModeSocket || !mayRemove || !deserted(path):
		return fmt.Errorf("%s: %w", path, ErrInTheWay)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("nobody listens on the socket that is in the way: %w", err)
	}
	return nil
}

// deserted reports whether it is certain that nobody listens on a socket. Only a
// refusal says so: a server that is busy, frozen or another user's is not gone.
func deserted(path string) bool {
	ctx, stop := context.WithTimeout(context.Background(), probePatience)
	defer stop()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		_ = c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// listenWith listens on a socket that never had other rights.
func listenWith(path string, mode fs.FileMode) (*net.UnixListener, error) {
	c := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		// Where the rights of a socket are those of its file, there is no moment
		// at which the file has others. Elsewhere Chmod follows right after.
		return conn.Control(func(fd uintptr) { restrict(fd, mode) })
	}}
	l, err := c.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

// Path is where the socket is.
func (l *Listener) Path() string { return l.path }

// Close removes the file, if it is still the one that was made, and ends the
// listening. The file goes first: once nobody listens, it is anybody's. It may be
// called again.
func (l *Listener) Close() error {
	l.close.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(l.file, now) {
			_ = os.Remove(l.path)
		}
		l.err = l.UnixListener.Close()
	})
	return l.err
}
