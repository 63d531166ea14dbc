//go:build linux

package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/ldlm-io/ldlm"
)

func TestLockPrintsKeyAndToken(t *testing.T) {
	address := devAddress(t)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		c := run(t, address, nil, "lock", "x")
		c.stdout.await(t, "token")
		token := lockState(t, address, "x").Holders[0].Token
		code := c.signal(t, s)
		wantLines(t, c.stdout.String(), "key [0-9a-f-]{36}", "token "+itoa(int(token)))
		if code != 0 || c.stderr.String() != "" {
			t.Errorf("%v: code %d, stderr %q", s, code, c.stderr)
		}
		if info := lockState(t, address, "x"); info.HolderCount != 0 {
			t.Errorf("%v: it is still held", s)
		}
	}
}

func TestLockPrintsJSON(t *testing.T) {
	address := devAddress(t)
	c := run(t, address, nil, "lock", "--all", "a\n", "b", "-o", "json", "--ttl", "20")
	line := c.stdout.await(t, "\n")
	var got struct {
		Name  string   `json:"name"`
		Names []string `json:"names"`
		Key   string   `json:"key"`
		Token string   `json:"token"`
		TTL   string   `json:"ttl"`
		TTLMS int      `json:"ttl_ms"`
	}
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != "a\n" || len(got.Names) != 2 || len(got.Key) != 36 || got.Token == "" || got.TTL != "20s" || got.TTLMS != 20_000 {
		t.Errorf("got %s", line)
	}
	// Whoever has the key can release it, and the holder learns that.
	if err := lockClient(t, address).ReleaseKey(t.Context(), "b", got.Key); err != nil {
		t.Fatal(err)
	}
	if code := c.end(t); code != 76 || c.stderr.String() != `ldlm: "a\n", "b": released by key`+"\n" {
		t.Errorf("code %d, stderr %q", code, c.stderr)
	}
}

