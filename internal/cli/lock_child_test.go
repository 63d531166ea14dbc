//go:build linux

package cli

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm"
)

// family is a command with a child of its own that ignores every request to end.
const family = `sh -c 'trap "" TERM INT HUP QUIT; echo grandchild $$; while :; do sleep 1000; done' &
echo parent $$; trap "exit 7" TERM; wait`

// patientTTL is what tests let run out. A shorter one would run out by itself where
// much else runs; they wait for it side by side.
const patientTTL = 10 * time.Second

// startFamily runs a lock around a family and returns its processes.
func startFamily(t *testing.T, address string, args ...string) (c *child, parent, grandchild int) {
	t.Helper()
	c = run(t, address, nil, append(append([]string{"lock", "x"}, args...), "--", "sh", "-c", family)...)
	return c, c.stdout.number(t, "parent"), c.stdout.number(t, "grandchild")
}

// kill -9 of ldlm leaves nothing of the command behind, also not what the command
// started and what ignores signals: hashicorp/consul#1210 and #2489.
func TestNothingOutlivesAKilledLock(t *testing.T) {
	address := devAddress(t)
	c, parent, grandchild := startFamily(t, address, "--release-on-disconnect")
	c.send(t, syscall.SIGKILL)
	awaitEnd(t, parent)
	awaitEnd(t, grandchild)
	c.end(t)
	if got := runLock(t, address, "lock", "x", "--", "true"); got.code != 0 {
		t.Errorf("the next one: %+v", got)
	}
}

// The lock is for all that the command started: what outlives it is ended before
// others get the lock. hashicorp/consul#797 and #3754 are about what stays.
func TestLockIsHeldUntilTheGroupIsGone(t *testing.T) {
	address := devAddress(t)
	c := run(t, address, nil, "lock", "x", "--kill-after", "0.3", "--", "sh", "-c",
		`sh -c 'trap "" TERM; echo grandchild $$; while :; do sleep 1000; done' &
while [ ! -s "$TMPDIR/up" ]; do sleep 0.05; done; exit 5`)
	grandchild := c.stdout.number(t, "grandchild")
	if err := os.WriteFile(c.dir+"/up", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.stderr.await(t, "is held until they have ended too")
	if lives(grandchild) {
		if info := lockState(t, address, "x"); info.HolderCount == 0 && lives(grandchild) {
			t.Error("the lock was released while a process of the command lived")
		}
	}
	code := c.end(t)
	if lives(grandchild) {
		t.Error("it has ended before its command's processes")
	}
	err := c.stderr.String()
	if code != 5 || !strings.Contains(err, "the command has ended, but ") || !strings.Contains(err, "SIGTERM to process group ") ||
		!strings.Contains(err, "SIGKILL to process group ") {
		t.Errorf("code %d, stderr\n%s", code, err)
	}
}

// Whatever is sent to ldlm reaches all of the group.
func TestLockForwardsSignals(t *testing.T) {
	address := devAddress(t)
	const script = `sh -c 'for s in INT TERM HUP QUIT USR1 USR2; do trap "echo inner $s" $s; done; echo inner up; while :; do sleep 0.05; done' &
for s in INT TERM HUP QUIT USR1 USR2; do trap "echo outer $s" $s; done
trap 'echo outer USR2; kill -9 $!; exit 3' USR2; echo outer up; while :; do wait; done`
	c := run(t, address, nil, "lock", "x", "--", "sh", "-c", script)
	c.stdout.await(t, "outer up\n")
	c.stdout.await(t, "inner up\n")
	for _, s := range []struct {
		number syscall.Signal
		name   string
	}{{syscall.SIGTERM, "TERM"}, {syscall.SIGHUP, "HUP"}, {syscall.SIGUSR1, "USR1"}} {
		c.send(t, s.number)
		c.stdout.await(t, "outer "+s.name+"\n")
		c.stdout.await(t, "inner "+s.name+"\n")
	}
	// A shell without job control has what it starts in the background ignore these.
	for _, s := range []struct {
		number syscall.Signal
		name   string
	}{{syscall.SIGINT, "INT"}, {syscall.SIGQUIT, "QUIT"}} {
		c.send(t, s.number)
		c.stdout.await(t, "outer "+s.name+"\n")
	}
	c.send(t, syscall.SIGUSR2)
	if code := c.end(t); code != 3 {
		t.Errorf("code %d, want that of the command; stderr\n%s", code, c.stderr)
	}
}

// A command that has no answer to a signal ends by it, and who started ldlm learns
// that.
func TestLockEndsWithACommandThatASignalEnds(t *testing.T) {
	address := devAddress(t)
	for s, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGHUP: 129, syscall.SIGUSR1: 138} {
		c := run(t, address, nil, "lock", "x", "--", "sh", "-c", "echo up; exec sleep 1000")
		c.stdout.await(t, "up")
		if code := c.signal(t, s); code != want || c.stderr.String() != "" {
			t.Errorf("%v: code %d, want %d; stderr %q", s, code, want, c.stderr)
		}
		if info := lockState(t, address, "x"); info.HolderCount != 0 {
			t.Errorf("%v: it is still held", s)
		}
	}
}

