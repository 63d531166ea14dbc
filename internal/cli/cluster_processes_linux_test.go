package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/ldlm-io/ldlm"
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/cluster"
)

// trio is three members in processes of their own, with certificates.
type trio struct {
	t       *testing.T
	dir     string
	members string
	clients map[string]string
	ports   map[string]string
	process map[string]*exec.Cmd
}

func startTrio(t *testing.T) *trio {
	t.Helper()
	w := &trio{t: t, dir: memoryDir(t), clients: map[string]string{}, ports: map[string]string{}, process: map[string]*exec.Cmd{}}
	ca := filepath.Join(w.dir, "ca")
	if got := call(t, Ldlm, nil, "cluster", "ca", "init", "--dir", ca); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	var list []string
	for _, m := range []string{"a", "b", "c"} {
		if got := call(t, Ldlm, nil, "cluster", "ca", "issue", m, "--dir", ca); got.code != 0 {
			t.Fatalf("%+v", got)
		}
		w.clients[m], w.ports[m] = freePort(t), freePort(t)
		list = append(list, m+"="+w.ports[m])
	}
	w.members = strings.Join(list, ",")
	t.Cleanup(func() {
		for m := range w.process {
			w.kill(m)
		}
	})
	for m := range w.clients {
		w.start(m)
	}
	w.leader()
	return w
}

// credentials are flags with the certificate of a member.
func (w *trio) credentials(m string) []string {
	file := func(name string) string { return filepath.Join(w.dir, "ca", name) }
	return []string{"--cluster_ca", file("ca.pem"), "--cluster_cert", file(m + ".pem"), "--cluster_key", file(m + "-key.pem")}
}

