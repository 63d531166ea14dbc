package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ldlm-io/ldlm"
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/cluster"
	"github.com/ldlm-io/ldlm/internal/server"
)

// member is a server that is one of several.
type member struct {
	*server.Server
	name, address string // of the members' port
	clients       string
	over          sync.Once
}

func (m *member) end(t *testing.T) {
	t.Helper()
	m.over.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), fuse)
		defer cancel()
		if err := m.Shutdown(ctx); err != nil {
			t.Errorf("end %s: %v", m.name, err)
		}
	})
}

// startMember starts a member on loopback.
func startMember(t *testing.T, name string, port net.Listener, complete func(*server.Members)) *member {
	t.Helper()
	return startMemberIn(t, filepath.Join(memoryDir(t), name), name, port, complete)
}

// startMemberIn starts a member with a data directory.
func startMemberIn(t *testing.T, dir, name string, port net.Listener, complete func(*server.Members)) *member {
	t.Helper()
	l := listen(t)
	c := &server.Members{Listener: port, Advertise: port.Addr().String(), Name: name, Clients: l.Addr().String()}
	complete(c)
	s, err := server.Start(server.Config{Listener: l, DataDir: dir, RestartLease: time.Minute, Members: c})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{Server: s, name: name, address: c.Advertise, clients: c.Clients}
	t.Cleanup(func() { m.end(t) })
	return m
}

// startThree begins a cluster.
func startThree(t *testing.T) []*member {
	t.Helper()
	first, ports := map[string]string{}, map[string]net.Listener{}
	for _, name := range []string{"a", "b", "c"} {
		ports[name] = listen(t)
		first[name] = ports[name].Addr().String()
	}
	var all []*member
	for _, name := range []string{"a", "b", "c"} {
		all = append(all, startMember(t, name, ports[name], func(c *server.Members) { c.First = first }))
	}
	for _, m := range all {
		select {
		case <-m.Node().Begun():
		case <-m.Failed():
			t.Fatalf("member %s: %v", m.name, m.Err())
		}
	}
	return all
}

// parted returns the member that leads, and the others.
func parted(t *testing.T, all []*member) (leader *member, others []*member) {
	t.Helper()
	for leader == nil {
		changed := all[0].Kept().Changed()
		who, known := all[0].Kept().Leader()
		if !known {
			<-changed
			continue
		}
		others = nil
		for _, m := range all {
			if m.name == who.Member {
				leader = m
			} else {
				others = append(others, m)
			}
		}
	}
	return leader, others
}

// memoryDir is a folder in memory where there is room for that: members give a disk up
// that takes too long, and a test must not depend on what else is written meanwhile.
func memoryDir(t *testing.T) string {
	t.Helper()
	const memory = "/dev/shm"
	if free, ok := freeBytes(memory); !ok || free < 1<<30 {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "ldlm") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// asksAgain reports whether a client is told that nobody leads at the moment, after a
// little while. Nothing has happened then.
func asksAgain(err error) bool {
	safe := errors.Is(err, ldlm.ErrUnavailable) && ldlm.SafeToRetry(err)
	if !safe && status.Code(err) != codes.Unavailable {
		return false
	}
	<-time.After(20 * time.Millisecond)
	return true
}

// tryV1 tries a lock of the first protocol at a member of a cluster.
func tryV1(t *testing.T, c ldlmv1.LDLMClient, name string) (*ldlmv1.LockResponse, error) {
	t.Helper()
	l, err := c.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: name})
	for asksAgain(err) {
		l, err = c.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: name})
	}
	return l, err
}

// lockAt takes a lock from a cluster.
func lockAt(t *testing.T, c *ldlm.Client, name string) (*ldlm.Lock, error) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	l, err := c.Lock(ctx, name)
	for asksAgain(err) {
		l, err = c.Lock(ctx, name)
	}
	return l, err
}

// release lets a lock go. The answer may come too late; it is let go all the same.
func release(t *testing.T, l *ldlm.Lock) {
	t.Helper()
	if err := l.Release(context.WithoutCancel(t.Context())); err != nil && !errors.Is(err, ldlm.ErrUnknownOutcome) {
		t.Errorf("release: %v", err)
	}
}

// held is a handler of log lines that lets one message wait.
type held struct {
	slog.Handler
	message string
	until   <-chan struct{}
}

func (h held) Enabled(context.Context, slog.Level) bool { return true }

func (h held) Handle(_ context.Context, r slog.Record) error {
	if r.Message == h.message {
		<-h.until
	}
	return nil
}

func (h held) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h held) WithGroup(string) slog.Handler      { return h }

