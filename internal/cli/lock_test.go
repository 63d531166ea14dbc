package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
)

// dialV1 returns a client of the first protocol with a connection of its own.
func dialV1(t *testing.T, address string) (ldlmv1.LDLMClient, *grpc.ClientConn) {
	t.Helper()
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return ldlmv1.NewLDLMClient(c), c
}

// take takes a lock, or a place of it, and returns the key.
func take(t *testing.T, c ldlmv1.LDLMClient, name string, size int32) string {
	t.Helper()
	r, err := c.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: name, Size: &size})
	if err != nil || !r.Locked {
		t.Fatalf("take %q: %v, error %v", name, r, err)
	}
	return r.Key
}

// startServer runs ldlm-server in this process on a free port, until the test ends.
func startServer(t *testing.T, env environment, args ...string) *running {
	t.Helper()
	r := start(t, LdlmServer, env, append([]string{"-l", "127.0.0.1:0"}, args...)...)
	t.Cleanup(func() {
		select {
		case r.signals <- syscall.SIGTERM:
		default: // it was told before
		}
		<-r.stopped
	})
	return r
}

// lockTool runs ldlm-lock beside a server.
func lockTool(t *testing.T, r *running, args ...string) result {
	t.Helper()
	return call(t, LdlmLock, environment{"TMPDIR": r.dir}, args...)
}

func TestLockList(t *testing.T) {
	r := startServer(t, nil)
	client, _ := dialV1(t, r.address(t))
	if got := lockTool(t, r, "list"); got != (result{0, "No locks found\n", ""}) {
		t.Errorf("no locks: %+v", got)
	}
	key := take(t, client, "foo", 1)
	want := result{0, fmt.Sprintf("{Name: foo, Key: %s, Size: 1}\n", key), ""}
	if got := lockTool(t, r, "list"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	a, b, odd := take(t, client, "bar", 2), take(t, client, "bar", 2), take(t, client, "x\n\x1b[31m\u0085é", 1)
	got := lockTool(t, r, "list")
	for _, line := range []string{
		want.stdout, fmt.Sprintf("{Name: bar, Key: %s, Size: 2}\n", a), fmt.Sprintf("{Name: bar, Key: %s, Size: 2}\n", b),
		fmt.Sprintf("{Name: x\\n\\x1b[31m\\u0085é, Key: %s, Size: 1}\n", odd),
	} {
		if !strings.Contains(got.stdout, line) {
			t.Errorf("the list has no %s:\n%s", line, got.stdout)
		}
	}
	if n := strings.Count(got.stdout, "\n"); n != 4 || got.code != 0 || got.stderr != "" {
		t.Errorf("%d lines, exit code %d, stderr %q", n, got.code, got.stderr)
	}
	wantLog(t, r.stop(syscall.SIGTERM).stderr, "INFO", "Handling IPC ListLocks request")
}

func TestLockUnlock(t *testing.T) {
	r := startServer(t, nil)
	client, _ := dialV1(t, r.address(t))
	key := take(t, client, "a", 1)
	for _, c := range []struct {
		args []string
		want result
	}{
		{[]string{"unlock", "b"}, result{1, "", "a lock by that name does not exist\n"}},
		{[]string{"unlock", ""}, result{1, "", "a lock by that name does not exist\n"}},
		{[]string{"unlock", "b", key}, result{1, "", "failed to unlock lock: a lock by that name does not exist\n"}},
		{[]string{"unlock", "a", "x"}, result{1, "", "failed to unlock lock: invalid lock key\n"}},
		{[]string{"unlock", "a", ""}, result{1, "", "failed to unlock lock: invalid lock key\n"}},
		{[]string{"unlock", "a", key}, result{0, "Unlocked: true\n", ""}},
		{[]string{"unlock", "a", key}, result{1, "", "failed to unlock lock: invalid lock key\n"}},
		{[]string{"unlock", "a"}, result{1, "", "a lock by that name does not exist\n"}},
		{[]string{"list"}, result{0, "No locks found\n", ""}},
	} {
		if got := lockTool(t, r, c.args...); got != c.want {
			t.Errorf("%q: got %+v, want %+v", c.args, got, c.want)
		}
	}
	wantLog(t, r.stop(syscall.SIGTERM).stderr, "INFO", "Handling IPC Unlock request", "lock", "a", "key", key[:8])
}

// Unlocking hands the lock to the next waiter and voids the key.
func TestLockUnlockHandsOn(t *testing.T) {
	r := startServer(t, nil, "-v", "debug")
	address := r.address(t)
	first, _ := dialV1(t, address)
	second, _ := dialV1(t, address)
	key := take(t, first, "a", 1)
	granted := make(chan string, 1)
	go func() {
		l, err := second.Lock(context.Background(), &ldlmv1.LockRequest{Name: "a"})
		if err != nil || !l.Locked {
			t.Errorf("the waiter got %v, error %v", l, err)
		}
		granted <- l.GetKey()
	}()
	r.stderr.await(t, `"msg":"Lock request"`)
	if got := lockTool(t, r, "unlock", "a"); got != (result{0, "Unlocked: true\n", ""}) {
		t.Fatalf("got %+v", got)
	}
	next := <-granted
	u, err := first.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "a", Key: key})
	if err != nil || u.Unlocked || u.GetError().GetCode() != ldlmv1.ErrorCode_InvalidLockKey {
		t.Errorf("the first key still does something: %v, error %v", u, err)
	}
	if got := lockTool(t, r, "unlock", "a", next); got.stdout != "Unlocked: true\n" {
		t.Errorf("the second key: %+v", got)
	}
}