// memoryDir is a folder in memory where there is room for that: the members give a disk
// up that takes too long, and a test must not depend on what else is written meanwhile.
func memoryDir(t *testing.T) string {
	t.Helper()
	const memory, enough = "/dev/shm", 1 << 30
	var space unix.Statfs_t
	if err := unix.Statfs(memory, &space); err != nil || space.Bavail*uint64(space.Bsize) < enough {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "ldlm") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (w *trio) start(m string) {
	w.t.Helper()
	args := append([]string{
		"server", "--data_dir", filepath.Join(w.dir, m), "-l", w.clients[m], "--ipc_socket_file", "", "--member_name", m, "--cluster_members", w.members,
	}, w.credentials(m)...)
	c := exec.Command(filepath.Join(programs, "ldlm"), args...)
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.process[m] = c
}

// kill ends a member's process as kill -9 does.
func (w *trio) kill(m string) {
	c := w.process[m]
	delete(w.process, m)
	_ = c.Process.Kill() // it may be dead
	_ = c.Wait()         // how it ended is known
}

func (w *trio) signal(m string, s syscall.Signal) {
	w.t.Helper()
	if err := w.process[m].Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}

// leader returns the member that leads, when the others say so, and those that follow.
func (w *trio) leader() (leader string, others []string) {
	w.t.Helper()
	const fuse = 3 * time.Minute
	for begin := time.Now(); time.Since(begin) < fuse; {
		for m := range w.process {
			leader := w.status(m).Leader
			if leader == "" || leader == m || w.process[leader] == nil {
				continue
			}
			for other := range w.process {
				if other != leader {
					others = append(others, other)
				}
			}
			slices.Sort(others)
			return leader, others
		}
		<-time.After(50 * time.Millisecond)
	}
	w.t.Fatal("nobody leads")
	return "", nil
}

// status is how a member sees the cluster; zero if it does not answer.
func (w *trio) status(m string) (s cluster.Status) {
	w.t.Helper()
	got := call(w.t, Ldlm, nil, append([]string{"cluster", "status", "-o", "json", "--member", w.ports[m]}, w.credentials(m)...)...)
	if got.code != 0 {
		return s
	}
	if err := json.Unmarshal([]byte(got.stdout), &s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// all are the addresses of all members, one of them first.
func (w *trio) all(first string) string {
	list := []string{w.clients[first]}
	for _, m := range []string{"a", "b", "c"} {
		if m != first {
			list = append(list, w.clients[m])
		}
	}
	return strings.Join(list, ",")
}

func (w *trio) dial(first string) *ldlm.Client {
	w.t.Helper()
	c, err := ldlm.Dial(w.all(first))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() }) // the test is over
	return c
}

// lock takes a lock. There is not always a member that leads, and a client that is
// told so asks again.
func (w *trio) lock(c *ldlm.Client, name string) (*ldlm.Lock, error) {
	ctx := context.WithoutCancel(w.t.Context())
	for {
		l, err := c.Lock(ctx, name)
		if !errors.Is(err, ldlm.ErrUnavailable) || !ldlm.SafeToRetry(err) {
			return l, err
		}
		<-time.After(again)
	}
}

// release lets a lock go. The answer may come too late; it is let go all the same.
func (w *trio) release(l *ldlm.Lock) error {
	err := l.Release(context.WithoutCancel(w.t.Context()))
	if errors.Is(err, ldlm.ErrUnknownOutcome) {
		return nil
	}
	return err
}

// again is how long a client waits that was told to ask again.
const again = 20 * time.Millisecond

// The member that leads is killed again and again, while a lock is held and clients of
// all members wait for it: who holds it keeps it, the queue keeps its order, and
// tokens grow.
func TestClusterLeaderKilled(t *testing.T) {
	w := startTrio(t)
	last := uint64(0)
	for round := range 3 {
		leader, others := w.leader()
		name := fmt.Sprint("round ", round)
		held, err := w.lock(w.dial(others[0]), name)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 3)
		for i, at := range []string{leader, others[0], others[1]} {
			c := w.dial(at)
			go func() {
				l, err := w.lock(c, name)
				if err == nil {
					got <- fmt.Sprintf("%d, token grows: %v", i, l.Token() > held.Token())
					err = w.release(l)
				}
				if err != nil {
					got <- fmt.Sprintf("%d: %v", i, err)
				}
			}()
			for {
				info, err := w.dial(others[0]).Admin().Get(t.Context(), name)
				if err == nil && len(info.Waiters) == i+1 {
					break
				}
				<-time.After(again)
			}
		}
		w.kill(leader)
		killed := time.Now()
		if l, err := w.lock(w.dial(others[1]), name+" new"); err != nil || l.Token() <= last {
			t.Errorf("the first lock afterwards: %v", err)
		} else {
			t.Logf("%s is killed, the first new lock is granted after %v", leader, time.Since(killed))
			last = l.Token()
		}
		if l, err := w.dial(others[0]).TryLock(t.Context(), name); err == nil {
			t.Errorf("somebody else has the lock, with token %d", l.Token())
		}
		if err := w.release(held); err != nil {
			t.Errorf("it was held all the time: %v", err)
		}
		for i := range 3 {
			if s, want := <-got, fmt.Sprintf("%d, token grows: true", i); s != want {
				t.Errorf("place %d: %s", i, s)
			}
		}
		w.start(leader)
	}
}

// A member that stands still for longer than the others wait for it does not keep its
// clients of the first protocol: somebody else gets the lock, and when it goes on
// their connections have ended.
func TestClusterMemberFrozen(t *testing.T) {
	w := startTrio(t)
	_, others := w.leader()
	frozen := others[0]
	conn, err := grpc.NewClient(w.clients[frozen], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	v1 := ldlmv1.NewLDLMClient(conn)
	for _, name := range []string{"a", "b"} {
		l, err := v1.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: name})
		for status.Code(err) == codes.Unavailable { // until it has joined, and some member leads
			<-time.After(again)
			l, err = v1.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: name})
		}
		if err != nil || !l.GetLocked() {
			t.Fatalf("%v, %v", l, err)
		}
	}
	waited := make(chan error, 1)
	go func() {
		_, err := v1.Lock(context.WithoutCancel(t.Context()), &ldlmv1.LockRequest{Name: "a"})
		waited <- err
	}()
	w.signal(frozen, syscall.SIGSTOP)
	begin := time.Now()
	l, err := w.lock(w.dial(others[1]), "b")
	if err != nil {
		t.Fatalf("the lock of a client whose member stands still: %v", err)
	}
	t.Logf("granted after %v", time.Since(begin))
	w.signal(frozen, syscall.SIGCONT)
	if err := <-waited; status.Code(err) != codes.Unavailable {
		t.Errorf("who waited on a connection that has ended got %v", err)
	}
	if err := w.release(l); err != nil {
		t.Error(err)
	}
}
