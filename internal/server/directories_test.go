package server_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/cluster"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/logtest"
	"github.com/ldlm-io/ldlm/internal/server"
)

// street is where three members of a cluster live, which are started again and again.
type street struct {
	t     *testing.T
	dir   string
	first map[string]string
	doors map[string]*door
	runs  map[string]*member
	log   logtest.Log
	// clients are the doors for clients, by name. A member without one has a new address
	// whenever it starts.
	clients map[string]*door
}

// logged reports whether there is a text in the log of any member.
func (h *street) logged(text string) bool { return strings.Contains(h.log.String(), text) }

// door keeps an address for a member, also while the member is away: then who comes is sent away.
type door struct {
	net.Listener
	mu   sync.Mutex
	room *room
}

// room is what a member sees of its door.
type room struct {
	door  *door
	conns chan net.Conn
	left  chan struct{}
	leave sync.Once
}

func (d *door) run() {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		in := d.room
		d.mu.Unlock()
		if in == nil {
			_ = c.Close()
			continue
		}
		select {
		case in.conns <- c:
		case <-in.left:
			_ = c.Close()
		}
	}
}

// enter gives a member its door.
func (d *door) enter() *room {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = &room{door: d, conns: make(chan net.Conn), left: make(chan struct{})}
	return d.room
}

func (r *room) Accept() (net.Conn, error) {
	select {
	case c := <-r.conns:
		return c, nil
	case <-r.left:
		return nil, net.ErrClosed
	}
}

func (r *room) Close() error {
	r.leave.Do(func() {
		r.door.mu.Lock()
		defer r.door.mu.Unlock()
		if r.door.room == r {
			r.door.room = nil
		}
		close(r.left)
	})
	return nil
}

func (r *room) Addr() net.Addr { return r.door.Addr() }

// newStreet gives three members their addresses.
func newStreet(t *testing.T) *street {
	t.Helper()
	h := &street{t: t, dir: memoryDir(t), first: map[string]string{}, doors: map[string]*door{}, runs: map[string]*member{}}
	for _, name := range []string{"a", "b", "c"} {
		h.doors[name] = newDoor(t)
		h.first[name] = h.doors[name].Addr().String()
	}
	return h
}

// newDoor opens a door for the time of a test.
func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{Listener: listen(t)}
	var open sync.WaitGroup
	open.Go(d.run)
	t.Cleanup(func() {
		_ = d.Close() // the test is over
		open.Wait()
	})
	return d
}

func (h *street) data(name string) string { return filepath.Join(h.dir, name) }

// startAll starts all three members, and waits until they have begun.
func (h *street) startAll() {
	h.t.Helper()
	for name := range h.first {
		h.start(name, nil)
	}
	h.begun("a", "b", "c")
}

// start starts a member where it was.
func (h *street) start(name string, complete func(*server.Members)) *member {
	h.t.Helper()
	m, err := h.tryStart(name, complete)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { m.end(h.t) })
	return m
}

// tryStart starts a member that may fail by itself.
func (h *street) tryStart(name string, complete func(*server.Members)) (*member, error) {
	h.t.Helper()
	l := h.entrance(name)
	c := &server.Members{Advertise: h.first[name], Name: name, Clients: l.Addr().String(), First: h.first}
	if complete != nil {
		complete(c)
	}
	if c.Listener == nil {
		c.Listener = h.doors[name].enter()
	}
	s, err := server.Start(server.Config{Listener: l, DataDir: h.data(name), RestartLease: time.Minute, Members: c, Logger: slog.New(slog.NewTextHandler(&h.log, nil))})
	if err != nil {
		return nil, err
	}
	h.runs[name] = &member{Server: s, name: name, address: c.Advertise, clients: c.Clients}
	return h.runs[name], nil
}

// entrance is where clients come to a member that starts.
func (h *street) entrance(name string) net.Listener {
	if d := h.clients[name]; d != nil {
		return d.enter()
	}
	return listen(h.t)
}

// begun waits until members serve.
func (h *street) begun(names ...string) {
	h.t.Helper()
	for _, name := range names {
		select {
		case <-h.runs[name].Node().Begun():
		case <-h.runs[name].Failed():
			h.t.Fatalf("member %s: %v", name, h.runs[name].Err())
		}
	}
}

// disowned starts a member that is to end by itself, and returns why it does.
func (h *street) disowned(name string, complete func(*server.Members)) string {
	h.t.Helper()
	m, err := h.tryStart(name, complete)
	if err != nil {
		return err.Error() // it was told so early
	}
	select {
	case <-m.Failed():
	case <-time.After(fuse):
		h.t.Fatalf("member %s goes on", m.name)
	}
	err = m.Err()
	_ = m.Shutdown(h.t.Context()) // it has failed
	if err == nil {
		h.t.Fatalf("member %s ended without an error", m.name)
	}
	return err.Error()
}

