package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ldlm-io/ldlm"
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
)

// stateFile is a state file of version 1 in a folder of its own.
func stateFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "ldlm.state")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func stateSample(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "statefile", "testdata", name+".state"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A server with the settings of an old one has its locks, with their keys, and what
// happens to them from then on survives.
func TestStateFileOfVersionOne(t *testing.T) {
	const first, slot = "aa8baaf7-acfa-4128-88d4-36975ad4c83b", "4a27c9e8-e358-4428-b65e-d9995c2d3c51"
	path := stateFile(t, stateSample(t, "newest-three"))
	r := startServer(t, nil, "-s", path, "-d", "7m")
	v1, _ := dialV1(t, r.address(t))
	if a, err := v1.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "first"}); err != nil || a.GetLocked() {
		t.Errorf("somebody else: %v, %v", a, err)
	}
	if a, err := v1.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "first", Key: first}); err != nil || !a.GetUnlocked() {
		t.Errorf("unlock: %v, %v", a, err)
	}
	if a, err := v1.Renew(t.Context(), &ldlmv1.RenewRequest{Name: "slots/ü", Key: slot, LockTimeoutSeconds: 600}); err != nil || !a.GetLocked() {
		t.Errorf("renew: %v, %v", a, err)
	}
	log := r.stop(syscall.SIGTERM).stderr
	wantLog(t, log, "INFO", "Loaded lock", "name", "first", "key", first[:8])
	wantLog(t, log, "INFO", "The state file of version 1 was taken over; it is not read again", "state_file", path, "data_dir", path+".d",
		"locks", 3.0, "sizes", "plain", "lease", "7m0s")
	if strings.Contains(log, first) || strings.Contains(log, "kept in memory") {
		t.Errorf("the log has what it must not:\n%s", log)
	}

	r = startServer(t, nil, "-s", path)
	v1, _ = dialV1(t, r.address(t))
	if a, err := v1.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "first"}); err != nil || !a.GetLocked() {
		t.Errorf("what was released before the restart: %v, %v", a, err)
	}
	if a, err := v1.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "slots/ü", Key: slot}); err != nil || !a.GetUnlocked() {
		t.Errorf("what was renewed before the restart: %v, %v", a, err)
	}
	if log := r.stop(syscall.SIGTERM).stderr; strings.Contains(log, "taken over") {
		t.Errorf("it was taken over again:\n%s", log)
	}
}

// Files and folders that cannot be used keep the server from starting, with the
// words of version 1 first.
func TestStateFilesThatCannotBeUsed(t *testing.T) {
	const v1 = "server.New() error creating server: loadState() error reading state file: "
	garbage := stateFile(t, []byte("this is no state file\n"))
	folder := shortDir(t)
	blocked := stateFile(t, nil)
	if err := os.WriteFile(blocked+".d", []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ path, first, then string }{
		"garbage":       {garbage, v1 + "error unmarshaling state data: buffer too small\n", "state_file " + garbage + ", at byte 1:"},
		"a folder":      {folder, v1, folder + " is a directory"},
		"beside a file": {blocked, "server.New() error creating server: ", blocked + ".d is a file"},
		"nowhere":       {"/proc/nowhere/state", "server.New() error creating server: ", "/proc/nowhere/state.d"},
	} {
		r := call(t, LdlmServer, nil, "-l", "127.0.0.1:0", "-s", c.path)
		if r.code != 1 || r.stdout != "" || !strings.HasPrefix(lastOf(r.stderr, c.first), c.first) || !strings.Contains(r.stderr, c.then) {
			t.Errorf("%s: exit code %d, stdout %q, stderr\n%s", what, r.code, r.stdout, r.stderr)
		}
	}
	if b, err := os.ReadFile(garbage); err != nil || string(b) != "this is no state file\n" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

// lastOf is what a program said from a part on.
func lastOf(text, part string) string {
	if i := strings.Index(text, part); i >= 0 && (i == 0 || text[i-1] == '\n') {
		return text[i:]
	}
	return text
}

// Two servers on one state file: the second one does not start, and the first goes on.
func TestStateFileInUse(t *testing.T) {
	path := stateFile(t, stateSample(t, "v1.1.1-one"))
	r := startServer(t, nil, "-s", path)
	v1, _ := dialV1(t, r.address(t))
	second := call(t, LdlmServer, nil, "-l", "127.0.0.1:0", "-s", path)
	if second.code != 1 || !strings.Contains(second.stderr, path+".d: another process uses it") ||
		!strings.Contains(second.stderr, "the locks of state_file "+path+" are kept") || strings.Contains(second.stderr, "data_dir") {
		t.Errorf("exit code %d, stderr\n%s", second.code, second.stderr)
	}
	take(t, v1, "still there", 1)
	wantLog(t, r.stop(syscall.SIGTERM).stderr, "INFO", "The state file of version 1 was taken over; it is not read again", "sizes", "of v1.1.1")
}

// Killed at any moment while it takes a file over, a server begins anew, or has it
// all.
func TestKilledWhileTakingOver(t *testing.T) {
	for _, made := range []string{"", "lock", "identity", "log", "snapshots", "log/meta", "snapshots/*.tmp", "snapshots/*.snap", "log/*.wal"} {
		path := stateFile(t, stateSample(t, "newest-three"))
		cmd := exec.Command(filepath.Join(programs, "ldlm-server"), "-l", "127.0.0.1:0", "-s", path, "--ipc_socket_file", "")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitFile(t, filepath.Join(path+".d", made))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		r := startServer(t, nil, "-s", path)
		status := statusOf(t, r.address(t))
		if status.Holds != 3 || !status.Durable || status.DataDirectory.Path != path+".d" {
			t.Errorf("killed after %q was made: %+v", made, status)
		}
		r.stop(syscall.SIGTERM)
	}
}

// awaitFile returns when there is a file of this pattern, or it has been and gone:
// one that is temporary may never be seen.
func awaitFile(t *testing.T, pattern string) {
	t.Helper()
	dir := strings.TrimSuffix(pattern, filepath.Base(pattern))
	for t.Context().Err() == nil {
		found, err := filepath.Glob(pattern)
		later, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Clean(dir)), "log", "*.wal"))
		if err != nil || len(found) > 0 || len(later) > 0 {
			return
		}
	}
}

// statusOf is how a server is.
func statusOf(t *testing.T, address string) ldlm.ServerStatus {
	t.Helper()
	c, err := ldlm.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	status, err := c.Admin().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status
}