func TestLockWithoutServer(t *testing.T) {
	dir := shortDir(t)
	path, other := filepath.Join(dir, "ldlm-ipc.sock"), filepath.Join(dir, "other")
	ipc := func(path, why string) result {
		return result{1, "", "IPC error: dial unix " + path + ": connect: " + why + ". Is the ldlm server running? " +
			"Do you need to specify the socket file path? See help\n"}
	}
	missing := "no such file or directory"
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env  environment
		args []string
		want result
	}{
		{nil, []string{"list"}, ipc(path, missing)},
		{nil, []string{"unlock", "a", "k"}, ipc(path, missing)},
		{environment{"LDLM_IPC_SOCKET_FILE": other}, []string{"list"}, ipc(other, missing)},
		{environment{"LDLM_IPC_SOCKET_FILE": ""}, []string{"list"}, ipc(path, missing)},
		{nil, []string{"--socket", filepath.Join(dir, "file"), "unlock", "a"}, ipc(filepath.Join(dir, "file"), "connection refused")},
		{nil, []string{"--socket=" + other, "list"}, result{80, "", "ldlm-lock: error: --socket: stat " + other + ": " + missing + "\n"}},
		{nil, []string{"list", "-s", other}, result{80, "", "ldlm-lock: error: --socket: stat " + other + ": " + missing + "\n"}},
		{nil, []string{"list", "-s", ""}, result{80, "", "ldlm-lock: error: --socket: stat : " + missing + "\n"}},
	} {
		env := environment{"TMPDIR": dir}
		maps.Copy(env, c.env)
		if got := call(t, LdlmLock, env, c.args...); got != c.want {
			t.Errorf("%v %q: got\n%+v, want\n%+v", c.env, c.args, got, c.want)
		}
	}
}

func TestLockSocketIsFound(t *testing.T) {
	path := filepath.Join(shortDir(t), "mine")
	r := startServer(t, nil, "--ipc_socket_file", path)
	r.stderr.await(t, "IPC server started")
	for _, c := range []struct {
		env  environment
		args string
	}{
		{environment{"LDLM_IPC_SOCKET_FILE": path}, "list"},
		{nil, "--socket=" + path + " list"},
		{nil, "list --socket " + path},
		{nil, "-s " + path + " list"},
		{nil, "list -s" + path},
		{environment{"LDLM_IPC_SOCKET_FILE": "/nowhere"}, "list -s=" + path},
	} {
		if got := call(t, LdlmLock, c.env, strings.Fields(c.args)...); got.code != 0 || got.stdout != "No locks found\n" {
			t.Errorf("%s: got %+v", c.args, got)
		}
	}
}

func TestLockMisused(t *testing.T) {
	for args, text := range map[string]string{
		"":               `expected one of "unlock", "list"`,
		"frob":           "unexpected argument frob",
		"list frob":      "unexpected argument frob",
		"unlock a k x":   "unexpected argument x",
		"unlock":         `expected "<lock-name>"`,
		"--frob":         "unknown flag --frob",
		"list --frob":    "unknown flag --frob",
		"list -x":        "unknown flag -x",
		"list --socket":  "--socket: expected a value",
		"list -s":        "--socket: expected a value",
		"unlock --frob=": "unknown flag --frob",
	} {
		want := result{80, "", "ldlm-lock: error: " + text + "\n"}
		if got := call(t, LdlmLock, nil, strings.Fields(args)...); got != want {
			t.Errorf("%q: got %+v, want %+v", args, got, want)
		}
	}
}

// Names may look like flags.
func TestLockNameLikeAFlag(t *testing.T) {
	r := startServer(t, nil)
	client, _ := dialV1(t, r.address(t))
	take(t, client, "--help", 1)
	if got := lockTool(t, r, "unlock", "--", "--help"); got != (result{0, "Unlocked: true\n", ""}) {
		t.Errorf("got %+v", got)
	}
}

// What a server that is no server of ours says is an error, not a crash.
func TestLockDoubtsTheServer(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l := listenUnix(t, path)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("SSH-2.0-x\n"))
			_ = c.Close()
		}
	}()
	want := regexp.MustCompile(`^IPC error: [^\n]+\n$`)
	for _, command := range []string{"list", "unlock a"} {
		got := call(t, LdlmLock, nil, append(strings.Fields(command), "-s", path)...)
		if got.code != 1 || got.stdout != "" || !want.MatchString(got.stderr) {
			t.Errorf("%s: got %+v", command, got)
		}
	}
}

// The built program has the same exit codes.
func TestLockExitCodes(t *testing.T) {
	dir := shortDir(t)
	for args, want := range map[string]int{"": 80, "list": 1, "--help": 0} {
		if got := spawnIn(t, dir, "ldlm-lock", strings.Fields(args)...).end(t); got != want {
			t.Errorf("ldlm-lock %s: exit code %d, want %d", args, got, want)
		}
	}
}