// A member whose directory was lost is not one any more: with the third member away it gets
// no vote from the other, and ends with what to do. With its own directory it goes on.
func TestWipedMember(t *testing.T) {
	for _, joins := range []bool{false, true} {
		h := newStreet(t)
		h.startAll()
		h.runs["a"].end(t)
		h.runs["b"].end(t)
		if err := os.Rename(h.data("a"), h.data("away")); err != nil {
			t.Fatal(err)
		}
		why := h.disowned("a", func(m *server.Members) {
			if joins {
				m.First, m.Join = nil, h.first["c"]
			}
		})
		for _, want := range []string{"another data directory", "ldlm cluster remove a", "a new name"} {
			if !strings.Contains(why, want) {
				t.Errorf("joins %v: %q does not say %q", joins, why, want)
			}
		}
		if err := h.runs["c"].Kept().Barrier(t.Context()); err == nil {
			t.Errorf("joins %v: somebody leads with a member that has forgotten its votes", joins)
		}
		if err := errors.Join(os.RemoveAll(h.data("a")), os.Rename(h.data("away"), h.data("a"))); err != nil {
			t.Fatal(err)
		}
		h.start("a", nil)
		h.begun("a", "c")
	}
}

// A member that was put back from an older copy does not have what it has confirmed.
func TestOlderCopy(t *testing.T) {
	h := newStreet(t)
	h.startAll()
	h.runs["a"].end(t)
	if err := os.CopyFS(h.data("copy"), os.DirFS(h.data("a"))); err != nil {
		t.Fatal(err)
	}
	h.start("a", nil)
	h.begun("a")
	c, err := ldlm.Dial(h.runs["b"].clients)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	l, err := lockAt(t, c, "x")
	if err != nil {
		t.Fatal(err)
	}
	release(t, l)
	h.seen("b", "a", h.runs["a"].Kept().Status().AppliedEntry)
	h.seen("c", "a", h.runs["a"].Kept().Status().AppliedEntry)
	h.runs["a"].end(t)
	if err := errors.Join(os.RemoveAll(h.data("a")), os.Rename(h.data("copy"), h.data("a"))); err != nil {
		t.Fatal(err)
	}
	why := h.disowned("a", nil)
	for _, want := range []string{"an older copy", "ldlm cluster remove a", "a new name"} {
		if !strings.Contains(why, want) {
			t.Errorf("%q does not say %q", why, want)
		}
	}
}

