package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog/raftlogtest"
)

// A snapshot of a running server and one of its directory afterwards are restored
// elsewhere, and a server over that has the locks.
func TestSnapshotsFromSaveToStart(t *testing.T) {
	dir := shortDir(t)
	data, file := filepath.Join(dir, "data"), filepath.Join(dir, "a.snap")
	r := startServer(t, nil, "--data_dir", data)
	address := r.address(t)
	v1, _ := dialV1(t, address)
	key := take(t, v1, "held", 1)
	if got := call(t, Ldlm, nil, "snapshot", "save", "--address", address, file); got.code != 0 || got.stdout != "" ||
		!strings.Contains(got.stderr, "to "+file+"; it has the keys of all holds") {
		t.Fatalf("save: %+v", got)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if got := call(t, Ldlm, nil, "snapshot", "save", "--address", address, file); got.code != 1 || !strings.Contains(got.stderr, "--force") {
		t.Errorf("over a file: %+v", got)
	}
	if got := call(t, Ldlm, nil, "snapshot", "save", "--data-dir", data, filepath.Join(dir, "b.snap")); got.code != 1 || !strings.Contains(got.stderr, "ask it, without --data-dir") {
		t.Errorf("from the directory of a running server: %+v", got)
	}
	r.stop(syscall.SIGTERM)
	if got := call(t, Ldlm, nil, "snapshot", "save", "--force", "--data_dir", data, file); got.code != 0 {
		t.Errorf("offline, over a file: %+v", got)
	}
	var d struct {
		Holds int `json:"holds"`
	}
	if got := call(t, Ldlm, nil, "snapshot", "inspect", "-o", "json", file); got.code != 0 || json.Unmarshal([]byte(got.stdout), &d) != nil || d.Holds != 1 {
		t.Errorf("inspect: %+v", got)
	}
	if got := call(t, Ldlm, nil, "dump", "--data-dir", data); got.code != 0 || !strings.Contains(got.stdout, "state after entry") || strings.Contains(got.stdout, key) {
		t.Errorf("dump: %+v", got)
	}
	restored := filepath.Join(dir, "restored")
	if got := call(t, Ldlm, nil, "snapshot", "restore", file, "--data-dir", restored, "--quiet", "2h"); got.code != 0 || !strings.Contains(got.stdout, "nothing is granted for 2h") {
		t.Errorf("restore: %+v", got)
	}
	if got := call(t, Ldlm, nil, "snapshot", "restore", file, "--data-dir", restored); got.code != 1 || !strings.Contains(got.stderr, "restore into an empty one") {
		t.Errorf("restore again: %+v", got)
	}
	r = startServer(t, nil, "--data_dir", restored)
	v1, _ = dialV1(t, r.address(t))
	if a, err := v1.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "held", Key: key}); err != nil || !a.GetUnlocked() {
		t.Errorf("unlock: %v, %v", a, err)
	}
	if a, err := v1.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "free"}); err != nil || a.GetLocked() {
		t.Errorf("in the quiet time: %v, %v", a, err)
	}
	if got := call(t, Ldlm, environment{"LDLM_ADDRESS": r.address(t)}, "lock", "-n", "free", "--", "true"); got.code != exitUnavailable ||
		!strings.HasSuffix(got.stderr, "\nHow it is: ldlm status. Asked: "+r.address(t)+".\n") {
		t.Errorf("ldlm lock in the quiet time: %+v", got)
	}
	if got := call(t, Ldlm, environment{"LDLM_ADDRESS": r.address(t)}, "lock", "-w", "100ms", "free", "--", "true"); got.code != exitNotAcquired ||
		!strings.Contains(got.stderr, "nothing is granted for another") || strings.Contains(got.stderr, "came first") {
		t.Errorf("ldlm lock that waits in the quiet time: %+v", got)
	}
	if got := call(t, Ldlm, nil, "status", "--address", r.address(t)); !strings.Contains(got.stdout, "Directory: "+restored) || !strings.Contains(got.stdout, "nothing is granted for") {
		t.Errorf("status: %+v", got)
	}
	if left := names(t, dir); strings.Contains(left, ".tmp") {
		t.Errorf("left behind: %s", left)
	}
}

