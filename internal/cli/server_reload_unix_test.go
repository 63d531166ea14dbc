//go:build unix

package cli

import (
	"os"
	"syscall"
	"testing"
)

// A pipe that nobody writes to, in the place of a file, is no file to wait for:
// the server says so, goes on, and ends when it is told to.
func TestReloadOfAPipe(t *testing.T) {
	secrets := write(t, "secrets", "old\n")
	r := startPlain(t, nil, "-l", "127.0.0.1:0", "--password_file", secrets)
	r.address(t)
	if err := os.Remove(secrets); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(secrets, 0o600); err != nil {
		t.Fatal(err)
	}
	r.hangups <- syscall.SIGHUP
	r.stderr.await(t, "The configuration cannot be read again; nothing has changed")
	if got := r.stop(syscall.SIGTERM); got.code != 0 {
		t.Errorf("exit code %d, log\n%s", got.code, got.stderr)
	}
}
