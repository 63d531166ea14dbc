//go:build !linux && !windows

package supervise

import (
	"errors"
	"syscall"
)

// lives reports whether there is a process of that number, also of somebody else.
func lives(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
