package cli

import (
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/ldlm-io/ldlm/internal/supervise"
)

// A Process is what a command sees of the process that it runs in.
type Process struct {
	// Args are the arguments, without the program's name.
	Args []string
	// Stdin is what a command reads, and what its children get.
	Stdin io.Reader
	// Stdout is for data, Stderr for everything else.
	Stdout, Stderr io.Writer
	// StdinIsTerminal says that somebody can be asked, StdoutIsTerminal that
	// data is for people, StderrIsTerminal that somebody reads along.
	StdinIsTerminal, StdoutIsTerminal, StderrIsTerminal bool
	// StdoutLines returns how many lines the terminal of stdout has, 0 if nobody
	// knows. Nil: nobody does.
	StdoutLines func() int
	// Getenv returns a variable, "" if it is not set. Environ returns all, as
	// name=value, for children.
	Getenv  func(name string) string
	Environ func() []string
	// Notify returns the signals that ask the process to end, from now on until
	// stop is called. Without it they end the process as the system does.
	Notify func() (signals <-chan os.Signal, stop func())
	// Hangups returns the signals that ask a server to read its configuration
	// again, from now on until stop is called. Nil: there are none.
	Hangups func() (signals <-chan os.Signal, stop func())
	// Foreground says that a terminal delivers signals to this process and to
	// those that share its group.
	Foreground bool
	// Signals returns the signals that are meant for a child as well, from now on
	// until stop is called. Nil: those of Notify.
	Signals func() (signals <-chan os.Signal, stop func())
	// CompleteWithin is how long a shell waits for names that it completes; 0 is as long
	// as people wait.
	CompleteWithin time.Duration
	// Guardian is the command line of a guardian of children; empty: none.
	Guardian []string
}

// System is the process that this program runs in.
func System() Process {
	foreground := supervise.HasTerminal()
	return Process{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		StdinIsTerminal: isTerminal(os.Stdin), StdoutIsTerminal: isTerminal(os.Stdout), StderrIsTerminal: isTerminal(os.Stderr),
		StdoutLines: systemLines,
		Getenv:      os.Getenv, Environ: os.Environ, Notify: notify, Hangups: hangups,
		Foreground: foreground,
		Signals:    func() (<-chan os.Signal, func()) { return childSignals(foreground) },
		Guardian:   guardian(),
	}
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

func systemLines() int {
	_, lines, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return 0
	}
	return lines
}

func notify() (<-chan os.Signal, func()) {
	const enough = 2 // the first begins the end, the second makes it short
	signals := make(chan os.Signal, enough)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	return signals, func() { signal.Stop(signals) }
}

// hangups returns what Hangups does; no signals, if there are none.
func (p *Process) hangups() (<-chan os.Signal, func()) {
	if p.Hangups == nil {
		return nil, func() {}
	}
	return p.Hangups()
}

// stdoutLines returns what StdoutLines does, 0 without it.
func (p *Process) stdoutLines() int {
	if p.StdoutLines == nil {
		return 0
	}
	return p.StdoutLines()
}

// environ returns what Environ does; no variables without it.
func (p *Process) environ() []string {
	if p.Environ == nil {
		return nil
	}
	return p.Environ()
}

func hangups() (<-chan os.Signal, func()) {
	signals := make(chan os.Signal, 1) // what comes while one is worked on is one more
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}
