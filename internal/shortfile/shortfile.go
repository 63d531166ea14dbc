// Package shortfile reads files that people name in a configuration: settings,
// passwords, certificates. A name may be anything, a pipe that nobody writes to or
// a device that never ends, and a server that runs must not wait for it.
//
// It does not know what is in the files.
package shortfile

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// MaxBytes is how long a file may be.
const MaxBytes = 1 << 20

// patience bounds how long who writes to a pipe may take.
const patience = 10 * time.Second

// Read reads a file. It fails for one that is longer than [MaxBytes], and for one
// that is not at hand within 10 s, and for a pipe that nothing comes from: that is
// no empty file, but one whose writer is late. Errors name the file.
func Read(path string) ([]byte, error) {
	// Without the flag the system waits in here for a writer, for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	// What cannot have a deadline is a file that is at hand.
	_ = f.SetReadDeadline(time.Now().Add(patience))
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	info, statErr := f.Stat()
	_ = f.Close() // it was only read
	switch {
	case err != nil:
		return nil, err
	case statErr != nil:
		return nil, statErr
	case len(data) == 0 && info.Mode()&fs.ModeNamedPipe != 0:
		return nil, fmt.Errorf("%s is a pipe, and nobody writes to it", path)
	case len(data) > MaxBytes:
		return nil, fmt.Errorf("%s is larger than %d bytes", path, MaxBytes)
	}
	return data, nil
}
