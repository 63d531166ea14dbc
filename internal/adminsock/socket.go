package adminsock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// ownerOnly are the rights of the socket's file: who may connect may end every hold.
const ownerOnly = 0o600

// maxPathBytes is how long the path of a socket may be, which the system bounds
// with room for a zero at the end.
const maxPathBytes = len(syscall.RawSockaddrUnix{}.Path) - 1

// probePatience bounds how long a socket that is in the way may take to answer.
const probePatience = time.Second

// A Socket is a socket on which this process listens, and its file.
type Socket struct {
	path     string
	listener *net.UnixListener
	file     fs.FileInfo // as it was made
}

// Listen makes the socket. It takes the place of one that nobody listens on any
// more, and of nothing else.
func Listen(path string) (*Socket, error) {
	s, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("ipc.Run(): %w", err)
	}
	return s, nil
}

func listen(path string) (*Socket, error) {
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
	l, err := listenOwnerOnly(path)
	if err != nil {
		return nil, fmt.Errorf("ipc.Run() net.listen error: %w", err)
	}
	l.SetUnlinkOnClose(false) // Close looks first whose file it is
	s := &Socket{path: path, listener: l}
	err = os.Chmod(path, ownerOnly)
	if err == nil {
		s.file, err = os.Lstat(path)
	}
	if err != nil {
		_ = os.Remove(path)
		_ = l.Close()
		return nil, err
	}
	return s, nil
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
		return fmt.Errorf("file: %s exists. IPC socket file already exists. If another instance of ldlm isn't running, "+
			"delete the socket file and try again. Otherwise, shut down that instance before starting a new one. "+
			"Alternatively specify a different IPC socket file", path)
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

// listenOwnerOnly listens on a socket that never belonged to others too.
func listenOwnerOnly(path string) (*net.UnixListener, error) {
	c := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		// Where the rights of a socket are those of its file, there is no moment
		// at which the file has others. Elsewhere Chmod follows right after.
		return conn.Control(restrict)
	}}
	l, err := c.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

// close removes the file, if it is still the one that was made, and ends the
// listening. The file goes first: once nobody listens, it is anybody's.
func (s *Socket) close() {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(s.file, now) {
		_ = os.Remove(s.path)
	}
	_ = s.listener.Close()
}

// Close gives the socket up. It is for those that have not started a [Server]
// with it.
func (s *Socket) Close() { s.close() }
