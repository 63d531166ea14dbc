//go:build !windows

package supervise

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// start starts a shell script in a group of its own, with a pipe for what it says.
func start(t *testing.T, script string) (*Process, *bufio.Reader) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(Config{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: os.Environ(), Stdout: w})
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(func() {
		_ = p.Kill()
		<-p.Done()
		p.Close()
		_ = r.Close()
	})
	return p, bufio.NewReader(r)
}

// line reads what a script says.
func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(text, "\n")
}

func TestCode(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 41": 41, "kill -9 $$": 137, "kill -TERM $$": 143} {
		p, _ := start(t, script)
		<-p.Done()
		if got := p.Code(); got != want {
			t.Errorf("%s: code %d, want %d", script, got, want)
		}
	}
}

func TestStartFails(t *testing.T) {
	if _, err := Start(Config{Path: "/no/such", Args: []string{"x"}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := Start(Config{Path: "/", Args: []string{"x"}}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
}

// Signals reach all of the group, and its end is that of all.
func TestGroup(t *testing.T) {
	p, out := start(t, `sh -c 'trap "echo inner" USR1; trap "exit 0" TERM; echo up; while :; do sleep 0.05; done' & trap "echo outer" USR1; echo $!; trap 'exit 5' TERM; while :; do wait; done`)
	said := []string{line(t, out), line(t, out)}
	number := said[0]
	if number == "up" {
		number = said[1]
	}
	inner, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Forward(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if a, b := line(t, out), line(t, out); a == b || a+b != "innerouter" && a+b != "outerinner" {
		t.Errorf("it said %q and %q", a, b)
	}
	rest, err := p.Rest()
	if err != nil || !slices.Contains(rest, p.ID()) || !slices.Contains(rest, inner) || slices.Contains(rest, os.Getpid()) {
		t.Errorf("the group is %v, %v", rest, err)
	}
	if err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(out); err != nil { // until nobody of the group has the pipe
		t.Fatal(err)
	}
	<-p.Done()
	if p.Code() != 5 {
		t.Errorf("code %d", p.Code())
	}
	if err := errors.Join(p.Forward(syscall.SIGUSR1), p.Terminate(), p.Kill()); err != nil {
		t.Errorf("signals to nobody: %v", err)
	}
}

// Who is stopped ends as well.
func TestTerminateStopped(t *testing.T) {
	p, out := start(t, `trap "echo ended; exit 3" TERM; echo up; while :; do kill -STOP $$; done`)
	line(t, out)
	if err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if p.Code() != 3 {
		t.Errorf("code %d", p.Code())
	}
}

func TestWatch(t *testing.T) {
	p, out := start(t, "echo up; exec sleep 1000")
	line(t, out)
	w, err := Watch(p.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	select {
	case <-w.Ended():
		t.Error("it is said to have ended")
	default:
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	<-w.Ended()
	<-p.Done()
	if _, err := Watch(1<<31 - 1); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a process that is not there: %v", err)
	}
}

func TestSignals(t *testing.T) {
	stops := 0
	for _, s := range Signals(true) {
		if IsStop(s) {
			stops++
		}
	}
	for _, s := range Signals(false) {
		if IsStop(s) {
			t.Errorf("%v stops who has no terminal", s)
		}
	}
	if stops != 1 || !FromTerminal(syscall.SIGINT) || FromTerminal(syscall.SIGTERM) || Ends(syscall.SIGUSR1) || !Ends(syscall.SIGHUP) {
		t.Error("what signals mean")
	}
}
