package archive_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm/internal/archive"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog/raftlogtest"
)

// A dump has everything but what would let others in.
func TestDump(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n, _, _ := open(t, dir)
	fill(t, n)
	killed := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	parts, words := dumped(t, killed)
	for _, want := range []string{
		`cluster `, `member "local", format 1`,
		"LogConfiguration", "passed\n  birth wall=", `open ttl="20s" info={host="db-1" pid=7 user="ops"}`,
		`acquire session=1 request_id="r1" attempt=1 items=[{name="in a session"}] key="`,
		`note={reason="nightly" labels=["team=db"] value="v\x00"}`,
		`acquire items=[{name="outside" size=3 permits=2}] lease="600s" key="cafebabe"`,
		`release name="gone" key="09000000"`,
		"state after entry ", `lock "outside" held 2 of 3`, `held by 1 (ops@db-1 pid 7) 1 permit`,
	} {
		if !strings.Contains(words, want) {
			t.Errorf("%q is missing", want)
		}
	}
	all := words
	kinds := map[string]int{}
	for _, p := range parts {
		var part struct {
			Part     string `json:"part"`
			Commands []struct {
				Command string         `json:"command"`
				Fields  map[string]any `json:"fields"`
			} `json:"commands"`
		}
		if err := json.Unmarshal(p, &part); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		kinds[part.Part]++
		for _, c := range part.Commands {
			kinds[c.Command]++
		}
		all += string(p)
	}
	for _, want := range []string{"identity", "entry", "state", "birth", "join", "set_settings", "open", "acquire", "release"} {
		if kinds[want] == 0 {
			t.Errorf("there is no %s in %v", want, kinds)
		}
	}
	for _, hidden := range []string{key.String(), "deadbeef", "222 173 190 239", "222,173,190,239", key.String()[:13]} {
		if strings.Contains(all, hidden) {
			t.Errorf("%s is told", hidden)
		}
	}
	if t.Failed() {
		t.Log(words)
	}
}

// Directories that cannot be told of say why.
func TestDumpRefuses(t *testing.T) {
	missing, empty, damaged, used := filepath.Join(t.TempDir(), "none"), t.TempDir(), filled(t), filepath.Join(t.TempDir(), "used")
	open(t, used)
	logs, err := filepath.Glob(filepath.Join(damaged, "log", "*.wal"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("there is no log: %v", err)
	}
	b, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	const inside = 200
	b[inside] ^= 1
	write(t, logs[0], b)
	for dir, want := range map[string]string{
		missing: "no such file", empty: "is empty", damaged: logs[0], used: raftlog.ErrInUse.Error(),
	} {
		err := archive.Dump(dir, func(archive.Part) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, saved := archive.Save(dir, &diary{}); saved == nil {
			t.Errorf("%s: it was saved", dir)
		}
	}
}

// Who saves the directory of one of several members is told of whom it knows.
func TestSaveKnowsTheMembers(t *testing.T) {
	several := filepath.Join(t.TempDir(), "several")
	c := raftlogtest.New(t).Config(raftlog.Config{Dir: several, Member: "a"}, "a", "b", "c")
	j, err := raftlog.Open(c, struct{ journal.Machine }{}) // which is asked nothing: nobody leads
	if err != nil {
		t.Fatal(err)
	}
	_ = j.Close() // nothing was written that matters
	for dir, want := range map[string]string{filled(t): "local", several: "a b c"} {
		members, err := archive.Save(dir, &diary{})
		if got := strings.Join(members, " "); err != nil || got != want {
			t.Errorf("members %q: %v, want %q", got, err, want)
		}
	}
}
