//go:build !linux

package proc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// unsupported is the answer of systems that are not asked.
func unsupported() error {
	return fmt.Errorf("what other processes do cannot be read on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Time returns the processor time that a process has used, of user and system.
func Time(int) (time.Duration, error) { return 0, unsupported() }

// PSS returns the bytes of memory of a process: all that it has for itself, and
// its share of what it has together with others.
func PSS(int) (int64, error) { return 0, unsupported() }

// Behind returns the process of this machine that listens at an address.
func Behind(context.Context, string) (int, error) { return 0, unsupported() }

// MemoryLimit returns how many bytes of memory this process can have before the system
// ends it.
func MemoryLimit() (int64, bool) { return 0, false }
