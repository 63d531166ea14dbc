package supervise

import (
	"errors"
	"os"
)

// HasTerminal: consoles deliver to everybody who is attached to them.
func HasTerminal() bool { return true }

// Signals are those that somebody may send to this process and mean the child.
func Signals(bool) []os.Signal { return []os.Signal{os.Interrupt} }

// Broken is the signal that a write to a pipe without a reader brings: none.
func Broken() []os.Signal { return nil }

// IsStop reports whether a signal asks the process to stop for a while.
func IsStop(os.Signal) bool { return false }

// Ends reports whether a signal ends a process that does nothing about it.
func Ends(os.Signal) bool { return true }

// terminalSignals: none can be passed on.
func terminalSignals() []os.Signal { return nil }

// FromTerminal reports whether a signal is one that a child has already.
func FromTerminal(os.Signal) bool { return true }

// Suspend is for systems that have it.
func Suspend() error { return errors.ErrUnsupported }
