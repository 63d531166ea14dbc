//go:build unix

package shortfile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ldlm-io/ldlm/internal/shortfile"
)

func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A pipe without a writer is not waited for, nor taken for an empty file.
func TestPipeWithoutAWriter(t *testing.T) {
	path := pipe(t)
	data, err := shortfile.Read(path)
	if err == nil || err.Error() != path+" is a pipe, and nobody writes to it" {
		t.Errorf("got %q, %v", data, err)
	}
}

// What a shell makes of <(command) is read to its end.
func TestPipeWithAWriter(t *testing.T) {
	path := pipe(t)
	// Opened for both, it needs no reader; what is written waits for one.
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		data []byte
		err  error
	}
	got := make(chan result)
	go func() {
		data, err := shortfile.Read(path)
		got <- result{data, err}
	}()
	text := bytes.Repeat([]byte("secret"), 1<<16) // more than the pipe has room for
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if r := <-got; r.err != nil || !bytes.Equal(r.data, text) {
		t.Errorf("got %d bytes, %v; want %d", len(r.data), r.err, len(text))
	}
}

// A device that never ends, and what is no file.
func TestWhatIsRefused(t *testing.T) {
	if _, err := shortfile.Read("/dev/zero"); err == nil || !strings.Contains(err.Error(), "/dev/zero is larger than 1048576 bytes") {
		t.Errorf("a device without an end: %v", err)
	}
	dir := t.TempDir()
	if _, err := shortfile.Read(dir); !errors.Is(err, syscall.EISDIR) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := shortfile.Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}

func TestLength(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for length, fits := range map[int]bool{0: true, shortfile.MaxBytes: true, shortfile.MaxBytes + 1: false} {
		if err := os.WriteFile(path, make([]byte, length), 0o600); err != nil {
			t.Fatal(err)
		}
		if data, err := shortfile.Read(path); fits != (err == nil) || fits && len(data) != length {
			t.Errorf("%d bytes: got %d, %v", length, len(data), err)
		}
	}
}
