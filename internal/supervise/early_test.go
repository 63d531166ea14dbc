//go:build !windows

package supervise

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// A terminal interrupts all of its foreground, and a command that is about to be
// started is not there yet: it hears of it all the same.
func TestInterruptRightBeforeTheStart(t *testing.T) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGINT)
	defer signal.Stop(heard)
	interrupt := func() error {
		err := syscall.Kill(os.Getpid(), syscall.SIGINT)
		if err == nil {
			<-heard // another thread may get it, and later
		}
		return err
	}
	p, err := Start(Config{
		Path: "/bin/sh", Args: []string{"sh", "-c", "read line"}, Env: os.Environ(), Stdin: blocked(t),
		Foreground: true, Ready: interrupt,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	<-p.Done()
	if got := p.Code(); got != 130 {
		t.Errorf("code %d, want 130", got)
	}
}

// Who is not ready starts nothing.
func TestNotReady(t *testing.T) {
	want := errors.New("not any more")
	_, err := Start(Config{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 0"}, Foreground: true, Ready: func() error { return want }})
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// blocked is a file that nothing comes through, until the test is over.
func blocked(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Close()
		_ = r.Close()
	})
	return r
}
