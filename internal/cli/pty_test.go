//go:build linux

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A terminal is a pseudo-terminal with a program on it.
type terminal struct {
	*exec.Cmd
	// keyboard is what somebody types on, screen what is shown: also what is typed.
	keyboard *os.File
	screen   *output
}

// spawnOnTerminal runs a built program on a terminal of its own: it is the leader
// of the session there, so that ^C reaches it. Variables are as in env, and none
// besides.
func spawnOnTerminal(t *testing.T, env environment, program string, args ...string) *terminal {
	t.Helper()
	keyboard, line := openTerminal(t)
	c := exec.CommandContext(t.Context(), filepath.Join(programs, program), args...)
	c.Env = append(env.list(), "TMPDIR="+shortDir(t))
	c.Stdin, c.Stdout, c.Stderr = line, line, line
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if err := line.Close(); err != nil {
		t.Fatal(err)
	}
	term := &terminal{Cmd: c, keyboard: keyboard, screen: newOutput()}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer term.screen.end()
		buf := make([]byte, 4096)
		for {
			n, err := keyboard.Read(buf)
			_, _ = term.screen.Write(buf[:n]) // it never fails
			if err != nil {
				return // the program was the last to have the line
			}
		}
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended
		_ = keyboard.Close()
		<-read
	})
	return term
}

// openTerminal opens both ends of a pseudo-terminal.
func openTerminal(t *testing.T) (keyboard, line *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	var number uint32
	control := func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetUint32(int(fd), unix.TIOCGPTN)
		}
	}
	raw, e := keyboard.SyscallConn()
	if e == nil {
		e = raw.Control(control)
	}
	if err != nil || e != nil {
		t.Fatal(err, e)
	}
	line, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keyboard, line
}

// enter types.
func (term *terminal) enter(t *testing.T, text string) {
	t.Helper()
	if _, err := term.keyboard.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// end waits for the program's end, and returns its exit code as shells do, and all
// that was shown.
func (term *terminal) end(t *testing.T) (code int, screen string) {
	t.Helper()
	_ = term.Wait() // the exit code is what it says
	code = term.ProcessState.ExitCode()
	if s := term.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
		code = exitSignal + int(s.Signal())
	}
	return code, term.shown(t)
}

// shown is the screen once the program has ended.
func (term *terminal) shown(t *testing.T) string {
	t.Helper()
	s := term.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.over {
		s.more.Wait()
	}
	return strings.ReplaceAll(s.text.String(), "\r\n", "\n")
}
