//go:build !windows

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm"
)

// The exit code is the command's own, whatever it is: hashicorp/consul#947 and
// #3526 are about 0, or nothing but 2, for commands that failed.
func TestLockPassesTheExitCodeThrough(t *testing.T) {
	address := devAddress(t)
	for script, want := range map[string]int{
		"exit 0": 0, "exit 1": 1, "exit 2": 2, "exit 3": 3, "exit 75": 75, "exit 255": 255,
		"kill -KILL $$": 137, "kill -TERM $$": 143, "kill -USR1 $$": 138,
	} {
		if got := runLock(t, address, "lock", "x", "--", "sh", "-c", script); got != (result{code: want}) {
			t.Errorf("%s: got %+v, want code %d and no word", script, got, want)
		}
	}
}

func TestExitCodesOfLock(t *testing.T) {
	address := devAddress(t)
	holder := run(t, address, nil, "lock", "held")
	holder.stdout.await(t, "token ")
	guarded := startServer(t, environment{"LDLM_PASSWORD": "x"}).address(t)
	plain := filepath.Join(shortDir(t), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		text string
	}{
		{"lock x -- true", exitOK, ""},
		{"lock x -c true", exitOK, ""},
		{"lock x --while-pid 2147483647", exitFailure, "ldlm: --while-pid: there is no process 2147483647\n"},
		{"lock --size 2 held -- true", exitFailure, "ldlm: lock \"held\": it has size 1\nWithout --size it is taken as it is. To change it: ldlm resize held N\n"},
		{"lock --permits 2 held -- true", exitUsage, "ldlm: lock \"held\": invalid permits: no more permits can be taken than the lock has (limit 1)\n"},
		{"lock", exitUsage, "which lock? Give its NAME"},
		{"lock x y", exitUsage, "one NAME, not 2: a command to run comes after --, and several locks at once need --all\n"},
		{"elect x y", exitUsage, "one NAME, not 2: a command to run comes after --\n"},
		{"lock x --size 0 -- true", exitUsage, "--size is 1 at least"},
		{"lock x --size -1 -- true", exitUsage, "--size is 1 at least"},
		{"lock x --permits 0 -- true", exitUsage, "--permits is 1 at least"},
		{"lock x --while-pid 0", exitUsage, "--while-pid is 1 at least"},
		{"lock --all x y x -- true", exitUsage, `"x" is named twice`},
		{"lock x --", exitUsage, "there is no command after --"},
		{"lock x -c true -- true", exitUsage, "exclude each other"},
		{"lock x -n -w 1 -- true", exitUsage, "-n does not wait"},
		{"lock x -s -x -- true", exitUsage, "exclude each other"},
		{"lock x -s --size 3 -- true", exitUsage, "-s shares a lock of size 1"},
		{"lock x --size 3 --permits 4 -- true", exitUsage, "--size says 3"},
		{"lock x --label team -- true", exitUsage, "want KEY=VALUE"},
		{"lock x -E 256 -- true", exitUsage, "no exit code"},
		{"lock x --on-lost=shrug -- true", exitUsage, "kill, term or warn"},
		{"lock x --kill-after 4s -- true", exitUsage, "at most 2.97s"},
		{"lock x --while-pid 1 -- true", exitUsage, "without a command"},
		{"lock x --ttl 1h -- true", exitUsage, "ldlm: --ttl 1h: the server takes 1m at most\n"},
		{"lock x --ttl 1 -- true", exitUsage, "ldlm: --ttl 1s: the server takes 2s at least\n"},
		{"lock x --ttl 0 -- true", exitUsage, "--ttl 0 holds nothing"},
		{"lock x --nowait -- true", exitUsage, "unknown flag: --nowait"},
		{"lock x -o yaml", exitUsage, "text or json"},
		{"lock x --address 127.0.0.1:1 -- true", exitUnavailable, "Is a server there?"},
		{"lock held -n -- true", exitNotAcquired, `ldlm: "held" is held by another client`},
		{"lock held -w 0.05 -- true", exitNotAcquired, "Wait longer than 50ms, or look: ldlm get held\n"},
		{"lock held -n -E 1 -- true", 1, "is held by another client"},
		{"lock held -n -E 0 -- true", 0, "is held by another client"},
		{"lock x --address " + guarded + " -- true", exitNotPermitted, "password"},
		{"lock x -- " + plain, exitCannotRun, "permission denied"},
		{"lock x -- /", exitCannotRun, "is a directory"},
		{"lock x -- no-such-command", exitNoCommand, "ldlm: no-such-command: command not found\n"},
		{"lock x -- /no/such/command", exitNoCommand, "no such file"},
		{"elect", exitUsage, "which lock?"},
		{"elect x --observe -- true", exitUsage, "looks on"},
		{"elect held -n -- true", exitNotAcquired, "is held by another client"},
		{"elect x -- sh -c true", exitOK, ""},
	} {
		got := runLock(t, address, strings.Fields(c.args)...)
		if got.code != c.code || got.stdout != "" || (c.text == "") != (got.stderr == "") || !strings.Contains(got.stderr, c.text) {
			t.Errorf("ldlm %s: got %+v, want code %d and %q", c.args, got, c.code, c.text)
		}
	}
	if got := runLock(t, address, "lock", "", "--", "true"); got.code != exitUsage || !strings.Contains(got.stderr, "NAME is empty") {
		t.Errorf("no name: got %+v", got)
	}
	if code := holder.signal(t, syscall.SIGTERM); code != 0 {
		t.Errorf("who held ended with %d", code)
	}
}

