package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
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

func TestUnlockByKey(t *testing.T) {
	s := newSite(t)
	l := takeLock(t, s.client(t, "db-1"), "a b", ldlm.Lease(time.Minute))
	s.wants(t, 1, "", "ldlm: release \"a b\": that is not the key of a present hold; the hold has ended, or the key is another lock's\nWho holds it: ldlm get 'a b'\n",
		"unlock", "a b", "00000000-0000-0000-0000-000000000001")
	s.wants(t, 1, "", "there is no lock \"nope\"", "unlock", "nope", l.Key())
	s.wants(t, 64, "", "KEY is missing; without it --force takes the lock from its holder", "unlock", "a b")
	s.wants(t, 64, "", "go with --force", "unlock", "a b", l.Key(), "--token", "1")
	s.wants(t, 64, "", "one is enough", "unlock", "a b", l.Key(), "--token", "1", "--force")
	s.wants(t, 0, "", "ldlm: \"a b\": the lease ends in 1m30s\n", "renew", "a b", l.Key(), "--lease", "90")
	s.wants(t, 1, "", "Who holds it: ldlm get 'a b'\n", "renew", "a b", "x", "--lease", "90")
	s.wants(t, 64, "", "--lease is missing", "renew", "a b", l.Key())
	s.wants(t, 64, "", "KEY is missing", "renew", "a b")
	s.wants(t, 0, "", "ldlm: released \"a b\"\n", "unlock", "a b", l.Key())
	s.wants(t, 1, "", "that is not the key of a present hold", "unlock", "a b", l.Key())
	<-l.Done()
}

// A script says which hold it means, so that it cannot break a newer one.
func TestUnlockForceInScripts(t *testing.T) {
	s := newSite(t)
	first := takeLock(t, s.client(t, "db-1"), "a b")
	next := s.wait(t, "db-2", "a b")
	s.wants(t, 64, "", "ldlm unlock: there is no terminal to ask on; --yes says that you mean it\n", "unlock", "--force", "a b")
	s.wants(t, 64, "", "it is held by ops@db-1 pid 41\nIf that is it: ldlm unlock --force --yes --token "+tokenOf(first)+" 'a b'\n", "unlock", "--force", "--yes", "a b")
	s.wants(t, 1, "", "the hold that you mean has ended; it is held by ops@db-1 pid 41 now, and nothing was changed\n", "unlock", "--force", "--yes", "--token", "7", "a b")
	s.wants(t, 1, "", "there is no lock", "unlock", "--force", "--yes", "nope")
	if err := first.Err(); err != nil {
		t.Fatalf("it was taken away: %v", err)
	}
	got := s.ldlm(t, "unlock", "--force", "--yes", "--token", tokenOf(first), "a b", "--reason", "test")
	second := <-next
	want := "Released. Next holder: ops@db-2 pid 41 (token " + tokenOf(second) + "). Its holder may believe in it for "
	if got.code != 0 || got.stdout != "" || !strings.HasPrefix(got.stderr, want) {
		t.Errorf("got %+v, want %s", got, want)
	}
	<-first.Done()
	if lost := (*ldlm.LostError)(nil); !errors.As(first.Err(), &lost) || lost.Reason != ldlm.ReasonForced {
		t.Errorf("the holder is told %v", first.Err())
	}
	s.wants(t, 1, "", "now, and nothing was changed\nLook: ldlm get 'a b'\n", "unlock", "--force", "--yes", "--token", tokenOf(first), "a b")
	s.wants(t, 1, "", "and nothing was changed", "unlock", "--force", "--yes", "a b", first.Key())
	s.wants(t, 0, "", "Released. Nobody waits for it.", "unlock", "--force", "--yes", "a b", second.Key())
	<-second.Done()
	s.wants(t, 1, "", "ldlm: \"a b\" is not held\n", "unlock", "--force", "--yes", "a b")
	s.wants(t, 1, "", "ldlm: \"a b\" is not held\n", "unlock", "--force", "--yes", "--token", tokenOf(second), "a b")
}

