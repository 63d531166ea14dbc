package cli

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

// A site is a server, and commands that ask it.
type site struct {
	address string
	env     environment
}

func newSite(t *testing.T) *site {
	t.Helper()
	address := startServer(t, nil).address(t)
	return &site{address, environment{"LDLM_ADDRESS": address}}
}

// ldlm runs a command to its end.
func (s *site) ldlm(t *testing.T, args ...string) result {
	t.Helper()
	return call(t, Ldlm, s.env, args...)
}

// wants runs a command and checks how it ends: the exit code, and what stdout and
// stderr have in them. "" means that there is nothing.
func (s *site) wants(t *testing.T, code int, stdout, stderr string, args ...string) result {
	t.Helper()
	got := s.ldlm(t, args...)
	if got.code != code || !strings.Contains(got.stdout, stdout) || !strings.Contains(got.stderr, stderr) ||
		stdout == "" && got.stdout != "" || stderr == "" && got.stderr != "" {
		t.Errorf("ldlm %q: exit code %d, want %d\nstdout %q, want %q\nstderr %q, want %q", args, got.code, code, got.stdout, stdout, got.stderr, stderr)
	}
	return got
}

// client is a client of the server until the test ends. What tests do with it must
// not depend on the machine.
func (s *site) client(t *testing.T, host string, opts ...ldlm.DialOption) *ldlm.Client {
	t.Helper()
	info := ldlm.WithClientInfo(ldlm.ClientInfo{Host: host, PID: 41, User: "ops", Program: "job"})
	c, err := ldlm.Dial(s.address, append([]ldlm.DialOption{info}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // what is held may have been taken away
	return c
}

// takeLock holds a lock.
func takeLock(t *testing.T, c *ldlm.Client, name string, opts ...ldlm.LockOption) *ldlm.Lock {
	t.Helper()
	l, err := c.Lock(t.Context(), name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// wait lets a client wait for a lock, and returns once it does. What it gets comes
// out of the channel.
func (s *site) wait(t *testing.T, host, name string, opts ...ldlm.LockOption) <-chan *ldlm.Lock {
	t.Helper()
	waits := make(chan struct{}, 1)
	c := s.client(t, host, ldlm.WithHooks(ldlm.Hooks{OnWait: func(ldlm.Wait) { waits <- struct{}{} }}))
	got := make(chan *ldlm.Lock, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if l, err := c.Lock(ctx, name, opts...); err == nil {
			got <- l
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	<-waits
	return got
}

func tokenOf(l *ldlm.Lock) string { return strconv.FormatUint(l.Token(), 10) }

func TestLs(t *testing.T) {
	s := newSite(t)
	c := s.client(t, "db-1")
	takeLock(t, c, "a/held", ldlm.Lease(time.Minute), ldlm.Reason("because"))
	takeLock(t, c, "a/contended")
	if err := takeLock(t, c, "b/idle").Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "db-2", "a/contended")
	for args, want := range map[string]string{
		"":                        "a/contended a/held b/idle",
		"*":                       "a/contended a/held b/idle",
		"a/*":                     "a/contended a/held",
		"*d":                      "a/contended a/held",
		"a/held":                  "a/held",
		"a/h":                     "",
		"--held":                  "a/contended a/held",
		"--contended":             "a/contended",
		"--idle":                  "b/idle",
		"b* --held":               "",
		"--sort waiters":          "a/contended a/held b/idle",
		"--sort lease --held":     "a/held a/contended",
		"--no-such":               "",
		"--held --idle":           "",
		"--sort size":             "",
		"a b":                     "",
		"-o nonsense":             "",
		"-o go-template={{.nope":  "",
		"--address 127.0.0.1:1:1": "",
	} {
		got := s.ldlm(t, append([]string{"ls", "-o", "name"}, strings.Fields(args)...)...)
		refused := strings.HasPrefix(args, "--no") || args == "--held --idle" || strings.HasSuffix(args, " size") || args == "a b" ||
			strings.HasPrefix(args, "-o") || strings.HasPrefix(args, "--address")
		if names := strings.Join(strings.Fields(got.stdout), " "); names != want || refused != (got.code == 64) || refused != (got.stderr != "") {
			t.Errorf("ldlm ls %s: got %+v, want %q", args, got, want)
		}
	}
	s.wants(t, 0, "a/held       excl  1/1   ops@db-1 pid 41  ", "", "ls")
	s.wants(t, 0, "  session  1\n", "", "list")
}

func TestGet(t *testing.T) {
	s := newSite(t)
	c := s.client(t, "db-1")
	strange := "a b\n\x1b[31m漢"
	l := takeLock(t, c, strange, ldlm.Reason("weekly"))
	s.wait(t, "db-2", strange, ldlm.WaitAtMost(time.Hour))
	got := s.wants(t, 0, "Name:     a b\\n\\x1b[31m漢\nState:    held (exclusive, size 1), token "+tokenOf(l)+"\nHolder:   ops@db-1 pid 41 (job), session 1, plain ", "", "get", strange)
	for _, part := range []string{"Queue:    1  ops@db-2 pid 41  waiting ", ", gives up in 1h\n", "acquired  ops@db-1 pid 41 token " + tokenOf(l), "Reason:   weekly\n"} {
		if !strings.Contains(got.stdout, part) {
			t.Errorf("it lacks %q:\n%s", part, got.stdout)
		}
	}
	var doc document.Lock
	if err := json.Unmarshal([]byte(s.ldlm(t, "describe", strange, "-o", "json").stdout), &doc); err != nil || doc.Name != strange ||
		doc.Holders[0].Token != document.NumberOf(l.Token()) || len(doc.Waiters) != 1 || len(doc.Events) != 2 {
		t.Errorf("got %+v, %v", doc, err)
	}
	s.wants(t, 1, "", "ldlm: there is no lock \"no\\nsuch\"; one that nobody holds or waits for is forgotten after a while\nWhat there is: ldlm ls\n", "get", "no\nsuch")
	s.wants(t, 64, "", "ldlm get: NAME is missing\nSee: ldlm get --help\n", "get")
	s.wants(t, 64, "", "ldlm get: NAME is empty\n", "get", "")
}

func TestSessions(t *testing.T) {
	s := newSite(t)
	c := s.client(t, "db-1", ldlm.WithTTL(time.Minute))
	l := takeLock(t, c, "x")
	s.wants(t, 0, "1        ops@db-1 pid 41  attached  ", "", "sessions", "ls")
	s.wants(t, 0, "1\n", "", "sessions", "ls", "-o", "name")
	s.wants(t, 0, "Holds:    x  token "+tokenOf(l)+"  held ", "", "sessions", "get", "1")
	s.wants(t, 0, `"ttl_ms": 60000,`, "", "sessions", "describe", "1", "-o", "json")
	s.wants(t, 1, "", "ldlm: there is no session 99\nWhat there is: ldlm sessions ls\n", "sessions", "get", "99")
	s.wants(t, 1, "", "ldlm: there is no session 99\n", "sessions", "kill", "99", "--yes")
	s.wants(t, 64, "", "no number of a session", "sessions", "get", "x")
	s.wants(t, 64, "", "no number of a session", "sessions", "kill", "0")
	s.wants(t, 64, "", "NUMBER is missing", "sessions", "kill")
	s.wants(t, 64, "", "there is no terminal to ask on; --yes says that you mean it", "sessions", "kill", "1")
	s.wants(t, 0, "", "ldlm: session 1 is ended; if word of it does not reach its client, that may believe in its locks for ", "sessions", "kill", "1", "--yes", "--reason", "test")
	<-l.Done()
	s.wants(t, 0, "SESSION  CLIENT", "", "sessions", "ls")
	s.wants(t, 0, "Show and end sessions", "", "sessions")
}

func TestStatusAndPing(t *testing.T) {
	s := newSite(t)
	takeLock(t, s.client(t, "db-1"), "x")
	s.wants(t, 0, "Locks:    1: 1 held, 0 contended\n", "", "status")
	s.wants(t, 0, "storage: memory\n", "", "status", "-o", "yaml")
	s.wants(t, 0, s.address+" answers in ", "", "ping")
	s.wants(t, 0, s.address+"\n", "", "ping", "-o", "name")
	s.wants(t, 0, "", "ldlm: "+s.address+" answers\n", "wait-ready")
	s.wants(t, 0, "", "", "wait-ready", "-q")
	var pong document.Pong
	if err := json.Unmarshal([]byte(s.ldlm(t, "ping", "-o", "json").stdout), &pong); err != nil || pong.Address != s.address || pong.RoundTripMS <= 0 {
		t.Errorf("got %+v, %v", pong, err)
	}
}

// It goes on until there is a server.
func TestWaitReady(t *testing.T) {
	address := freePort(t)
	r := start(t, Ldlm, environment{"LDLM_ADDRESS": address}, "wait-ready", "--timeout", "1m")
	startServer(t, nil, "-l", address).address(t)
	if got, want := r.wait(), (result{0, "", "ldlm: " + address + " answers\n"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	r = start(t, Ldlm, environment{"LDLM_ADDRESS": freePort(t)}, "wait-ready", "--timeout", "1m")
	if got, want := r.stop(syscall.SIGTERM), (result{143, "", ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got := call(t, Ldlm, environment{"LDLM_ADDRESS": freePort(t)}, "wait-ready", "--timeout", "0.2")
	if got.code != 69 || !strings.HasPrefix(got.stderr, "ldlm: no answer within 200ms (--timeout): status: ") {
		t.Errorf("got %+v", got)
	}
}
