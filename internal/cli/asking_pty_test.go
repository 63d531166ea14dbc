//go:build linux

package cli

import (
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ldlm-io/ldlm"
)

func (s *site) onTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	return spawnOnTerminal(t, s.env, "ldlm", args...)
}

// Somebody types the name of the lock.
func TestUnlockForceIsConfirmed(t *testing.T) {
	s := newSite(t)
	l := takeLock(t, s.client(t, "db-1"), "nightly backup", ldlm.Reason("weekly"))
	next := s.wait(t, "db-2", "nightly backup")
	term := s.onTerminal(t, "unlock", "--force", "nightly backup")
	asked := term.screen.await(t, "Type the lock name to force release: ")
	lines := strings.Split(asked, "\r\n")
	for i, want := range []string{
		"Holder ops@db-1 pid 41 renewed ",
		"It holds the lock for: weekly",
		"It will be told the lock is gone; code that does not check may run beside the next holder.",
		"Type the lock name to force release: ",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("it says\n%s\nwant %q in line %d", asked, want, i+1)
		}
	}
	if !strings.HasSuffix(lines[0], " ago and is probably still working.") {
		t.Errorf("it says %q", lines[0])
	}
	term.enter(t, "nightly backup\n")
	code, screen := term.end(t)
	second := <-next
	if want := "\nReleased. Next holder: ops@db-2 pid 41 (token " + tokenOf(second) + "). If word of it does not reach the former holder, that may believe in the lock for "; code != 0 || !strings.Contains(screen, want) {
		t.Errorf("exit code %d, screen\n%s\nwant %q", code, screen, want)
	}
	<-l.Done()
}

// Whoever types something else, nothing or ^D, or ^C, changes nothing.
func TestUnlockForceIsNotConfirmed(t *testing.T) {
	s := newSite(t)
	l := takeLock(t, s.client(t, "db-1"), "x")
	for typed, code := range map[string]int{"y\n": 1, "yes\n": 1, "X\n": 1, "\n": 1, "\x04": 1, "\x03": exitSignal + int(syscall.SIGINT)} {
		term := s.onTerminal(t, "unlock", "--force", "x")
		term.screen.await(t, "force release: ")
		term.enter(t, typed)
		got, screen := term.end(t)
		if got != code || code == 1 && !strings.HasSuffix(screen, "ldlm: that is not it; nothing was changed\n") {
			t.Errorf("%q: exit code %d, screen\n%s", typed, got, screen)
		}
	}
	if err := l.Err(); err != nil {
		t.Errorf("it was taken away: %v", err)
	}
}

// The hold that somebody was asked about is the one that is released, not the next.
func TestUnlockForceMeetsWhomItSaid(t *testing.T) {
	s := newSite(t)
	first := takeLock(t, s.client(t, "db-1"), "x")
	next := s.wait(t, "db-2", "x")
	term := s.onTerminal(t, "unlock", "--force", "x")
	term.screen.await(t, "force release: ")
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := <-next
	term.enter(t, "x\n")
	code, screen := term.end(t)
	if code != 1 || !strings.Contains(screen, "hold has ended already") || !strings.HasSuffix(screen, "Who holds it: ldlm get x\n") {
		t.Errorf("exit code %d, screen\n%s", code, screen)
	}
	if err := second.Err(); err != nil {
		t.Errorf("the next holder lost it: %v", err)
	}
}

// A name with control characters is shown, and typed, with them escaped.
func TestUnlockForceOfAStrangeName(t *testing.T) {
	s := newSite(t)
	name := "a\x1b[2J\nb"
	l := takeLock(t, s.client(t, "db\x1b[31m"), name, ldlm.Reason("\x07"))
	term := s.onTerminal(t, "unlock", "--force", name)
	if screen := term.screen.await(t, "force release: "); strings.Contains(screen, "\x1b") || strings.Contains(screen, "\x07") {
		t.Errorf("it does something to the terminal: %q", screen)
	}
	term.enter(t, `a\x1b[2J\nb`+"\n")
	if code, screen := term.end(t); code != 0 {
		t.Errorf("exit code %d, screen\n%s", code, screen)
	}
	<-l.Done()
}

// --yes asks nobody, also on a terminal.
func TestYesOnATerminal(t *testing.T) {
	s := newSite(t)
	l := takeLock(t, s.client(t, "db-1"), "x")
	if code, screen := s.onTerminal(t, "unlock", "--force", "--yes", "x").end(t); code != 64 || !strings.Contains(screen, "say which hold you mean") {
		t.Errorf("exit code %d, screen\n%s", code, screen)
	}
	if code, screen := s.onTerminal(t, "unlock", "--force", "--yes", "x", l.Key()).end(t); code != 0 || !strings.HasPrefix(screen, "Released.") {
		t.Errorf("exit code %d, screen\n%s", code, screen)
	}
	<-l.Done()
}