func TestUnlockForceOfSeveral(t *testing.T) {
	s := newSite(t)
	c := s.client(t, "db-1")
	one, two := takeLock(t, c, "slots", ldlm.Size(2)), takeLock(t, c, "slots")
	s.wait(t, "db-2", "slots", ldlm.Permits(2))
	s.wants(t, 1, "", "\"slots\" has 2 holders; --token says which one you mean\nLook: ldlm get slots\n", "unlock", "--force", "--yes", "slots")
	s.wants(t, 0, "", "Released. 1 request waits for more permits than are free.", "unlock", "--force", "--yes", "--token", tokenOf(two), "slots")
	<-two.Done()
	if one.Err() != nil {
		t.Error("the other holder lost its hold")
	}
	s.wants(t, 0, "", "ldlm: \"slots\" has size 3\n", "resize", "slots", "3")
	s.wants(t, 64, "", "the size is \"0\"; want a number of at least 1", "resize", "slots", "0")
	s.wants(t, 64, "", "the size is \"x\"", "resize", "slots", "x")
	s.wants(t, 1, "", "there is no lock \"nope\"", "resize", "nope", "3")
}

// The lock delay after a hold is said, and cannot be taken away.
func TestUnlockForceOfLockDelay(t *testing.T) {
	s := newSite(t)
	l := takeLock(t, s.client(t, "db-1"), "x", ldlm.LockDelay(time.Minute))
	s.wants(t, 0, "", "Released. The lock delay keeps it shut for 1m more.", "unlock", "--force", "--yes", "--token", tokenOf(l), "x")
	s.wants(t, 1, "", "the lock delay after its last holder keeps it shut\n", "unlock", "--force", "--yes", "x")
}

// With --wait the holder is asked, and the command goes on until it has let go.
func TestUnlockForceGently(t *testing.T) {
	s := newSite(t)
	l := takeLock(t, s.client(t, "db-1"), "x")
	next := s.wait(t, "db-2", "x")
	r := start(t, Ldlm, s.env, "unlock", "--force", "--yes", "--wait", "--token", tokenOf(l), "x")
	r.stderr.await(t, "The holder was asked to let go; it loses the lock in ")
	<-l.Done()
	s.wants(t, 0, "Revoked:", "", "get", "x")
	if err := l.Release(t.Context()); err != nil && !errors.Is(err, ldlm.ErrLost) {
		t.Fatal(err)
	}
	second := <-next
	if got, want := r.wait(), "Released. Next holder: ops@db-2 pid 41 (token "+tokenOf(second)+").\n"; got.code != 0 || !strings.HasSuffix(got.stderr, want) {
		t.Errorf("got %+v, want %s", got, want)
	}
	r = start(t, Ldlm, s.env, "unlock", "--force", "--yes", "--wait", "--token", tokenOf(second), "x")
	r.stderr.await(t, "The holder was asked to let go")
	if got := r.stop(os.Interrupt); got.code != 130 {
		t.Errorf("^C while it waits: %+v", got)
	}
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
	s.wants(t, 0, "", "ldlm: session 1 is ended; its client may believe in its locks for ", "sessions", "kill", "1", "--yes", "--reason", "test")
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

func TestWatch(t *testing.T) {
	s := newSite(t)
	all := start(t, Ldlm, s.env, "watch")
	some := start(t, Ldlm, s.env, "watch", "*77", "--types", "released,expired", "-o", "json")
	lines := start(t, Ldlm, s.env, "watch", "invoice/77", "-o", "table")
	c := s.client(t, "db-1")
	visit := func() { _ = s.ldlm(t, "unlock", "x", "y") } // opens a session, and fails
	// Whether they watch yet is seen by what they show.
	for seen := false; !seen; {
		if err := takeLock(t, c, "probe 77").Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := takeLock(t, c, "invoice/77").Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		visit()
		seen = strings.Contains(all.stdout.String(), "session_opened") && strings.Contains(some.stdout.String(), "invoice/77") &&
			strings.Contains(lines.stdout.String(), "released")
	}
	for name, r := range map[string]*running{"all": all, "some": some, "lines": lines} {
		if got := r.stop(os.Interrupt); got.code != 130 || got.stderr != "" {
			t.Errorf("%s: exit code %d, stderr %q", name, got.code, got.stderr)
		}
	}
	types := map[string]bool{}
	for _, e := range eventsIn(t, all.stdout.String()) {
		types[e.Type] = true
	}
	if !types["session_opened"] || !types["acquired"] || !types["released"] {
		t.Errorf("events of the types %v", types)
	}
	for _, e := range eventsIn(t, some.stdout.String()) {
		if e.Type != "released" || e.Lock != "probe 77" && e.Lock != "invoice/77" || e.HeldMS == nil || e.Holder.Client.Host != "db-1" {
			t.Errorf("it shows %+v", e)
		}
	}
	if text := lines.stdout.String(); strings.Contains(text, "probe") || !strings.Contains(text, "  released          invoice/77                ops@db-1 pid 41 token ") {
		t.Errorf("it shows\n%s", text)
	}
	s.wants(t, 64, "", `there is no event "nope"`, "watch", "--types", "nope")
}

func eventsIn(t *testing.T, lines string) []document.Event {
	t.Helper()
	var all []document.Event
	for line := range strings.Lines(lines) {
		var e document.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, e)
	}
	return all
}