// seen waits until a member has seen another one with an entry.
func (h *street) seen(by, whom string, entry uint64) {
	h.t.Helper()
	for limit := time.Now().Add(fuse); ; {
		if _, had := h.runs[by].Kept().Roll().Of(whom); had >= entry {
			return
		}
		if time.Now().After(limit) {
			h.t.Fatalf("%s has not seen %s with entry %d", by, whom, entry)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// A new cluster begins when all its members have met: two of them, one with a directory
// that was lost before, cannot know better.
func TestAllMeetFirst(t *testing.T) {
	h := newStreet(t)
	h.start("a", nil)
	h.start("b", nil)
	for name, other := range map[string]string{"a": "b", "b": "a"} {
		for limit := time.Now().Add(fuse); ; <-time.After(10 * time.Millisecond) {
			if d, _ := h.runs[name].Kept().Roll().Of(other); d != "" {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("%s has not met %s", name, other)
			}
		}
		if got := h.runs[name].Kept().Roll().Awaits(); len(got) != 1 || got[0] != "c" {
			t.Errorf("%s waits for %q", name, got)
		}
	}
	for name, at := range map[string]string{"a": h.first["b"], "b": h.first["a"]} {
		port, err := cluster.Open(cluster.Config{})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := port.Ask(t.Context(), "", at, cluster.TopicStatus, nil)
		port.Close()
		if err != nil || !strings.Contains(string(answer), `"awaits":["c"]`) {
			t.Errorf("%s: %s, %v", name, answer, err)
		}
	}
	for limit := time.Now().Add(fuse); !h.logged("member=a waits_for=c") || !h.logged("member=b waits_for=c"); <-time.After(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("they do not say whom they wait for")
		}
	}
	h.start("c", nil)
	h.begun("a", "b", "c")
	for name, m := range h.runs {
		if got := m.Kept().Roll().Awaits(); len(got) != 0 {
			t.Errorf("%s waits for %q", name, got)
		}
	}
}

// Who joins at its own address, or where nobody is, is told so.
func TestJoinNobody(t *testing.T) {
	h := newStreet(t)
	port, l := listen(t), listen(t)
	c := &server.Members{Listener: port, Advertise: port.Addr().String(), Name: "d", Join: port.Addr().String()}
	_, err := server.Start(server.Config{Listener: l, DataDir: h.data("d"), Members: c})
	if err == nil || !strings.Contains(err.Error(), "the address of this member itself") {
		t.Errorf("at itself: %v", err)
	}
	if _, err := os.Stat(h.data("d")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory was made: %v", err)
	}
}

// Where nobody is, who joins is told which address is wanted.
func TestJoinWhereNobodyIs(t *testing.T) {
	t.Parallel() // it looks for a while
	h := newStreet(t)
	port, l := listen(t), listen(t)
	c := &server.Members{Listener: port, Advertise: port.Addr().String(), Name: "d", Join: h.first["a"]}
	_, err := server.Start(server.Config{Listener: l, DataDir: h.data("d"), Members: c})
	if err == nil || !strings.Contains(err.Error(), "no member took this one in") || !strings.Contains(err.Error(), "ldlm cluster status") {
		t.Errorf("got %v", err)
	}
}

// A member that comes back at another address says that the others do not find it, until
// it has told them.
func TestMovedMember(t *testing.T) {
	h := newStreet(t)
	h.startAll()
	h.runs["a"].end(t)
	const warning = "The other members know this one under another address"
	if h.logged(warning) {
		t.Error("warned of an address that is right")
	}
	l := &door{Listener: listen(t)}
	var open sync.WaitGroup
	open.Go(l.run)
	defer open.Wait()
	defer func() { _ = l.Close() }()
	moved := func(m *server.Members) { m.Listener, m.Advertise = l.enter(), l.Addr().String() }
	h.start("a", moved)
	if !h.logged(warning) || !h.logged("once with cluster_join") {
		t.Error("not warned")
	}
	h.runs["a"].end(t)
	m := h.start("a", func(m *server.Members) {
		moved(m)
		m.Join = h.first["b"]
	})
	h.begun("a")
	for limit := time.Now().Add(fuse); ; <-time.After(10 * time.Millisecond) {
		if i := slices.IndexFunc(h.runs["b"].Kept().Members(), func(x raftlog.Member) bool { return x.Member == "a" && x.Address == m.address && x.Votes }); i >= 0 {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("the others do not know the new address")
		}
	}
	m.end(t)
}

// A member that is left without a majority ends in order all the same: what its clients
// hold goes as if it had died.
func TestEndWithoutMajority(t *testing.T) {
	h := newStreet(t)
	h.startAll()
	if l, err := tryV1(t, dialV1(t, h.runs["c"].clients), "v1"); err != nil || !l.GetLocked() {
		t.Fatalf("%v, %v", l, err)
	}
	h.runs["a"].end(t)
	h.runs["b"].end(t)
	h.runs["c"].end(t)
	if !h.logged("no majority of the members has taken them over") {
		t.Error("nothing is said of the holds")
	}
}

// A member that was removed is not taken back by being started again as it was: it has to
// come as a new one, and is told so.
func TestRemovedMember(t *testing.T) {
	h := newStreet(t)
	h.startAll()
	port := asOperator(t)
	leads := statusOf(t, port, h.runs["a"]).Leader
	for ; leads == ""; leads = statusOf(t, port, h.runs["a"]).Leader {
		<-time.After(20 * time.Millisecond)
	}
	gone := "c"
	if leads == gone {
		gone = "b"
	}
	if answer, err := port.Ask(t.Context(), "", h.first["a"], cluster.TopicRemove, []byte(gone)); err != nil || len(answer) > 0 {
		t.Fatalf("%s, %v", answer, err)
	}
	for limit := time.Now().Add(fuse); !strings.Contains(h.runs[gone].Readiness().String(), "was removed from the cluster"); <-time.After(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("probes are told %v", h.runs[gone].Readiness())
		}
	}
	h.runs[gone].end(t)
	h.start(gone, func(m *server.Members) { m.First, m.Join = nil, h.first["a"] })
	const refusal = "a name that was never used"
	for limit := time.Now().Add(fuse); !h.logged(refusal); <-time.After(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("it is not told why it is not taken in")
		}
	}
	if i := infoOf(statusOf(t, port, h.runs["a"]), gone); i.Member != "" {
		t.Errorf("it was taken back: %+v", i)
	}
}