// Who ignores SIGHUP, as nohup has it, goes on ignoring it.
func TestLockUnderNohup(t *testing.T) {
	address := devAddress(t)
	c := run(t, address, func(c *exec.Cmd) {
		c.Path, c.Args = "/bin/sh", []string{"sh", "-c", `trap "" HUP; exec "$0" lock x -- sh -c 'echo up; exec sleep 1000'`, c.Path}
	})
	c.stdout.await(t, "up")
	c.send(t, syscall.SIGHUP)
	c.send(t, syscall.SIGTERM)
	if code := c.end(t); code != 143 {
		t.Errorf("code %d, want 143", code)
	}
}

// etcdctl's lock never looks at its session while the command runs:
// etcd-io/etcd#7983. And it is the program that ends, not only the shell around
// it: hashicorp/consul#2022 and #2999.
func TestCommandEndsBeforeTheLockDoes(t *testing.T) {
	t.Parallel()
	server, address := spawnDev(t)
	const good = patientTTL / 112 * 100
	c, parent, grandchild := startFamily(t, address, "--ttl", patientTTL.String())
	server.kill(t)
	killed := time.Now()
	code := c.end(t)
	if took := time.Since(killed); took > good {
		t.Logf("ended %s after the server, good were %s: a slow machine", took, good)
	}
	if code != 76 || lives(parent) || lives(grandchild) {
		t.Errorf("code %d, child lives %t, grandchild %t", code, lives(parent), lives(grandchild))
	}
	group := `process group \d+`
	said := c.stderr.String()
	const again = "answered again\n" // a machine that is busy enough came close to this before
	if i := strings.LastIndex(said, again); i >= 0 {
		said = said[i+len(again):]
	}
	wantLines(t, said,
		`ldlm: "x": no answer for .*s \(127.0.0.1:\d+: connection refused\); session ends in .*s, SIGTERM in .*s`,
		`ldlm: "x": no answer for .*s \(127.0.0.1:\d+: connection refused\); session ends in .*s`,
		`ldlm: SIGTERM to `+group+`, SIGKILL in .*s`,
		`ldlm: SIGKILL to `+group,
		`ldlm: "x" lost; child ended \(7\)`)
}

// A server that says nothing is as good as none.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	server, address := spawnDev(t)
	c := run(t, address, nil, "lock", "x", "--ttl", patientTTL.String(), "--", "sh", "-c", "echo up; exec sleep 1000")
	c.stdout.await(t, "up")
	server.send(t, syscall.SIGSTOP)
	if code := c.end(t); code != 76 || !strings.Contains(c.stderr.String(), `"x" lost; child ended (143)`) {
		t.Errorf("code %d, stderr\n%s", code, c.stderr)
	}
	server.kill(t)
}

// An answer in time, and all is well again.
func TestServerRecoversInTime(t *testing.T) {
	t.Parallel()
	server, address := spawnDev(t)
	c := run(t, address, nil, "lock", "x", "--ttl", "20s", "--kill-after", "0.1", "--", "sh", "-c", "echo up; exec sleep 1000")
	c.stdout.await(t, "up")
	server.send(t, syscall.SIGSTOP)
	c.stderr.await(t, "no answer for")
	server.send(t, syscall.SIGCONT)
	c.stderr.await(t, `ldlm: "x": answered again`)
	if code := c.signal(t, syscall.SIGTERM); code != 143 || strings.Contains(c.stderr.String(), "SIGTERM to") {
		t.Errorf("code %d, stderr\n%s", code, c.stderr)
	}
	server.kill(t)
}

