package supervise

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"time"
)

// Config says what to run and how.
type Config struct {
	// Path is the program, Args its arguments with its name first.
	Path string
	Args []string
	// Env is its environment.
	Env []string
	// Stdin, Stdout and Stderr are inherited if they are files.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Foreground keeps the child in this process's group, where the terminal
	// delivers ^C. Without it the child has a group of its own.
	Foreground bool
	// Mark is an entry of Env that nothing else on this machine has. What the
	// child leaves to other parents is known by it.
	Mark string
	// Guardian is a command that calls [Guard]; empty for none. Only Linux has
	// guardians.
	Guardian []string
	// Terminate and Kill are the first permit, for a guardian that nobody gets to
	// tell more: see [Process.Permit]. 0 is never.
	Terminate, Kill time.Duration
	// Ready is asked right before the child is started; an error means that it is
	// not, and is what [Start] returns. Signals that a terminal delivers are passed
	// on from then until the child can have them itself. Nil asks nobody.
	Ready func() error
}

// Process is a child that was started. Its methods are safe for concurrent use.
type Process struct {
	group
	guardian *guardian // nil: none
	// Unguarded is why there is no guardian though one was asked for.
	Unguarded error

	done  chan struct{}
	state *os.ProcessState // once done is closed
}

// outputPatience bounds how long the end of a child waits for what it wrote to
// something that is not a file.
const outputPatience = time.Second

// Start starts a child. The caller calls [Process.Close] when it is over.
func Start(c Config) (*Process, error) {
	p := &Process{group: newGroup(c), done: make(chan struct{})}
	p.guardian, p.Unguarded = newGuardian(c.Guardian)
	// This process may be killed right after the child was started: until the
	// guardian knows its number it knows it by its mark.
	p.guardian.watch(&p.group)
	p.guardian.permit(unlessZero(c.Terminate), unlessZero(c.Kill))
	cmd := &exec.Cmd{
		Path: c.Path, Args: c.Args, Env: c.Env, Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr,
		SysProcAttr: attributes(c.Foreground), WaitDelay: outputPatience,
	}
	started := make(chan error)
	ready := c.Ready
	if ready == nil {
		ready = func() error { return nil }
	}
	go p.run(cmd, ready, started)
	if err := <-started; err != nil {
		p.guardian.dismiss()
		return nil, err
	}
	p.guardian.watch(&p.group)
	return p, nil
}

// unlessZero makes 0 never.
func unlessZero(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// run starts the child and waits for its end. The kernel ties the child's life to
// the thread that started it, so that is kept for as long.
func (p *Process) run(cmd *exec.Cmd, ready func() error, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	early := p.hearEarly()
	err := ready()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		err = p.adopt(cmd.Process)
		if err != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	early(err == nil)
	started <- err
	if err != nil {
		return
	}
	_ = cmd.Wait() // how it ended is in its state
	p.state = cmd.ProcessState
	close(p.done)
}

// hearEarly hears the signals that a terminal delivers to all of its foreground
// while the child is not there yet. The function that it returns ends that, and
// passes on what was heard if the child was started: one that came after the fork
// met the child as well, which then is about to end of it already.
func (p *Process) hearEarly() func(started bool) {
	if !p.foreground {
		return func(bool) {}
	}
	const enough = 16
	heard := make(chan os.Signal, enough)
	if all := slices.DeleteFunc(terminalSignals(), signal.Ignored); len(all) > 0 {
		signal.Notify(heard, all...)
	}
	return func(started bool) {
		signal.Stop(heard) // after this all that came until now is in the channel
		close(heard)
		for s := range heard {
			if started {
				_ = p.Forward(s)
			}
		}
	}
}

// ID is the number of the process that was started.
func (p *Process) ID() int { return p.pid }

// String names all of the child.
func (p *Process) String() string {
	if p.foreground {
		return fmt.Sprintf("process %d and what it started", p.pid)
	}
	return fmt.Sprintf("process group %d", p.pid)
}

// Done is closed when the process that was started has ended. Others of its
// group may live: see [Process.Rest].
func (p *Process) Done() <-chan struct{} { return p.done }

// Code is the exit code of the process that was started, as shells have it: 128
// and the number of the signal that ended it. It is called once that has ended.
func (p *Process) Code() int { return exitCode(p.state) }

// Rest returns the processes of the child that live, itself included.
func (p *Process) Rest() ([]int, error) { return p.members() }

// Forward passes on a signal that somebody sent to this process. A group of its
// own has it whole; in the foreground it goes to the child itself.
func (p *Process) Forward(s os.Signal) error {
	err := p.forward(s)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Terminate asks all of the child to end, also where it is stopped. It is
// [errors.ErrUnsupported] where there is no way to ask.
func (p *Process) Terminate() error { return p.terminate() }

// Kill ends all of the child.
func (p *Process) Kill() error { return p.kill() }

// Permit says for how long the child may run on unless it is permitted anew: when
// the guardian, if there is one, asks it to end, and when it kills it. Negative
// times are never.
func (p *Process) Permit(terminate, kill time.Duration) { p.guardian.permit(terminate, kill) }

// Close sends the guardian away. What is left of the child lives on.
func (p *Process) Close() {
	p.guardian.dismiss()
	p.release()
}
