package sim

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tableFault is a rule that lives in the table, and how to break it: a piece of
// text of one of its files and what stands there instead.
type tableFault struct {
	rule, file, old, new string
	harm                 harm
}

var tableFaults = []tableFault{
	{"a report about an older connection is void", "session.go",
		"	if !s.attached() || s.attach != c.Attach {", "	if !s.attached() {", safety},
	{"a session is resumed with its secret", "session.go",
		"id == 0 || !t.sessions.at(id).proves(&c.Secret) || t", "id == 0 || t", safety},
	{"a retried open finds its session", "session.go",
		"id := t.sessionBySecret[c.Secret]; id != 0 {",
		"id := t.sessionBySecret[c.Secret]; id != 0 && t.sessions.at(id).byCalls {", safety},
	{"what a member cut is no end by the client", "session.go",
		"case s.onEnd == OnEndAlways, s.onEnd == OnEndClose && c.ByClient:",
		"case s.onEnd == OnEndAlways, s.onEnd == OnEndClose:", safety},
	{"sessions of a member that is replaced run from its deadline", "member.go",
		"	if certain {\n", "	if true {\n", safety},
	{"silence counts", "session.go", "max(0, s.ttl-max(0, c.Silent))", "s.ttl", liveness},
	{"a request that comes again is not carried out again", "recall.go",
		"	if sl.state != slotBarred && sl.digest != digest {",
		"	if sl.state == slotGranted && sl.ref == 0 {\n		return sl, Outcome{}, fresh\n	}\n" +
			"	if sl.state != slotBarred && sl.digest != digest {", liveness},
	{"a cancel that comes first bars its request", "release.go",
		"		t.remember(sid, &c.Caller, slot{state: slotBarred})\n", "", liveness},
	{"a grant that was faster than its cancel is given back", "release.go",
		"			t.endHold(id, GivenBack, false)\n", "			_ = id\n", liveness},
	{"an older connection asks no more", "recall.go",
		"		if c.Attach != s.attach || !s.attached() {", "		if !s.attached() {", liveness},
	{"a retry does not restart the wait", "queue.go", "		r = t.openRequest(id)\n",
		"		r = t.openRequest(id)\n		if r.deadline != 0 {\n			t.setRequestDeadline(id, t.now+Time(10*Second))\n		}\n",
		liveness},
	{"a token names the grant", "release.go",
		"id = t.holdByToken(lock, h.Token); id != 0 && t.holds.at(id).session != sid {",
		"id = t.locks.at(lock).firstHold; id != 0 && t.holds.at(id).session != sid {", liveness},
	{"tokens grow", "grant.go", "	t.token++\n	g.token", "	g.token", safety},
	{"the fence is the token of the last exclusive grant", "grant.go",
		"		l.fence = g.token\n", "		_ = l.fence\n", liveness},
	{"a birth lifts the fences", "admin.go", "		t.liftFences()\n", "", liveness},
	{"nobody overtakes who waits", "acquire.go",
		"l := t.locks.at(id); l.waiting > 0 || !l", "l := t.locks.at(id); !l", safety},
	{"nothing is granted in the quiet time", "acquire.go",
		"	if blocked < 0 && !t.quiet() {", "	if blocked < 0 {", safety},
	{"a lease ends", "grant.go", "	if g.lease != 0 {\n", "	if g.lease < 0 {\n", liveness},
	{"a revocation is told again", "session.go", "	t.remindRevoked(s)\n", "", safety},
}

// TestTableRulesMatter breaks rules that live in the table, each in a copy that
// the compiler gets as an overlay, and expects runs to show it.
func TestTableRulesMatter(t *testing.T) {
	if os.Getenv("LDLM_SIM_SLOW") == "" {
		t.Skip("set LDLM_SIM_SLOW to build the table anew for each rule")
	}
	for i := range tableFaults {
		t.Run(tableFaults[i].rule, func(t *testing.T) { tableFaults[i].try(t) })
	}
}

// try runs the simulation over a broken table.
func (f *tableFault) try(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay="+f.overlay(t), "-vet=off", "-count=1",
		"-failfast", "-run=^TestSeeds$", ".")
	cmd.Env = append(os.Environ(), "LDLM_SIM_SEEDS=1500", "LDLM_SIM_MUTED="+((safety|liveness)&^f.harm).String())
	out, err := cmd.CombinedOutput()
	switch found := regexp.MustCompile(`seed \d+: [^\n]*`).Find(out); {
	case err == nil:
		t.Error("no run shows it")
	case found == nil:
		t.Errorf("the tests fail otherwise: %s", out[:min(len(out), 2000)])
	default:
		t.Logf("%s", found)
	}
}

// overlay writes the broken file and what tells the compiler of it.
func (f *tableFault) overlay(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "lock", f.file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), f.old); n != 1 {
		t.Fatalf("%s has the text %d times, not once", f.file, n)
	}
	dir := t.TempDir()
	patched, overlay := filepath.Join(dir, f.file), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: patched}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		patched: strings.Replace(string(source), f.old, f.new, 1),
		overlay: string(list),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}
