package cli

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/ldlm-io/ldlm/internal/document"
)

func TestWatch(t *testing.T) {
	s := newSite(t)
	all := start(t, Ldlm, s.env, "watch")
	some := start(t, Ldlm, s.env, "watch", "*77", "--types", "released,expired", "-o", "json")
	lines := start(t, Ldlm, s.env, "watch", "invoice/77", "-o", "table")
	c := s.client(t, "db-1")
	// Whether they watch yet is seen by what they show.
	for seen := false; !seen; {
		if err := takeLock(t, c, "probe 77").Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := takeLock(t, c, "invoice/77").Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = s.ldlm(t, "unlock", "x", "y") // opens a session, and fails
		text := all.stdout.String()
		seen = strings.Contains(text, `"session_opened"`) && strings.Contains(text, `"acquired"`) && strings.Contains(text, `"released"`) &&
			strings.Contains(some.stdout.String(), "invoice/77") && strings.Contains(lines.stdout.String(), "released")
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

// A screen shows what there is room for, and does not scroll.
func TestOnScreen(t *testing.T) {
	v := view{lines: func(bool, bool) []string { return []string{"a", "b", "c", "d"} }}
	for height, want := range map[int]string{
		0:  "a b c d",
		24: "a b c d",
		6:  "a b c d",
		5:  "a b … and 2 more",
		3:  "… and 4 more",
		1:  "… and 4 more",
	} {
		lines := onScreen(v, height).lines(false, false)
		got := strings.ReplaceAll(strings.Join(lines[1:len(lines)-1], " "), "\x1b[K", "")
		if got != want || lines[0] != "\x1b[?7l\x1b[H\x1b[K" || lines[len(lines)-1] != "\x1b[J\x1b[?7h" {
			t.Errorf("on %d lines: %q, want %q", height, lines, want)
		}
	}
}