// A member of a new cluster is asked as soon as it can be, when it has not got further
// than to wait for the others: nobody leads, and it must not say that it does.
func TestNobodyLeadsAtFirst(t *testing.T) {
	asked := make(chan struct{})
	logger := slog.New(held{message: "The new cluster begins when all its members have met: start them all", until: asked})
	l, port := listen(t), listen(t)
	c := &server.Members{Listener: port, Advertise: port.Addr().String(), Name: "a", Clients: l.Addr().String()}
	c.First = map[string]string{"a": c.Advertise, "b": "127.0.0.1:1"}
	s, err := server.Start(server.Config{Listener: l, DataDir: filepath.Join(memoryDir(t), "a"), RestartLease: time.Minute, Members: c, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	defer (&member{Server: s, name: "a"}).end(t)
	defer close(asked)
	client, err := ldlm.Dial(c.Clients)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	said, err := client.Admin().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if said.Leads || said.Leader != "" {
		t.Errorf("leads: %v, leader: %q, with one of two members", said.Leads, said.Leader)
	}
}

// The member that leads goes. A lock of the first protocol that is held at another one
// stays, with its connection; native clients that wait at all members get the lock
// in the order in which they came, with tokens that grow.
func TestLeaderGoes(t *testing.T) {
	all := startThree(t)
	leader, others := parted(t, all)
	v1 := dialV1(t, others[0].clients)
	held, err := tryV1(t, v1, "v1")
	if err != nil || !held.GetLocked() {
		t.Fatalf("%v, %v", held, err)
	}
	addresses := []string{leader.clients, others[0].clients, others[1].clients}
	holder, err := ldlm.Dial(others[1].clients)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close() }()
	lock, err := lockAt(t, holder, "a")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, len(addresses))
	last := lock.Token()
	var waiting sync.WaitGroup
	for i, at := range addresses {
		c, err := ldlm.Dial(strings.Join(append([]string{at}, addresses...), ","))
		if err != nil {
			t.Fatal(err)
		}
		waiting.Go(func() {
			defer func() { _ = c.Close() }()
			l, err := lockAt(t, c, "a")
			if err != nil {
				got <- fmt.Sprintf("%d: %v", i, err)
				return
			}
			got <- fmt.Sprintf("%d, grows: %v", i, l.Token() > last)
			release(t, l)
		})
		for {
			view, _, err := others[0].Node().Lookup(t.Context(), "a")
			if err == nil && len(view.Waiters) == i+1 {
				break
			}
		}
	}
	leader.end(t)
	if again, err := tryV1(t, dialV1(t, others[1].clients), "v1"); err != nil || again.GetLocked() {
		t.Errorf("somebody else: %v, %v", again, err)
	}
	release(t, lock)
	for i := range addresses {
		if s, want := <-got, fmt.Sprintf("%d, grows: true", i); s != want {
			t.Errorf("place %d: %s", i, s)
		}
	}
	waiting.Wait()
	let, err := v1.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "v1", Key: held.GetKey()})
	for asksAgain(err) {
		let, err = v1.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "v1", Key: held.GetKey()})
	}
	if err != nil || !let.GetUnlocked() {
		t.Errorf("unlock: %v, %v", let, err)
	}
}

// A server that was alone is joined by two, and goes; what was held stays.
func TestGrowAndShrink(t *testing.T) {
	a := startMember(t, "a", listen(t), func(*server.Members) {})
	<-a.Node().Begun()
	c, err := ldlm.Dial(a.clients)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := lockAt(t, c, "a"); err != nil {
		t.Fatal(err)
	}
	all := []*member{a}
	for _, name := range []string{"b", "c"} {
		m := startMember(t, name, listen(t), func(x *server.Members) { x.Join = a.address })
		<-m.Node().Begun()
		for votes := 0; votes != len(all)+1; {
			<-time.After(10 * time.Millisecond)
			votes = 0
			for _, x := range m.Kept().Members() {
				if x.Votes {
					votes++
				}
			}
		}
		all = append(all, m)
	}
	port, err := cluster.Open(cluster.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	if answer, err := port.Ask(t.Context(), "c", all[2].address, cluster.TopicLead, []byte("b")); err != nil || len(answer) > 0 {
		t.Fatalf("%s, %v", answer, err)
	}
	if answer, err := port.Ask(t.Context(), "", all[2].address, cluster.TopicRemove, []byte("a")); err != nil || len(answer) > 0 {
		t.Fatalf("%s, %v", answer, err)
	}
	view, _, err := all[2].Node().Lookup(t.Context(), "a")
	if err != nil || len(view.Holders) != 1 {
		t.Errorf("%d holders, %v", len(view.Holders), err)
	}
	if n := len(all[1].Kept().Members()); n != 2 {
		t.Errorf("%d members", n)
	}
}
