package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes of the commands of ldlm. The old names have their own.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 64 // EX_USAGE
	exitSignal  = 128
)

// A Process is what a command sees of the process that it runs in.
type Process struct {
	// Args are the arguments, without the program's name.
	Args []string
	// Stdout is for data, Stderr for everything else.
	Stdout, Stderr io.Writer
	// StderrIsTerminal says that somebody reads along.
	StderrIsTerminal bool
	// Getenv returns a variable, "" if it is not set.
	Getenv func(name string) string
	// Notify returns the signals that ask the process to end, from now on until
	// stop is called. Without it they end the process as the system does.
	Notify func() (signals <-chan os.Signal, stop func())
}

// System is the process that this program runs in.
func System() Process {
	return Process{
		Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr, StderrIsTerminal: isTerminal(os.Stderr),
		Getenv: os.Getenv, Notify: notify,
	}
}

// isTerminal reports whether a file is a terminal, or another device that nobody
// keeps a log in.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}

func notify() (<-chan os.Signal, func()) {
	const enough = 2 // the first begins the end, the second makes it short
	signals := make(chan os.Signal, enough)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	return signals, func() { signal.Stop(signals) }
}

// signalCode is the exit code of a process that a signal ended.
func signalCode(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return exitSignal + int(n)
	}
	return exitFailure
}

// An exitError ends a command with an exit code. Its error, if any, goes to
// stderr, and its usage to stdout.
type exitError struct {
	code  int
	err   error
	usage string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exit reports how a command ended, and returns the code of it. What is not an
// exitError is a failure; prefix goes before its text.
func (p *Process) exit(err error, prefix string) int {
	if err == nil {
		return exitOK
	}
	e := (*exitError)(nil)
	if !errors.As(err, &e) {
		e = &exitError{code: exitFailure, err: fmt.Errorf("%s%w", prefix, err)}
	}
	if e.err != nil {
		fmt.Fprintln(p.Stderr, e.err)
	}
	if e.usage != "" {
		fmt.Fprint(p.Stdout, e.usage)
	}
	return e.code
}