// Where events were missed one stands in for them.
func TestWatchFromAnEventThatIsGone(t *testing.T) {
	s := newSite(t)
	r := start(t, Ldlm, s.env, "watch", "--after", "123456789")
	r.stdout.await(t, `"type":"reset"}`+"\n")
	r.stderr.await(t, "ldlm: events were missed")
	if got := r.stop(os.Interrupt); got.code != 130 {
		t.Errorf("got %+v", got)
	}
}

// Again and again, a line for each look.
func TestLookAgain(t *testing.T) {
	s := newSite(t)
	takeLock(t, s.client(t, "db-1"), "x")
	for _, args := range []string{"ls", "get x", "sessions ls", "sessions get 1", "status"} {
		r := start(t, Ldlm, s.env, append(strings.Fields(args), "-w", "--every", "0.01")...)
		r.stdout.awaitCount(t, "\n", 3)
		got := r.stop(os.Interrupt)
		if got.code != 130 || got.stderr != "" {
			t.Errorf("%s: exit code %d, stderr %q", args, got.code, got.stderr)
		}
		for line := range strings.Lines(got.stdout) {
			if !json.Valid([]byte(line)) || !strings.HasSuffix(line, "\n") {
				t.Errorf("%s: a line %q", args, line)
			}
		}
	}
	s.wants(t, 1, "", "there is no lock", "get", "nope", "-w")
}

// A server that is gone is waited for, once it has answered.
func TestLookAgainAtAServerThatIsGone(t *testing.T) {
	address := freePort(t)
	server := startServer(t, nil, "-l", address)
	server.address(t)
	r := start(t, Ldlm, environment{"LDLM_ADDRESS": address}, "status", "-w", "--every", "0.01")
	r.stdout.await(t, "\n")
	server.stop(syscall.SIGTERM)
	r.stderr.await(t, "ldlm: status: no server can serve: ")
	if got := r.stop(os.Interrupt); got.code != 130 {
		t.Errorf("got %+v", got)
	}
}

// asking are all commands that ask a server, as they are called.
var asking = []string{
	"ls", "get x", "watch", "sessions ls", "sessions get 1", "sessions kill 1 --yes", "unlock x y", "unlock --force --yes x",
	"unlock --force --yes --token 1 x", "renew x y --lease 1", "resize x 2", "status", "ping", "ls -w",
}

func TestNoServer(t *testing.T) {
	address := freePort(t)
	for _, args := range asking {
		got := call(t, Ldlm, environment{"LDLM_ADDRESS": address}, strings.Fields(args)...)
		if got.code != 69 || got.stdout != "" || !strings.HasPrefix(got.stderr, "ldlm: ") || !strings.Contains(got.stderr, "connection refused") ||
			!strings.HasSuffix(got.stderr, "\nIs a server there? One to try things with: ldlm dev. Elsewhere: --address HOST:PORT, or LDLM_ADDRESS. Asked: "+address+".\n") {
			t.Errorf("ldlm %s: got %+v", args, got)
		}
	}
}

// Somebody listens and says nothing: that is as good as nobody, except where
// something may have been changed.
func TestServerThatSaysNothing(t *testing.T) {
	address := takePort(t).Addr().String()
	for _, args := range []string{"ls", "get x", "sessions ls", "status", "ping", "wait-ready"} {
		got := call(t, Ldlm, environment{"LDLM_ADDRESS": address}, append(strings.Fields(args), "--timeout", "0.1")...)
		if got.code != 69 || got.stdout != "" || !strings.Contains(got.stderr, "no answer within 100ms (--timeout)") || !strings.HasSuffix(got.stderr, "Asked: "+address+".\n") {
			t.Errorf("ldlm %s: got %+v", args, got)
		}
	}
}

