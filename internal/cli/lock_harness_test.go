//go:build !windows

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/supervise"
)

// devAddress runs a development server in this process and returns its address.
func devAddress(t *testing.T) string {
	t.Helper()
	r := startDev(t, nil, "-l", "127.0.0.1:0", "--ipc_socket_file", "", "-o", "json")
	return listening(t, r.stdout.await(t, "\n"))
}

// listening reads where a development server listens.
func listening(t *testing.T, line string) string {
	t.Helper()
	var d devDocument
	if err := json.Unmarshal([]byte(line), &d); err != nil {
		t.Fatalf("%v: %q", err, line)
	}
	return d.Address
}

// spawnDev runs a development server in a process of its own, for tests that stop
// or kill it.
func spawnDev(t *testing.T) (*child, string) {
	t.Helper()
	c := run(t, "", nil, "dev", "-l", "127.0.0.1:0", "-r", "", "--ipc_socket_file", "", "-o", "json")
	return c, listening(t, c.stdout.await(t, "\n"))
}

// run runs ldlm in a process and a session of its own, without a terminal. Set
// changes the command before it starts.
func run(t *testing.T, address string, set func(*exec.Cmd), args ...string) *child {
	t.Helper()
	dir := shortDir(t)
	c := &child{
		Cmd:    exec.CommandContext(t.Context(), filepath.Join(programs, "ldlm"), args...),
		stdout: newOutput(), stderr: newOutput(), dir: dir,
	}
	c.Env = []string{"TMPDIR=" + dir, "PATH=" + os.Getenv("PATH"), "USER=ops", "LDLM_ADDRESS=" + address}
	c.Stdout, c.Stderr = c.stdout, c.stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.WaitDelay = time.Minute // for what a broken ldlm would leave behind
	if set != nil {
		set(c.Cmd)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// result is run to the end.
func (c *child) result(t *testing.T) result {
	t.Helper()
	code := c.end(t)
	return result{code, c.stdout.String(), c.stderr.String()}
}

// runLock runs ldlm to its end.
func runLock(t *testing.T, address string, args ...string) result {
	t.Helper()
	return run(t, address, nil, args...).result(t)
}

// send sends a signal.
func (c *child) send(t *testing.T, s os.Signal) {
	t.Helper()
	if err := c.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// number waits until a program has printed a word and a number, and returns that.
func (o *output) number(t *testing.T, word string) int {
	t.Helper()
	pattern := regexp.MustCompile(regexp.QuoteMeta(word) + ` (\d+)\n`)
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if m := pattern.FindStringSubmatch(o.text.String()); m != nil {
			n, _ := strconv.Atoi(m[1])
			return n
		}
		if o.over {
			t.Fatalf("it ended without a number after %q:\n%s", word, o.text.String())
		}
		o.more.Wait()
	}
}

// awaitEnd waits until a process that this one did not start has ended.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	w, err := supervise.Watch(pid)
	if errors.Is(err, os.ErrProcessDone) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	select {
	case <-w.Ended():
	case <-t.Context().Done():
	}
}

// lockClient is a client of a test's server.
func lockClient(t *testing.T, address string) *ldlm.Client {
	t.Helper()
	c, err := ldlm.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// lockState returns the holds and waits of a lock.
func lockState(t *testing.T, address, name string) ldlm.LockInfo {
	t.Helper()
	info, err := lockClient(t, address).Admin().Get(t.Context(), name)
	if err != nil && !errors.Is(err, ldlm.ErrNotFound) {
		t.Fatal(err)
	}
	return info
}

// awaitWaiters waits until a lock has so many waiters.
func awaitWaiters(t *testing.T, address, name string, n int) {
	t.Helper()
	c := lockClient(t, address)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// Every event of the lock is a reason to look; the first look comes before any.
	events := make(chan struct{}, 1)
	events <- struct{}{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			for _, err := range c.Watch(ctx, name) {
				if err != nil {
					break
				}
				select {
				case events <- struct{}{}:
				default:
				}
			}
			if ctx.Err() != nil {
				return
			}
		}
	}()
	defer func() { cancel(); <-done }()
	again := time.NewTicker(50 * time.Millisecond) // what happened before the watch stood
	defer again.Stop()
	for {
		select {
		case <-events:
		case <-again.C:
		}
		if info, err := c.Admin().Get(ctx, name); err == nil && info.WaiterCount == n {
			return
		}
	}
}
