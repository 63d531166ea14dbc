// Package stage is what the examples need to prove what they say: they start
// themselves again as processes of their own, tell them things, and kill them. It
// knows nothing of locks, and no program needs it to use them.
package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A Process is this program, started again with other arguments. It is for use
// by one goroutine.
type Process struct {
	Name    string
	command *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Scanner
	over    bool
}

// Start starts this program again. The process is killed when ctx ends; it is
// told to end by the end of its stdin, which also the death of this one brings.
func Start(ctx context.Context, name string, args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &Process{Name: name, command: exec.CommandContext(ctx, self, args...)}
	p.command.Stderr = os.Stderr
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdout = bufio.NewScanner(stdout)
	return p, p.command.Start()
}

// Read waits for the next line that the process prints.
func (p *Process) Read() (string, error) {
	if p.stdout.Scan() {
		return p.stdout.Text(), nil
	}
	return "", fmt.Errorf("%s ended without a word", p.Name)
}

// Says waits for the next line that the process prints, which must be this one.
func (p *Process) Says(want string) error {
	got, err := p.Read()
	if err == nil && got != want {
		err = fmt.Errorf("%s said %q instead of %q", p.Name, got, want)
	}
	return err
}

// Tell writes a line to the stdin of the process.
func (p *Process) Tell(line string) error {
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

// Signal sends the process a signal.
func (p *Process) Signal(s os.Signal) error { return p.command.Process.Signal(s) }

// Kill is kill -9, and waits until the process is gone. A process that has ended
// already is left alone.
func (p *Process) Kill() {
	if !p.over {
		p.over = true
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	}
}

// End asks the process to end, and waits until it has.
func (p *Process) End() error {
	p.stdin.Close()
	return p.Wait()
}

// Wait waits until the process has ended, reading what it still prints.
func (p *Process) Wait() error {
	for p.stdout.Scan() {
	}
	p.over = true
	if err := p.command.Wait(); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	return nil
}

// UntilEOF returns a context that ends with ctx, or with this process's stdin.
func UntilEOF(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx
}

// Lines returns the lines of a file; none if it does not exist.
func Lines(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), err
}

// AwaitLines waits until a file has so many lines that begin with prefix.
func AwaitLines(ctx context.Context, file, prefix string, n int) error {
	for {
		lines, err := Lines(file)
		if err != nil {
			return err
		}
		found := 0
		for _, line := range lines {
			if strings.HasPrefix(line, prefix) {
				found++
			}
		}
		if found >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d lines of %q, wanted %d: %w", found, prefix, n, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Terms reads a file of lines "name token", written by whoever was at work, and
// returns the names in turn. It fails if a token is not greater than that of
// the turn before: then there were two at work.
func Terms(file string) (names []string, err error) {
	lines, err := Lines(file)
	if err != nil {
		return nil, err
	}
	var last uint64
	for i, line := range lines {
		var name string
		var token uint64
		if _, err := fmt.Sscan(line, &name, &token); err != nil {
			return nil, fmt.Errorf("line %d, %q: %w", i+1, line, err)
		}
		if len(names) > 0 && names[len(names)-1] == name && last == token {
			continue
		}
		if token <= last {
			return nil, fmt.Errorf("line %d: %s wrote under the token %d after somebody had with %d", i+1, name, token, last)
		}
		names, last = append(names, name), token
	}
	return names, nil
}