func TestWrongPassword(t *testing.T) {
	address := startServer(t, environment{"LDLM_PASSWORD": "swordfish"}).address(t)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("swordfish\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, env := range []environment{{}, {"LDLM_PASSWORD": "haddock"}} {
		env["LDLM_ADDRESS"] = address
		for _, args := range append(asking, "wait-ready") {
			got := call(t, Ldlm, env, strings.Fields(args)...)
			if got.code != 77 || got.stdout != "" || !strings.HasSuffix(got.stderr, "\nThe password comes from --password-file FILE, or LDLM_PASSWORD.\n") {
				t.Errorf("ldlm %s: got %+v", args, got)
			}
		}
		if got := call(t, Ldlm, env, "ls", "--password-file", file); got.code != 0 {
			t.Errorf("with the password: got %+v", got)
		}
	}
	got := call(t, Ldlm, environment{"LDLM_ADDRESS": address}, "ls", "--password-file", file+".not")
	if got.code != 64 || !strings.HasPrefix(got.stderr, "ldlm: cannot read the file of the password: ") {
		t.Errorf("got %+v", got)
	}
}

// Whoever reads has had enough: nothing is said.
func TestBrokenPipe(t *testing.T) {
	s := newSite(t)
	takeLock(t, s.client(t, "db-1"), "x")
	for _, args := range [][]string{{"ls"}, {"ls", "-w"}, {"watch", "--after", "123456789", "-q"}, {"context", "ls"}, {"ping", "-o", "json"}} {
		stderr := newOutput()
		code := Ldlm(Process{
			Args: args, Stdin: strings.NewReader(""), Stdout: brokenPipe{}, Stderr: stderr, Getenv: s.env.in(t.TempDir()),
			Notify: func() (<-chan os.Signal, func()) { return nil, func() {} },
		})
		if code != 141 || stderr.String() != "" {
			t.Errorf("ldlm %q: exit code %d, stderr %q", args, code, stderr.String())
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}

// What cannot be written for another reason is a failure.
func TestFullDisk(t *testing.T) {
	s := newSite(t)
	stderr := newOutput()
	code := Ldlm(Process{
		Args: []string{"ls"}, Stdout: fullDisk{}, Stderr: stderr, Getenv: s.env.in(t.TempDir()),
		Notify: func() (<-chan os.Signal, func()) { return nil, func() {} },
	})
	if code != 1 || !strings.Contains(stderr.String(), "no space left on device") {
		t.Errorf("exit code %d, stderr %q", code, stderr.String())
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestCompletion(t *testing.T) {
	s := newSite(t)
	c := s.client(t, "db-1")
	for _, name := range []string{"nightly", "next one", "a\nb", "other"} {
		takeLock(t, c, name)
	}
	home := s.env
	home["XDG_CONFIG_HOME"] = t.TempDir()
	s.wants(t, 0, "", "", "context", "add", "prod", "--address", "x:1")
	for args, want := range map[string]string{
		"get n":                     "nightly|next one",
		"get ":                      "nightly|next one|other",
		"unlock o":                  "other",
		"renew o":                   "other",
		"resize o":                  "other",
		"watch o":                   "other",
		"ls o":                      "other",
		"describe o":                "other",
		"get other ":                "",
		"sessions get ":             "1\tops@db-1 pid 41",
		"context use ":              "prod",
		"ls --context ":             "prod",
		"ls --sort ":                "name|age|waiters|lease",
		"ls --color ":               "auto|always|never",
		"watch --types ":            strings.Join(eventWords(), "|"),
		"ls --address 127.0.0.1:1 ": "",
	} {
		got := s.ldlm(t, append([]string{"__complete"}, strings.Split(args, " ")...)...)
		var names []string
		for line := range strings.Lines(got.stdout) {
			if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, ":") {
				names = append(names, line)
			}
		}
		if all := strings.Join(names, "|"); got.code != 0 || all != want {
			t.Errorf("ldlm %s<tab>: %q, want %q", args, all, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := s.ldlm(t, "completion", shell); got.code != 0 || !strings.Contains(got.stdout, "__complete") {
			t.Errorf("%s: exit code %d, stderr %q", shell, got.code, got.stderr)
		}
	}
}

// A shell is not kept waiting by a server that says nothing.
func TestCompletionOfASilentServer(t *testing.T) {
	address := takePort(t).Addr().String()
	got := call(t, Ldlm, environment{"LDLM_ADDRESS": address}, "__complete", "get", "")
	if got.code != 0 || got.stdout != ":4\n" {
		t.Errorf("got %+v", got)
	}
}
