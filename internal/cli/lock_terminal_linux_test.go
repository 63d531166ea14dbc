package cli

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A tty is a terminal that somebody sits at: what is written to it, and what is typed.
type tty struct {
	*output
	keyboard *os.File
}

// watchTerminal reads what is written to a terminal until nobody has it any more.
func watchTerminal(t *testing.T, keyboard *os.File) *tty {
	t.Helper()
	term := &tty{newOutput(), keyboard}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(term, keyboard)
		term.output.end()
	}()
	t.Cleanup(func() {
		_ = keyboard.Close()
		<-read
	})
	return term
}

// press types a key.
func (term *tty) press(t *testing.T, key string) {
	t.Helper()
	if _, err := term.keyboard.WriteString(key); err != nil {
		t.Fatal(err)
	}
}

const (
	ctrlC = "\x03"
	ctrlZ = "\x1a"
)

// onTerminal runs a program with a terminal of its own.
func onTerminal(t *testing.T, address, program string, args ...string) (*child, *tty) {
	t.Helper()
	keyboard, line := openTerminal(t)
	term := watchTerminal(t, keyboard)
	c := run(t, address, func(c *exec.Cmd) {
		if program != "" {
			c.Path, c.Args = program, append([]string{program}, args...)
		}
		c.Stdin, c.Stdout, c.Stderr = line, line, line
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}, args...)
	_ = line.Close()
	return c, term
}

// The terminal tells the command of ^C itself: it hears of it once, and ldlm
// waits for what it makes of that.
func TestTerminalDeliversInterrupts(t *testing.T) {
	address := devAddress(t)
	c, term := onTerminal(t, address, "", "lock", "x", "--", "sh", "-c",
		`trap 'n=$((n+1)); echo interrupt $n' INT; trap 'echo hangup; exit 3' HUP; trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done`)
	term.await(t, "up\r\n")
	term.press(t, ctrlC)
	term.await(t, "interrupt 1\r\n")
	c.send(t, syscall.SIGTERM)
	term.await(t, "asked\r\n")
	term.press(t, ctrlC)
	term.await(t, "interrupt 2\r\n")
	c.send(t, syscall.SIGHUP)
	if code := c.end(t); code != 3 {
		t.Errorf("code %d", code)
	}
	if said := term.await(t, "hangup\r\n"); strings.Contains(said, "interrupt 3") {
		t.Errorf("one ^C was two:\n%s", said)
	}
	if info := lockState(t, address, "x"); info.HolderCount != 0 {
		t.Error("it is still held")
	}
}

// Whoever waits at a terminal is told for whom, and can go.
func TestTerminalTellsForWhomOneWaits(t *testing.T) {
	address := devAddress(t)
	holder := run(t, address, nil, "lock", "x", "--reason", "cleaning")
	holder.stdout.await(t, "token")
	c, term := onTerminal(t, address, "", "lock", "x", "--", "true")
	said := term.await(t, "in the queue\r\n")
	host, _ := os.Hostname()
	wantLines(t, strings.ReplaceAll(said, "\r", ""),
		`ldlm: waiting for "x", held by ops@`+host+` pid \d+ \(ldlm lock\) for .*s \(cleaning\); next in the queue`)
	term.press(t, ctrlC)
	if code := c.end(t); code != 130 {
		t.Errorf("code %d, want 130", code)
	}
	if info := lockState(t, address, "x"); info.WaiterCount != 0 {
		t.Error("it still waits")
	}
	holder.signal(t, syscall.SIGTERM)
}

// The command shares the group with others of the terminal: all of the command is
// ended, and nothing else.
func TestTerminalLossEndsTheCommandAlone(t *testing.T) {
	t.Parallel()
	server, address := spawnDev(t)
	script := "sleep 1000 & echo partner $!; " + programs + "/ldlm lock x --ttl " + patientTTL.String() + " -- sh -c '" + strings.ReplaceAll(family, "'", `'\''`) + "'; echo code $?; kill $!"
	c, term := onTerminal(t, address, "/bin/sh", "-c", strings.ReplaceAll(script, "echo code", "kill -0 $! && echo partner lives; echo code"))
	plain := term.plain()
	grandchild := plain.number(t, "grandchild")
	server.kill(t)
	term.await(t, "partner lives\r\n")
	// The shell prints the code of the kill that succeeded; what ldlm said is before.
	said := term.await(t, `ldlm: "x" lost; child ended (7)`)
	if lives(grandchild) || !strings.Contains(said, "SIGTERM to process ") || !strings.Contains(said, " and what it started") {
		t.Errorf("grandchild lives %t; it said\n%s", lives(grandchild), said)
	}
	c.end(t)
}

// plain is what was written without the carriage returns of a terminal. Nothing
// that comes later is in it but what is awaited.
func (term *tty) plain() *output {
	o := newOutput()
	go func() {
		term.mu.Lock()
		defer term.mu.Unlock()
		for seen := 0; ; term.more.Wait() {
			text := term.text.String()
			_, _ = o.Write([]byte(strings.ReplaceAll(text[seen:], "\r", "")))
			if seen = len(text); term.over {
				o.end()
				return
			}
		}
	}()
	return o
}

// kill -9 leaves nothing behind, also where the command has no group of its own.
func TestTerminalNothingOutlivesAKilledLock(t *testing.T) {
	address := devAddress(t)
	c, term := onTerminal(t, address, "", "lock", "x", "--", "sh", "-c", family)
	plain := term.plain()
	parent, grandchild := plain.number(t, "parent"), plain.number(t, "grandchild")
	c.send(t, syscall.SIGKILL)
	awaitEnd(t, parent)
	awaitEnd(t, grandchild)
	c.end(t)
}

// ^Z stops ldlm with its job, and says what that means; a job that goes on in time
// has its lock.
func TestTerminalStops(t *testing.T) {
	address := devAddress(t)
	c, term := onTerminal(t, address, "", "lock", "x", "--", "sh", "-c", "echo up; while :; do sleep 0.05; done")
	term.await(t, "up\r\n")
	term.press(t, ctrlZ)
	term.await(t, `stopped; "x" is lost in `)
	awaitState(t, c.Process.Pid, "T")
	c.send(t, syscall.SIGCONT)
	c.send(t, syscall.SIGTERM)
	if code := c.end(t); code != 143 {
		t.Errorf("code %d, want 143", code)
	}
}