// While ldlm itself is stopped its guardian ends the command in time.
func TestCommandOfAStoppedLockEndsInTime(t *testing.T) {
	t.Parallel()
	address := devAddress(t)
	c, parent, grandchild := startFamily(t, address, "--ttl", patientTTL.String())
	c.send(t, syscall.SIGSTOP)
	next := run(t, address, nil, "lock", "x", "--", "sh", "-c", "kill -0 "+itoa(parent)+" 2>/dev/null && grep -v ' Z ' /proc/"+itoa(parent)+"/stat; kill -0 "+itoa(grandchild)+" 2>/dev/null && grep -v ' Z ' /proc/"+itoa(grandchild)+"/stat; :")
	if got := next.result(t); got != (result{}) {
		t.Errorf("the next holder met the command of the last one: %+v", got)
	}
	c.send(t, syscall.SIGCONT)
	if code := c.end(t); code != 76 || !strings.Contains(c.stderr.String(), `"x" lost; child ended`) {
		t.Errorf("code %d, stderr\n%s", code, c.stderr)
	}
}

// An administrator takes the lock away, at once or gently.
func TestLockTakenAway(t *testing.T) {
	address := devAddress(t)
	for _, c := range []struct {
		name string
		opts []ldlm.ForceOption
		says string
	}{
		{"at once", nil, `ldlm: "x": ended by an administrator`},
		{"gently", []ldlm.ForceOption{ldlm.Gently()}, `ldlm: "x": revoked by an administrator`},
	} {
		p := run(t, address, nil, "lock", "x", "--", "sh", "-c", "echo up; exec sleep 1000")
		p.stdout.await(t, "up")
		token := lockState(t, address, "x").Holders[0].Token
		if _, err := lockClient(t, address).Admin().ForceRelease(t.Context(), "x", token, "test", c.opts...); err != nil {
			t.Fatal(err)
		}
		code := p.end(t)
		wantLines(t, p.stderr.String(), c.says, `ldlm: SIGTERM to process group \d+, SIGKILL in 2s`, `ldlm: "x" lost; child ended \(143\)`)
		if code != 76 {
			t.Errorf("%s: code %d", c.name, code)
		}
		if info := lockState(t, address, "x"); info.HolderCount != 0 {
			t.Errorf("%s: it is still held", c.name)
		}
	}
}

func TestOnLostWarn(t *testing.T) {
	t.Parallel()
	server, address := spawnDev(t)
	c := run(t, address, nil, "lock", "x", "--ttl", patientTTL.String(), "--on-lost=warn", "--", "sh", "-c", "trap 'exit 4' USR1; echo up; while :; do sleep 0.05; done")
	c.stdout.await(t, "up")
	server.kill(t)
	c.stderr.await(t, "the command goes on (--on-lost=warn)")
	if code := c.signal(t, syscall.SIGUSR1); code != 4 || !strings.Contains(c.stderr.String(), `"x" lost; child ended (4)`) {
		t.Errorf("code %d, stderr\n%s", code, c.stderr)
	}
}

func TestOnLostTerm(t *testing.T) {
	t.Parallel()
	server, address := spawnDev(t)
	c := run(t, address, nil, "lock", "x", "--ttl", patientTTL.String(), "--on-lost=term", "--", "sh", "-c", "trap 'echo asked' TERM; trap 'exit 4' USR1; echo up; while :; do sleep 0.05; done")
	c.stdout.await(t, "up")
	server.kill(t)
	c.stdout.await(t, "asked")
	if code := c.signal(t, syscall.SIGUSR1); code != 76 || strings.Contains(c.stderr.String(), "SIGKILL") {
		t.Errorf("code %d, stderr\n%s", code, c.stderr)
	}
}

func TestMaxHold(t *testing.T) {
	address := devAddress(t)
	got := runLock(t, address, "lock", "x", "--max-hold", "0.2", "--", "sleep", "1000")
	wantLines(t, got.stderr, `ldlm: "x" was held for 200ms, as long as --max-hold allows`,
		`ldlm: SIGTERM to process group \d+, SIGKILL in 2s`, `ldlm: "x" given back; child ended \(143\)`)
	if got.code != 76 {
		t.Errorf("code %d", got.code)
	}
	if info := lockState(t, address, "x"); info.HolderCount != 0 {
		t.Error("it is still held")
	}
}

// A guardian that is killed is missed only if ldlm is killed as well.
func TestLockWithoutItsGuardian(t *testing.T) {
	address := devAddress(t)
	c := run(t, address, nil, "lock", "x", "--", "sh", "-c", `trap "exit 6" TERM; echo up; while :; do sleep 0.05; done`)
	c.stdout.await(t, "up")
	killGuardian(t, c.Process.Pid)
	if code := c.signal(t, syscall.SIGTERM); code != 6 {
		t.Errorf("code %d, stderr %q", code, c.stderr)
	}
}