func TestExitCodeOfInternalErrors(t *testing.T) {
	if got := codeOf(ldlm.ErrInternal); got != exitInternal {
		t.Errorf("an internal error is %d, want %d", got, exitInternal)
	}
}

// A signal ends a wait, and nothing is left of it.
func TestLockInterruptedWhileWaiting(t *testing.T) {
	address := devAddress(t)
	holder := run(t, address, nil, "lock", "x")
	holder.stdout.await(t, "token ")
	for s, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		waiter := run(t, address, nil, "lock", "x", "--", "false")
		awaitWaiters(t, address, "x", 1)
		if code := waiter.signal(t, s); code != want || waiter.stderr.String() != "" {
			t.Errorf("%v: exit code %d, want %d; stderr %q", s, code, want, waiter.stderr)
		}
		if info := lockState(t, address, "x"); info.WaiterCount != 0 || info.HolderCount != 1 {
			t.Errorf("%v: it left %d waiters, %d holders", s, info.WaiterCount, info.HolderCount)
		}
	}
	holder.signal(t, syscall.SIGINT)
	if info := lockState(t, address, "x"); info.HolderCount != 0 {
		t.Errorf("%d holders are left", info.HolderCount)
	}
}

// Whenever ^C comes, nothing stays locked, waiting or running.
func TestLockInterruptedAtAnyMoment(t *testing.T) {
	address := devAddress(t)
	const moments, step = 40, time.Millisecond
	for i := range moments {
		c := run(t, address, nil, "lock", "x", "--", "sleep", "1000")
		<-time.After(time.Duration(i) * step)
		c.send(t, syscall.SIGINT)
		code := c.end(t)
		if w := c.ProcessState.Sys().(syscall.WaitStatus); code != 130 && w.Signal() != syscall.SIGINT {
			t.Errorf("after %s: code %d, stderr %q", time.Duration(i)*step, code, c.stderr)
		}
		if info := lockState(t, address, "x"); info.HolderCount != 0 || info.WaiterCount != 0 {
			t.Fatalf("after %s: %d holders and %d waiters are left", time.Duration(i)*step, info.HolderCount, info.WaiterCount)
		}
	}
}

// Whoever is in the way is named, with all that one needs to decide.
func TestLockTellsWhoHolds(t *testing.T) {
	address := devAddress(t)
	holder := run(t, address, nil, "lock", "nightly backup\n", "--reason", "weekly\x1b full", "--ttl", "7s", "--", "sh", "-c", "echo up; exec sleep 1000", "\x07")
	holder.stdout.await(t, "up")
	waiter := run(t, address, nil, "lock", "nightly backup\n", "--", "true")
	awaitWaiters(t, address, "nightly backup\n", 1)
	got := runLock(t, address, "lock", "-n", "nightly backup\n", "--", "true")
	host, _ := os.Hostname()
	wantLines(t, got.stderr,
		`ldlm: "nightly backup\\n" is held by another client`,
		`  holder   ops@`+host+` pid \d+ \(sh -c echo up; exec sleep 1000 \\a\)`,
		`  reason   weekly\\x1b full`,
		`  held     [0-9.]+m?s, session ttl 7s, last heard [0-9.]+m?s ago`,
		`  queue    1 waiting \(longest [0-9.]+m?s\)`,
		`  token    \d+`,
		`Wait with -w 10m, or look: ldlm get \$'nightly backup\\n'`)
	if got.code != 75 || got.stdout != "" {
		t.Errorf("code %d, stdout %q", got.code, got.stdout)
	}
	holder.kill(t)
	waiter.signal(t, syscall.SIGTERM)
}

// The words after -- reach the command as they are; hashicorp/consul's lock joins
// them for a shell.
func TestLockDoesNotJoinWords(t *testing.T) {
	address := devAddress(t)
	got := runLock(t, address, "lock", "x", "--", "printf", "<%s>", "a b", "$HOME", "*", "", "-n", "--")
	if want := "<a b><$HOME><*><><-n><-->"; got != (result{stdout: want}) {
		t.Errorf("got %+v, want %s", got, want)
	}
	got = run(t, address, func(c *exec.Cmd) { c.Env = append(c.Env, "SHELL=/bin/echo") }, "lock", "x", "-c", "a | b").result(t)
	if got != (result{stdout: "-c a | b\n"}) {
		t.Errorf("-c is for $SHELL: got %+v", got)
	}
}

