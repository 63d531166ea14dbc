package raftlog

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// openRolled opens a member of three whose journals are introduced to each other.
func openRolled(t *testing.T, dir string) *Journal {
	t.Helper()
	cfg := small(dir)
	_, cfg.Transport = raft.NewInmemTransport("a")
	cfg.Courier = postOf{&post{}, "a"}
	cfg.Member, cfg.Cluster = "a", "0123"
	cfg.Peers = []Peer{{"a", "a"}, {"b", "b"}, {"c", "c"}}
	var introduced *Roll
	cfg.Introduce = func(r *Roll) { introduced = r }
	j, err := Open(cfg, &tape{})
	if err != nil {
		t.Fatal(err)
	}
	if introduced == nil || introduced != j.Roll() {
		t.Fatal("the members were not introduced")
	}
	return j
}

func closeRolled(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// Who was met is known for good, and another directory under the same name is refused.
func TestRoll(t *testing.T) {
	dir := fastDir(t)
	j := openRolled(t, dir)
	r, self := j.Roll(), j.Roll().Self()
	if err := r.Meet("b", "01", false); err != nil {
		t.Error(err)
	}
	if err := r.Meet("b", "01", true); err == nil || !strings.Contains(err.Error(), "still waits for c") {
		t.Errorf("before all have met: %v", err)
	}
	if err := r.Meet("joins", "04", false); err != nil {
		t.Error(err)
	}
	if d, _ := r.Of("joins"); d != "" {
		t.Errorf("who is no member yet is known with %q", d)
	}
	if err := r.Meet("c", "02", true); err != nil {
		t.Errorf("when all have met: %v", err)
	}
	closeRolled(t, j)
	if err := r.Meet("d", "03", true); !errors.Is(err, errClosed) {
		t.Errorf("after the end: %v", err)
	}
	j = openRolled(t, dir)
	defer closeRolled(t, j)
	r = j.Roll()
	if r.Self() != self || self == "" {
		t.Errorf("the directory was %q and is %q", self, r.Self())
	}
	for name, want := range map[string]string{"b": "01", "c": "02", "d": ""} {
		if got, _ := r.Of(name); got != want {
			t.Errorf("%s is known with %q, want %q", name, got, want)
		}
	}
	for _, speaks := range []bool{false, true} {
		if err := r.Meet("b", "05", speaks); err == nil || !strings.Contains(err.Error(), "ldlm cluster remove b") {
			t.Errorf("another directory: %v", err)
		}
		if err := r.Meet("b", "", speaks); (err == nil) == speaks {
			t.Errorf("no directory, and speaks is %v: %v", speaks, err)
		}
	}
	if err := r.Meet("b", "01", true); err != nil {
		t.Error(err)
	}
}

// A member learns from others that it has forgotten what it confirmed, and fails for good.
func TestDisowned(t *testing.T) {
	for want, claim := range map[string]func(r *Roll) (string, uint64){
		"another data directory": func(*Roll) (string, uint64) { return "01", 0 },
		"an older copy":          func(r *Roll) (string, uint64) { return r.Self(), 1000 },
	} {
		j := openRolled(t, fastDir(t))
		r := j.Roll()
		for _, fine := range []struct {
			directory string
			entry     uint64
		}{{"", 0}, {r.Self(), 0}, {r.Self(), j.raft.LastIndex()}} {
			if err := r.Hear("b", fine.directory, fine.entry); err != nil {
				t.Errorf("%+v: %v", fine, err)
			}
		}
		directory, entry := claim(r)
		err := r.Hear("b", directory, entry)
		if !errors.Is(err, journal.ErrFatal) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "ldlm cluster remove a") {
			t.Errorf("%v, want %q", err, want)
		}
		if _, err := j.Lead(t.Context()); !errors.Is(err, journal.ErrFatal) {
			t.Errorf("the lead: %v", err)
		}
		if err := j.Join(t.Context(), Peer{Address: "b"}); !errors.Is(err, journal.ErrFatal) || strings.Count(err.Error(), want) != 1 {
			t.Errorf("joining: %v", err)
		}
		if err := j.Close(); !errors.Is(err, journal.ErrFatal) {
			t.Errorf("the end: %v", err)
		}
	}
}

// What is noted of a member grows only.
func TestNote(t *testing.T) {
	j := openRolled(t, fastDir(t))
	defer closeRolled(t, j)
	for _, entry := range []uint64{5, 3} {
		j.Roll().Note("b", entry)
		if _, got := j.Roll().Of("b"); got != 5 {
			t.Errorf("noted %d, have %d", entry, got)
		}
	}
}

// A directory of before directories had identities gets one, and waits for nobody.
func TestOlderDirectory(t *testing.T) {
	dir := fastDir(t)
	closeRolled(t, openRolled(t, dir))
	d, err := openDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	d.Directory, d.Awaits = "", nil
	disk := newDisk(slog.New(slog.DiscardHandler), time.Hour, nil)
	if err := d.writeIdentity(disk); err != nil {
		t.Fatal(err)
	}
	disk.running.rest()
	d.close()
	if b, err := os.ReadFile(filepath.Join(dir, "identity")); err != nil || strings.Contains(string(b), "directory") {
		t.Fatalf("%s, %v", b, err)
	}
	j := openRolled(t, dir)
	self := j.Roll().Self()
	if self == "" {
		t.Error("it has no identity")
	}
	if err := j.Roll().Meet("b", "01", true); err != nil {
		t.Error(err)
	}
	closeRolled(t, j)
	j = openRolled(t, dir)
	defer closeRolled(t, j)
	if got := j.Roll().Self(); got != self {
		t.Errorf("the identity was %q and is %q", self, got)
	}
}