// What cannot be done says so, changes nothing and leaves nothing behind.
func TestSnapshotsRefused(t *testing.T) {
	dir := shortDir(t)
	r := startServer(t, nil)
	address := r.address(t)
	file, bad, there := filepath.Join(dir, "a.snap"), filepath.Join(dir, "bad.snap"), filepath.Join(dir, "there")
	for path, content := range map[string]string{bad: "LDLMSNAP and then nothing that is one", there: "precious"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"save --address " + address + " " + file, 1, "keeps everything in memory"},
		{"save --address 127.0.0.1:1 " + file, 69, "Is a server there?"},
		{"save --address " + address + " " + there, 1, there + " is there already, and was not touched"},
		{"save --address " + address + " --force /dev/null", 1, "is no regular file"},
		{"save --data-dir " + dir + " " + file, 1, "has no file named identity"},
		{"save --data-dir " + dir + "/none " + file, 1, "no such file"},
		{"save", 64, "FILE is missing"},
		{"inspect " + bad, 1, bad + " is no snapshot that can be used"},
		{"inspect " + dir + "/none", 1, "no such file"},
		{"restore " + bad + " --data-dir " + dir + "/new", 1, "nothing was changed"},
		{"restore " + bad, 64, "--data-dir is missing"},
		{"restore --quiet soon x", 64, "soon"},
	} {
		got := call(t, Ldlm, nil, append([]string{"snapshot"}, strings.Fields(c.args)...)...)
		if got.code != c.code || got.stdout != "" || !strings.Contains(got.stderr, c.says) {
			t.Errorf("snapshot %s: %+v", c.args, got)
		}
	}
	if got := call(t, Ldlm, nil, "dump", "--data-dir", "x", "-o", "name"); got.code != 64 || !strings.Contains(got.stderr, "no names to list: -o table, ") {
		t.Errorf("dump -o name: %+v", got)
	}
	if got := call(t, Ldlm, nil, "dump"); got.code != 64 || !strings.Contains(got.stderr, "--data-dir is missing") {
		t.Errorf("dump: %+v", got)
	}
	if left := names(t, dir); left != "bad.snap lock there" && left != "bad.snap there" {
		t.Errorf("there is now: %s", left)
	}
	if b, err := os.ReadFile(there); err != nil || string(b) != "precious" {
		t.Errorf("%q, %v", b, err)
	}
}

// Whatever breaks off on the way is not kept.
func TestProof(t *testing.T) {
	p := newProof()
	if _, err := p.Write(bytes.Repeat([]byte("no snapshot "), 1000)); err == nil {
		t.Error("what is no snapshot was written to the end")
	}
	if p.close(nil) == nil {
		t.Error("it was found good")
	}
	p = newProof()
	if p.close(nil) == nil {
		t.Error("nothing was found good")
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1 kB", 1500: "1.5 kB", 999_999: "1 MB", 33_619_968: "33.6 MB", 7_000_000_000_000_000: "7000 TB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

// One of several members may have what a majority never took: who saves its directory
// is told so.
func TestSnapshotOfOneOfSeveral(t *testing.T) {
	dir := shortDir(t)
	data, file := filepath.Join(dir, "data"), filepath.Join(dir, "a.snap")
	c := raftlogtest.New(t).Config(raftlog.Config{Dir: data, Member: "a"}, "a", "b", "c")
	j, err := raftlog.Open(c, struct{ journal.Machine }{}) // which is asked nothing: nobody leads
	if err != nil {
		t.Fatal(err)
	}
	_ = j.Close() // nothing was written that matters
	if got := call(t, Ldlm, nil, "snapshot", "save", "--data-dir", data, file); got.code != 0 || !strings.Contains(got.stderr, "one of 3 members") {
		t.Errorf("got %+v", got)
	}
}
