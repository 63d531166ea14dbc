package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm/internal/supervise"
)

// guardCommand is what a guardian of children is started as.
const guardCommand = "guard"

// newGuard is the command that watches over a child for another process of this
// program. People do not call it.
func newGuard() *cobra.Command {
	return &cobra.Command{
		Use: guardCommand, Hidden: true, Args: noArgs,
		Short: "Watch over the command of another ldlm: not for people",
		RunE:  func(*cobra.Command, []string) error { return supervise.Guard() },
	}
}

// guardian is the command that newGuard answers to; empty if this program cannot
// be found.
func guardian() []string {
	path, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{path, guardCommand}
}

// childConfig says how to run a command with this process's streams.
func childConfig(p *Process, path string, argv, environment []string, mark string) supervise.Config {
	return supervise.Config{
		Path: path, Args: argv, Env: environment, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr,
		Foreground: p.Foreground, Mark: mark, Guardian: p.Guardian,
	}
}

// passOn gives a child a signal that this process got, unless a terminal has given
// it to both.
func passOn(c *supervise.Process, s os.Signal, foreground bool, r *remarks) {
	if foreground && (supervise.FromTerminal(s) || supervise.IsStop(s)) {
		if supervise.IsStop(s) {
			_ = supervise.Suspend()
		}
		return
	}
	if err := c.Forward(s); err != nil {
		r.warn("cannot pass on %s: %v", s, err)
	}
}

// lookUp finds a command as shells do. Whoever has "." in the path wants it.
func lookUp(name string) (string, error) {
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrDot) {
		return path, nil
	}
	return path, err
}

// cannotRun says why a command does not run, with the exit code of shells.
func cannotRun(err error) error {
	code := exitCannotRun
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code = exitNoCommand
	}
	name, cause := "", err
	if e := (*exec.Error)(nil); errors.As(err, &e) {
		name, cause = e.Name, e.Err
	}
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		name, cause = e.Path, e.Err
	}
	text := cause.Error()
	if errors.Is(cause, exec.ErrNotFound) {
		text = "command not found"
	}
	return &exitError{code: code, err: errors.New("ldlm: " + visible(name) + ": " + text)}
}

// withoutVariables returns an environment without some variables.
func withoutVariables(environment []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(names, name)
	})
}

// childSignals returns the signals that a child should have, as far as this
// process does not ignore them, as nohup makes it. Writing to a pipe that nobody
// reads is an error then, and not the end of the process.
func childSignals(foreground bool) (<-chan os.Signal, func()) {
	const enough = 16
	signals, broken := make(chan os.Signal, enough), make(chan os.Signal, 1)
	heard := slices.DeleteFunc(supervise.Signals(foreground), signal.Ignored)
	if len(heard) > 0 {
		signal.Notify(signals, heard...)
	}
	if all := supervise.Broken(); len(all) > 0 {
		signal.Notify(broken, all...)
	}
	return signals, func() {
		signal.Stop(signals)
		signal.Stop(broken)
	}
}

// signals returns what childSignals does, or what ends a command where that is
// not to be had.
func (p *Process) signals() (<-chan os.Signal, func()) {
	if p.Signals == nil {
		return p.Notify()
	}
	return p.Signals()
}

// stdinEnd returns what is closed when standard input ends, if that is a pipe or
// a socket: whoever has the other end has ended then. Its reader ends with the
// input, or with the process.
func (p *Process) stdinEnd() <-chan struct{} {
	f, ok := p.Stdin.(*os.File)
	if !ok {
		return nil
	}
	s, err := f.Stat()
	if err != nil || s.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) == 0 {
		return nil
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, f)
	}()
	return ended
}
