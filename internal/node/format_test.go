package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// Directories that earlier versions wrote, by their format. None is ever written
// anew: there are servers that still have one like it. LDLM_WRITE_FORMAT makes that
// of this version, if there is none yet.
const formats = "testdata/formats"

// A directory of each format opens, has what was in it, and goes on.
func TestFormats(t *testing.T) {
	if name := os.Getenv("LDLM_WRITE_FORMAT"); name != "" {
		writeFormat(t, filepath.Join(formats, name))
	}
	entries, err := os.ReadDir(formats)
	if err != nil || len(entries) == 0 {
		t.Fatalf("no formats: %v", err)
	}
	for _, e := range entries {
		t.Run(e.Name(), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(formats, e.Name(), "data"))); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(formats, e.Name(), "described.txt"))
			if err != nil {
				t.Fatal(err)
			}
			if got := after(t, dir).Describe(); got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			d := openDurable(t, dir)
			view, _, err := d.Lookup(t.Context(), "held")
			if err != nil || len(view.Holders) != 1 || len(view.Waiters) != 1 {
				t.Fatalf("held: %s, %v", view, err)
			}
			if o := d.call(&lock.Release{Hold: lock.Hold{Name: "held", Key: view.Holders[0].Key}}); o.Code != lock.OK {
				t.Errorf("released: code %d", o.Code)
			}
			if next, _, err := d.Lookup(t.Context(), "held"); err != nil || len(next.Waiters) != 0 || next.Holders[0].Token <= view.Holders[0].Token {
				t.Errorf("after the release: %s, %v", next, err)
			}
		})
	}
}

// writeFormat writes a directory with a bit of everything: some of it in a snapshot,
// some in the log behind it.
func writeFormat(t *testing.T, to string) {
	t.Helper()
	if _, err := os.Stat(to); err == nil {
		t.Fatalf("%s is there: formats are not written anew", to)
	}
	d := &durable{dir: filepath.Join(t.TempDir(), "data")}
	n, err := Open(Config{}, raftlog.Opener(raftlog.Config{Dir: d.dir, SegmentBytes: 8 << 10}, &d.journal))
	if err != nil {
		t.Fatal(err)
	}
	d.house = &house{Node: n, t: t}
	info := &lock.Info{Host: "h", PID: 7, User: "u", Labels: []lock.Label{{Key: "k", Value: "v"}}}
	l := d.linkAs(&lock.Open{Secret: lock.SecretHash{1}, Info: info, Value: []byte("session")})
	w := d.linkAs(&lock.Open{Secret: lock.SecretHash{2}, OnEnd: lock.OnEndClose})
	d.house.acquire(l, 1, "held")
	several := ask(l, 2, 1, "one")
	several.Items = append(several.Items, lock.Item{Name: "two", Size: 5, Permits: 3}, lock.Item{Name: "shared", Mode: lock.Shared})
	several.Lease, several.LockDelay = lock.Minute, 5*lock.Second
	several.Note = &lock.Note{Reason: "because", Value: make([]byte, 300), Labels: []lock.Label{{Key: "a", Value: "b"}}}
	d.submit(l, several)
	if err := d.journal.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.submit(w, queue(w, 1, 1, "held"))
	d.submit(l, ask(l, 3, 1, "idle"))
	d.submit(l, &lock.Release{Caller: caller(l, 3, 2), Hold: lock.Hold{Name: "idle", Token: d.newest()}})
	d.call(&lock.Acquire{Caller: lock.Caller{RequestID: "outside", Attempt: 1}, Items: []lock.Item{{Name: "outside"}}, Lease: 60 * lock.Minute})
	d.call(&lock.Resize{Name: "two", Size: 7})
	w.Detach(0, false)
	killed := d.killed()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(killed, "lock")); err != nil {
		t.Fatal(err)
	}
	described := after(t, copied(t, killed)).Describe()
	if err := os.CopyFS(filepath.Join(to, "data"), os.DirFS(killed)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "described.txt"), []byte(described), 0o600); err != nil {
		t.Fatal(err)
	}
}

// newest is the token of the newest grant.
func (d *durable) newest() lock.Token {
	d.t.Helper()
	view, _, err := d.Lookup(d.t.Context(), "idle")
	if err != nil || len(view.Holders) != 1 {
		d.t.Fatalf("idle: %s, %v", view, err)
	}
	return view.Holders[0].Token
}

func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}