func TestSessionsKillIsConfirmed(t *testing.T) {
	s := newSite(t)
	l := takeLock(t, s.client(t, "db-1"), "x")
	for typed, code := range map[string]int{"2\n": 1, "x\n": 1} {
		term := s.onTerminal(t, "sessions", "kill", "1")
		term.screen.await(t, "Session 1 of ops@db-1 pid 41 holds 1 lock and waits for 0; it is attached.")
		term.screen.await(t, "Type the number of the session to end it: ")
		term.enter(t, typed)
		if got, screen := term.end(t); got != code || !strings.HasSuffix(screen, "nothing was changed\n") {
			t.Errorf("%q: exit code %d, screen\n%s", typed, got, screen)
		}
	}
	if err := l.Err(); err != nil {
		t.Fatalf("it was ended: %v", err)
	}
	term := s.onTerminal(t, "sessions", "kill", "1")
	term.screen.await(t, "Type the number of the session to end it: ")
	term.enter(t, "1\n")
	if code, screen := term.end(t); code != 0 || !strings.Contains(screen, "\nldlm: session 1 is ended; if word of it does not reach its client, that may believe in its locks for ") {
		t.Errorf("exit code %d, screen\n%s", code, screen)
	}
	<-l.Done()
	term = s.onTerminal(t, "sessions", "kill", "99")
	if code, screen := term.end(t); code != 1 || !strings.HasPrefix(screen, "ldlm: there is no session 99\n") {
		t.Errorf("exit code %d, screen\n%s", code, screen)
	}
}

// A terminal has colours, unless something says that it has not.
func TestColorsOnATerminal(t *testing.T) {
	s := newSite(t)
	takeLock(t, s.client(t, "db-1"), "x")
	for _, c := range []struct {
		env  environment
		args []string
		want bool
	}{
		{nil, nil, true},
		{environment{"TERM": "xterm"}, nil, true},
		{environment{"TERM": "dumb"}, nil, false},
		{environment{"NO_COLOR": "1"}, nil, false},
		{environment{"NO_COLOR": "1"}, []string{"--color", "always"}, true},
		{nil, []string{"--color=never"}, false},
		{nil, []string{"-o", "json"}, false},
	} {
		env := environment{"LDLM_ADDRESS": s.address}
		maps.Copy(env, c.env)
		code, screen := spawnOnTerminal(t, env, "ldlm", append([]string{"ls"}, c.args...)...).end(t)
		if got := strings.Contains(screen, "\x1b["); code != 0 || got != c.want || !strings.Contains(screen, "ops@db-1") && !strings.Contains(screen, `"name": "x"`) {
			t.Errorf("%+v: colours %t, exit code %d, screen %q", c, got, code, screen)
		}
	}
}

// On a terminal what is looked at again is a screen, and events are lines.
func TestScreens(t *testing.T) {
	s := newSite(t)
	c := s.client(t, "db-1")
	takeLock(t, c, "x")
	term := s.onTerminal(t, "ls", "-w", "--every", "0.01", "--color", "never")
	term.screen.awaitCount(t, "\x1b[H\x1b[K\r\nNAME  MODE", 3)
	term.enter(t, "\x03")
	if code, screen := term.end(t); code != 130 || strings.Contains(screen, "{") || !strings.Contains(screen, "\x1b[J") {
		t.Errorf("exit code %d, screen %q", code, screen)
	}
	term = s.onTerminal(t, "watch", "y", "--color", "never")
	for !strings.Contains(term.screen.String(), "  released          y                         ops@db-1 pid 41 token ") {
		// Whether it watches yet is seen by what it shows.
		if err := takeLock(t, c, "y").Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	term.enter(t, "\x03")
	if code, screen := term.end(t); code != 130 || strings.Contains(screen, "{") {
		t.Errorf("exit code %d, screen %q", code, screen)
	}
}

// A program that has no stdin at all is none the worse for it.
func TestClosedStdin(t *testing.T) {
	s := newSite(t)
	takeLock(t, s.client(t, "db-1"), "x")
	for args, code := range map[string]int{"ls": 0, "unlock --force x": 64, "sessions kill 1": 64, "sessions kill 1 --yes": 0} {
		c := exec.CommandContext(t.Context(), "/bin/sh", "-c", `exec "$0" "$@" <&-`, filepath.Join(programs, "ldlm"))
		c.Args = append(c.Args, strings.Fields(args)...)
		c.Env = s.env.list()
		out, _ := c.CombinedOutput() // the exit code is what it says
		if got := c.ProcessState.ExitCode(); got != code {
			t.Errorf("ldlm %s: exit code %d, want %d:\n%s", args, got, code, out)
		}
	}
}

// The real program ends as head's other victims do, and says nothing.
func TestReaderIsGone(t *testing.T) {
	s := newSite(t)
	takeLock(t, s.client(t, "db-1"), "x")
	for _, args := range []string{"ls", "ls -w --every 0.01", "get x -o json", "sessions ls", "status"} {
		c := exec.CommandContext(t.Context(), filepath.Join(programs, "ldlm"), strings.Fields(args)...)
		c.Env = s.env.list()
		stderr := newOutput()
		c.Stderr = stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // the signal is what it says
		if s := c.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGPIPE || stderr.String() != "" {
			t.Errorf("ldlm %s: %s, stderr %q", args, c.ProcessState, stderr.String())
		}
	}
}