// Standard input is the command's: hashicorp/consul's lock closes it, and
// etcdctl's has none.
func TestLockInheritsStandardInput(t *testing.T) {
	address := devAddress(t)
	got := run(t, address, func(c *exec.Cmd) { c.Stdin = strings.NewReader("from outside") }, "lock", "x", "--", "cat").result(t)
	if got != (result{stdout: "from outside"}) {
		t.Errorf("got %+v", got)
	}
	if got := runLock(t, address, "lock", "x", "--", "sh", "-c", "exec <&-; exec "+filepath.Join(programs, "ldlm")+" lock y -- sh -c 'echo in'"); got != (result{stdout: "in\n"}) {
		t.Errorf("closed input: got %+v", got)
	}
}

func TestLockEnvironment(t *testing.T) {
	server := startServer(t, environment{"LDLM_PASSWORD": "secret"})
	address := server.address(t)
	secret := func(c *exec.Cmd) {
		c.Env = append(c.Env, "LDLM_PASSWORD=secret", "LDLM_LOCK_NAME=outer", "LDLM_LOCK_KEY=outer", "OTHER=kept")
	}
	script := `env | grep -E '^(LDLM|OTHER)' | sort | sed 's/[0-9a-f]\{8\}-[0-9a-f-]*/KEY/; s/TOKEN=[0-9]*$/TOKEN=N/'`
	got := run(t, address, secret, "lock", "x y", "--", "sh", "-c", script).result(t)
	want := "LDLM_ADDRESS=" + address + "\nLDLM_FENCING_TOKEN=N\nLDLM_LOCK_KEY=KEY\nLDLM_LOCK_NAME=x y\nOTHER=kept\n"
	if got != (result{stdout: want}) {
		t.Errorf("got %+v, want\n%s", got, want)
	}
	got = run(t, address, secret, "lock", "x", "--pass-credentials", "--", "sh", "-c", "echo $LDLM_PASSWORD").result(t)
	if got != (result{stdout: "secret\n"}) {
		t.Errorf("--pass-credentials: got %+v", got)
	}
}

// Several locks are one hold: all or nothing, released together.
func TestLockAllOrNothing(t *testing.T) {
	address := devAddress(t)
	holder := run(t, address, nil, "lock", "--all", "a", "b c", "--", "sh", "-c", `printf '%s|' "$LDLM_LOCK_NAME"; exec sleep 1000`)
	holder.stdout.await(t, "a\nb c|")
	for _, name := range []string{"a", "b c"} {
		if info := lockState(t, address, name); info.HolderCount != 1 {
			t.Errorf("%s has %d holders", name, info.HolderCount)
		}
	}
	got := runLock(t, address, "lock", "--all", "-n", "d", "b c", "--", "true")
	if got.code != 75 || !strings.Contains(got.stderr, `"b c" is held`) {
		t.Errorf("got %+v", got)
	}
	if info := lockState(t, address, "d"); info.HolderCount != 0 {
		t.Error("a part was granted")
	}
	holder.signal(t, syscall.SIGTERM)
	for _, name := range []string{"a", "b c"} {
		if info := lockState(t, address, name); info.HolderCount != 0 {
			t.Errorf("%s has %d holders left", name, info.HolderCount)
		}
	}
}

func TestLockShapes(t *testing.T) {
	address := devAddress(t)
	first := run(t, address, nil, "lock", "slots", "--size", "3", "--permits", "2", "--label", "team=a", "--label", "n=1,2=3")
	first.stdout.await(t, "token")
	if got := runLock(t, address, "lock", "-n", "slots", "--", "true"); got.code != 0 {
		t.Errorf("the third permit: %+v", got)
	}
	if got := runLock(t, address, "lock", "-n", "slots", "--permits", "2", "--", "true"); got.code != 75 {
		t.Errorf("two more permits: %+v", got)
	}
	if h := lockState(t, address, "slots").Holders[0]; h.Permits != 2 || h.Labels["team"] != "a" || h.Labels["n"] != "1,2=3" {
		t.Errorf("the hold is %+v", h)
	}
	first.signal(t, syscall.SIGTERM)

	reader := run(t, address, nil, "lock", "-s", "book")
	reader.stdout.await(t, "token")
	if got := runLock(t, address, "lock", "-sn", "book", "--", "true"); got.code != 0 {
		t.Errorf("sharing: %+v", got)
	}
	if got := runLock(t, address, "lock", "-xn", "book", "--", "true"); got.code != 75 {
		t.Errorf("alone: %+v", got)
	}
	reader.signal(t, syscall.SIGTERM)
}
