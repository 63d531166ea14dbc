package unixsock_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/ldlm-io/ldlm/internal/unixsock"
)

func shortPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "us") //nolint:usetesting // the path of t.TempDir has the test's name in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// stale leaves a socket that nobody listens on, as a killed server does.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestModeAndRemoval(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666} {
		path := shortPath(t)
		stale(t, path)
		l, err := unixsock.Listen(path, mode)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("the file: %v, %v; want %v", info.Mode(), err, mode)
		}
		for range 2 {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after closing: %v", err)
		}
	}
}

func TestInTheWay(t *testing.T) {
	alive := shortPath(t)
	l, err := unixsock.Listen(alive, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := shortPath(t)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{alive, file} {
		if other, err := unixsock.Listen(path, 0o600); !errors.Is(err, unixsock.ErrInTheWay) {
			t.Errorf("%s: %v, %v", path, other, err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("what is in the way is gone: %v", err)
		}
	}
}

// A file that came later at the same path is somebody else's.
func TestClosesItsOwnFile(t *testing.T) {
	path := shortPath(t)
	l, err := unixsock.Listen(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if text, err := os.ReadFile(path); string(text) != "theirs" {
		t.Errorf("%q, %v", text, err)
	}
}
