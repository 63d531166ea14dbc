//go:build !windows

package supervise

import (
	"os"
	"syscall"
)

// HasTerminal reports whether a terminal delivers signals to this process.
func HasTerminal() bool {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

// Signals are those that somebody may send to this process and mean the child.
// If a terminal delivers to the child itself, the stop that ^Z asks for is among
// them: see [IsStop].
func Signals(foreground bool) []os.Signal {
	all := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}
	if foreground {
		all = append(all, syscall.SIGTSTP)
	}
	return all
}

// Broken is the signal that a write to a pipe without a reader brings.
func Broken() []os.Signal { return []os.Signal{syscall.SIGPIPE} }

// IsStop reports whether a signal asks the process to stop for a while.
func IsStop(s os.Signal) bool { return s == syscall.SIGTSTP }

// Ends reports whether a signal ends a process that does nothing about it, because
// somebody wants it to end.
func Ends(s os.Signal) bool {
	switch s {
	case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT:
		return true
	default:
		return false
	}
}

// terminalSignals are those that a terminal delivers to all of its foreground.
func terminalSignals() []os.Signal {
	return []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP}
}

// FromTerminal reports whether a signal is one that a terminal delivers to all of
// its foreground, so that a child there has it already.
func FromTerminal(s os.Signal) bool { return s == syscall.SIGINT || s == syscall.SIGQUIT }

// Suspend stops this process until somebody lets it go on.
func Suspend() error { return syscall.Kill(os.Getpid(), syscall.SIGSTOP) }
