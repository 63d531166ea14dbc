package audit

import (
	"fmt"
	"io"
	"os"
)

// ownerAndGroup are the rights of a new file: it says who does what, which is
// not for everybody.
const ownerAndGroup = 0o640

// stream is a writer that is not ours to close.
type stream struct{ io.Writer }

func (s stream) write(line []byte) error { _, err := s.Write(line); return err }
func (stream) reopen() error             { return nil }
func (stream) Close() error              { return nil }

// file is a file that lines are added to.
type file struct {
	path string
	open *os.File
	// torn is set when a part of a line was written: the next one begins on a
	// line of its own.
	torn bool
}

func openFile(path string) (*file, error) {
	f, err := appendTo(path)
	if err != nil {
		return nil, err
	}
	return &file{path: path, open: f}, nil
}

func appendTo(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, ownerAndGroup)
	if err != nil {
		return nil, fmt.Errorf("audit_log: %w; it is a file that this process may write, stderr or syslog", err)
	}
	return f, nil
}

func (f *file) write(line []byte) error {
	if f.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := f.open.Write(line)
	switch {
	case err == nil:
		f.torn = false
	case n > 0:
		f.torn = line[n-1] != '\n'
	}
	return err
}

func (f *file) reopen() error {
	again, err := appendTo(f.path)
	if err != nil {
		return err
	}
	f.torn = f.torn && isSame(f.open, again)
	_ = f.open.Close() // what it had was written, or told to be lost
	f.open = again
	return nil
}

// isSame reports whether two open files are one, which was not renamed in between.
func isSame(a, b *os.File) bool {
	x, err := a.Stat()
	if err != nil {
		return false
	}
	y, err := b.Stat()
	return err == nil && os.SameFile(x, y)
}

func (f *file) Close() error { return f.open.Close() }