func TestLockHoldsUntilInputEnds(t *testing.T) {
	address := devAddress(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := run(t, address, func(c *exec.Cmd) { c.Stdin = r }, "lock", "x")
	_ = r.Close()
	c.stdout.await(t, "token")
	if _, err := w.WriteString("what is written does not matter\n"); err != nil {
		t.Fatal(err)
	}
	if info := lockState(t, address, "x"); info.HolderCount != 1 {
		t.Error("it is not held")
	}
	_ = w.Close()
	if code := c.end(t); code != 0 {
		t.Errorf("code %d, stderr %q", code, c.stderr)
	}
}

// A script need not be wrapped: etcd-io/etcd#7983 wishes for that as well.
func TestLockWhileAProcessLives(t *testing.T) {
	address := devAddress(t)
	script := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := script.Start(); err != nil {
		t.Fatal(err)
	}
	c := run(t, address, nil, "lock", "x", "--while-pid", itoa(script.Process.Pid))
	c.stdout.await(t, "token")
	if err := script.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if code := c.end(t); code != 0 || c.stderr.String() != "" {
		t.Errorf("code %d, stderr %q", code, c.stderr)
	}
	if err := script.Wait(); err == nil {
		t.Error("it was to be killed")
	}
}

func TestHoldIsLost(t *testing.T) {
	t.Parallel()
	server, address := spawnDev(t)
	c := run(t, address, nil, "lock", "x", "--ttl", patientTTL.String())
	c.stdout.await(t, "token")
	server.kill(t)
	if code := c.end(t); code != 76 || c.stderr.String() != `ldlm: "x": no server confirmed the session in time`+"\n" {
		t.Errorf("code %d, stderr %q", code, c.stderr)
	}
}

func TestHoldIsTakenAway(t *testing.T) {
	address := devAddress(t)
	c := run(t, address, nil, "lock", "x")
	c.stdout.await(t, "token")
	token := lockState(t, address, "x").Holders[0].Token
	if _, err := lockClient(t, address).Admin().ForceRelease(t.Context(), "x", token, "test", ldlm.Gently()); err != nil {
		t.Fatal(err)
	}
	if code := c.end(t); code != 76 || !strings.Contains(c.stderr.String(), "revoked by an administrator") {
		t.Errorf("code %d, stderr %q", code, c.stderr)
	}
	if info := lockState(t, address, "x"); info.HolderCount != 0 {
		t.Error("it was not let go")
	}
}

// Nobody reads what is printed: the hold can be ended all the same.
func TestLockWithAFullPipe(t *testing.T) {
	address := devAddress(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := w.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	full := func(fd uintptr) bool {
		for {
			if _, err := syscall.Write(int(fd), make([]byte, 4096)); err != nil {
				return true
			}
		}
	}
	if err := raw.Write(full); err != nil {
		t.Fatal(err)
	}
	c := run(t, address, func(c *exec.Cmd) { c.Stdout = w }, "lock", "x")
	_ = w.Close()
	for leader, err := range lockClient(t, address).Election("x").Observe(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if leader.Token != 0 {
			break // it is held
		}
	}
	// The server may know of the hold before ldlm does: then it still waits.
	if code := c.signal(t, syscall.SIGTERM); code != 0 && code != 143 {
		t.Errorf("code %d, stderr %q", code, c.stderr)
	}
}

// Nobody can read what is printed any more: then it is held for nobody. And what
// goes wrong with messages does not end a command.
func TestLockWithABrokenPipe(t *testing.T) {
	address := devAddress(t)
	broken := func() *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		t.Cleanup(func() { _ = w.Close() })
		return w
	}
	c := run(t, address, func(c *exec.Cmd) { c.Stdout = broken() }, "lock", "x")
	if code := c.end(t); code != 1 || !strings.Contains(c.stderr.String(), "broken pipe") {
		t.Errorf("code %d, stderr %q", code, c.stderr)
	}
	c = run(t, address, func(c *exec.Cmd) { c.Stderr = broken() }, "lock", "x", "--kill-after", "0.2", "--", "sh", "-c", "trap '' TERM; sleep 1000 & exit 9")
	if code := c.end(t); code != 9 {
		t.Errorf("code %d, want that of the command", code)
	}
	c = run(t, address, func(c *exec.Cmd) { c.Stdout = broken() }, "lock", "x", "--", "sh", "-c", "yes")
	if code := c.end(t); code != 141 {
		t.Errorf("code %d: the command was to end by SIGPIPE, as it does without ldlm", code)
	}
}

// Each client chooses its ttl; etcdctl's lock had 60 seconds for years:
// etcd-io/etcd#8365.
func TestLockTTL(t *testing.T) {
	t.Parallel()
	address := devAddress(t)
	c := run(t, address, nil, "lock", "x", "--ttl", "7s")
	c.stdout.await(t, "token")
	holder := lockState(t, address, "x").Holders[0]
	if s, err := lockClient(t, address).Admin().Session(t.Context(), holder.Session); err != nil || s.TTL.Seconds() != 7 {
		t.Errorf("the session is %+v, %v", s, err)
	}
	c.kill(t)
	if got := runLock(t, address, "lock", "x", "--", "true"); got.code != 0 {
		t.Errorf("after the ttl: %+v", got)
	}
}

func TestElect(t *testing.T) {
	address := devAddress(t)
	observer := run(t, address, nil, "elect", "boss", "--observe")
	observer.stdout.await(t, "nobody leads\n")
	first := run(t, address, nil, "elect", "boss", "--value", "here", "--", "sh", "-c", "echo up; exec sleep 1000")
	first.stdout.await(t, "up")
	observer.stdout.await(t, "leader ops@")
	if h := lockState(t, address, "boss").Holders[0]; string(h.Value) != "here" {
		t.Errorf("the value is %q", h.Value)
	}
	second := run(t, address, nil, "elect", "boss", "-o", "json")
	awaitWaiters(t, address, "boss", 1)
	if code := first.signal(t, syscall.SIGTERM); code != 143 {
		t.Errorf("code %d", code)
	}
	second.stdout.await(t, `"token":`)
	observer.stdout.await(t, " resigned)\n")
	if code := second.signal(t, syscall.SIGTERM); code != 0 {
		t.Errorf("code %d", code)
	}
	if code := observer.signal(t, syscall.SIGTERM); code != 143 {
		t.Errorf("code %d, stderr %q", code, observer.stderr)
	}
}

// Who leads again and again outlives a loss, and a server.
func TestElectAgain(t *testing.T) {
	address := devAddress(t)
	c := run(t, address, nil, "elect", "boss", "--again", "--", "sh", "-c", "echo term $LDLM_FENCING_TOKEN; exec sleep 1000")
	c.stdout.await(t, "term ")
	token := lockState(t, address, "boss").Holders[0].Token
	if _, err := lockClient(t, address).Admin().ForceRelease(t.Context(), "boss", token, "test"); err != nil {
		t.Fatal(err)
	}
	c.stdout.awaitCount(t, "term ", 2)
	if code := c.signal(t, syscall.SIGTERM); code != 143 {
		t.Errorf("code %d, stderr\n%s", code, c.stderr)
	}
}

func TestDevAroundACommand(t *testing.T) {
	ldlm := programs + "/ldlm"
	got := run(t, "elsewhere:1", func(c *exec.Cmd) { c.Env = append(c.Env, "LDLM_PASSWORD=of another") },
		"dev", "--", "sh", "-c", `case $LDLM_ADDRESS in 127.0.0.1:*) ;; *) exit 90;; esac; test -S "$LDLM_IPC_SOCKET_FILE" || exit 91
test -z "$LDLM_PASSWORD" || exit 92
`+ldlm+` lock x -- `+ldlm+` lock -n x -- true; test $? = 75 || exit 93; exit 7`).result(t)
	if got.code != 7 || got.stdout != "" || !strings.Contains(got.stderr, "is held by another client") {
		t.Errorf("got %+v", got)
	}
	for args, want := range map[string]int{"dev -- no-such-command": 127, "dev -- /": 126, "dev --": 64, "dev x": 64, "dev -o yaml": 64} {
		if got := runLock(t, "", strings.Fields(args)...); got.code != want {
			t.Errorf("ldlm %s: got %+v, want code %d", args, got, want)
		}
	}
}

// Two of them do not meet, and nothing stays.
func TestDevCommandsSideBySide(t *testing.T) {
	var all []*child
	for range 2 {
		all = append(all, run(t, "", nil, "dev", "--", "sh", "-c", "sleep 1000 & echo grandchild $!; wait"))
	}
	for _, c := range all {
		grandchild := c.stdout.number(t, "grandchild")
		if code := c.signal(t, syscall.SIGTERM); code != 143 || lives(grandchild) {
			t.Errorf("code %d, stderr %q", code, c.stderr)
		}
		if left := names(t, c.dir); left != "" {
			t.Errorf("left behind: %s", left)
		}
	}
}
