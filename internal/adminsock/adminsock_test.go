package adminsock_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/logtest"
	"github.com/ldlm-io/ldlm/internal/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// messages logs messages and attributes, without time and level INFO.
func messages(to *logtest.Log) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey && a.Value.String() == "INFO" {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// rig is a socket before a node in memory.
type rig struct {
	t      *testing.T
	node   *node.Node
	server *adminsock.Server
	client *adminsock.Client
	path   string
	log    *logtest.Log
	keys   byte
}

// newRig starts a server. wrap, if not nil, stands between socket and node.
func newRig(t *testing.T, wrap func(*node.Node) adminsock.Node) *rig {
	t.Helper()
	n, err := node.Open(node.Config{}, memory.Open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, node: n, path: filepath.Join(t.TempDir(), "s"), log: &logtest.Log{}}
	socket, err := adminsock.Listen(r.path)
	if err != nil {
		t.Fatal(err)
	}
	var front adminsock.Node = n
	if wrap != nil {
		front = wrap(n)
	}
	r.server = adminsock.Start(adminsock.Config{Socket: socket, Node: front, Logger: messages(r.log)})
	t.Cleanup(r.server.Close)
	r.client = adminsock.NewClient(r.path)
	return r
}

// hold takes a permit of a lock outside sessions and returns its key.
func (r *rig) hold(name string, size uint32) lock.Key {
	r.t.Helper()
	r.keys++
	a := &lock.Acquire{
		Items: []lock.Item{{Name: name, Size: size}}, Lease: lock.Minute,
		Key: lock.Key{0xaa, 0xbb, 0xcc, 0xdd, 0xee, 15: r.keys},
	}
	o, err := r.node.Call(r.t.Context(), a)
	if err != nil || o.Code != lock.OK {
		r.t.Fatalf("acquire %q: code %d, error %v", name, o.Code, err)
	}
	return o.Key
}

// list returns the grants that the socket shows, sorted.
func (r *rig) list() []string {
	r.t.Helper()
	var grants []string
	err := r.client.List(r.t.Context(), func(g adminsock.Grant) error {
		grants = append(grants, fmt.Sprintf("%s %s %d", g.Name, g.Key, g.Size))
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(grants)
	return grants
}

// wantRefused checks that the server refused.
func wantRefused(t *testing.T, what string, err error, code adminsock.Code, text string) {
	t.Helper()
	refused := (*adminsock.RefusedError)(nil)
	if !errors.As(err, &refused) || refused.Code != code || refused.Message != text {
		t.Errorf("%s: got error %v (%#v), want %s, %s", what, err, refused, code, text)
	}
}

func TestList(t *testing.T) {
	r := newRig(t, nil)
	if got := r.list(); len(got) != 0 {
		t.Errorf("an empty table lists %q", got)
	}
	a, b1, b2 := r.hold("a", 1), r.hold("b", 3), r.hold("b", 3)
	odd := r.hold("ü \"x\"\n\x00<&>", 1)
	want := []string{
		"a " + a.String() + " 1", "b " + b1.String() + " 3", "b " + b2.String() + " 3",
		"ü \"x\"\n\x00<&> " + odd.String() + " 1",
	}
	if got := r.list(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	const head = `aabbccdd-ee00-0000-0000-0000000000`
	if a.String() != head+"01" {
		t.Errorf("keys look like %s, want %s01", a, head)
	}
	if !strings.Contains(r.log.String(), `msg="Handling IPC ListLocks request"`) {
		t.Errorf("the log has no line of the request:\n%s", r.log)
	}
}

// Idle locks, waiters and lock delays are not grants.
func TestListShowsGrantsAlone(t *testing.T) {
	r := newRig(t, nil)
	key := r.hold("idle", 1)
	r.release("idle", key)
	o, err := r.node.Call(t.Context(), &lock.Acquire{
		Items: []lock.Item{{Name: "shut"}}, Lease: lock.Minute, LockDelay: lock.Minute, Key: lock.Key{1},
	})
	if err != nil || o.Code != lock.OK {
		t.Fatalf("code %d, error %v", o.Code, err)
	}
	if _, err := r.node.Call(t.Context(), &lock.ForceRelease{Name: "shut", Token: o.Token}); err != nil {
		t.Fatal(err)
	}
	if got := r.list(); len(got) != 0 {
		t.Errorf("got %q, want nothing", got)
	}
	wantRefused(t, "unlock of an idle lock", r.client.Unlock(t.Context(), "idle", nil), adminsock.NotFound, "a lock by that name does not exist")
	wantRefused(t, "unlock of a lock delay", r.client.Unlock(t.Context(), "shut", nil), adminsock.NotFound, "a lock by that name does not exist")
}

func (r *rig) release(name string, key lock.Key) {
	r.t.Helper()
	o, err := r.node.Call(r.t.Context(), &lock.Release{Hold: lock.Hold{Name: name, Key: key}})
	if err != nil || o.Code != lock.OK {
		r.t.Fatalf("release %q: code %d, error %v", name, o.Code, err)
	}
}

// More locks, and more holders of one, than a page has.
func TestListIsComplete(t *testing.T) {
	const crowd, locks = 1300, 250
	r := newRig(t, nil)
	want := map[string]bool{}
	acquire := func(name string, i int) {
		k := lock.Key{1, byte(i), byte(i >> 8)}
		o, err := r.node.Call(t.Context(), &lock.Acquire{
			Items: []lock.Item{{Name: name, Size: crowd}}, Lease: lock.Minute, Key: k,
		})
		if err != nil || o.Code != lock.OK {
			t.Fatalf("acquire %d of %q: code %d, error %v", i, name, o.Code, err)
		}
		want[fmt.Sprintf("%s %s %d", name, k, crowd)] = true
	}
	for i := range crowd {
		acquire("crowd", i)
	}
	for i := range locks {
		acquire(fmt.Sprint("lock", i), i)
	}
	got := r.list()
	if len(got) != len(want) {
		t.Errorf("%d grants are listed, want %d", len(got), len(want))
	}
	for _, g := range got {
		if !want[g] {
			t.Errorf("%s is listed twice, or was never granted", g)
		}
		delete(want, g)
	}
}

func TestUnlockByKey(t *testing.T) {
	r := newRig(t, nil)
	first, second := r.hold("a", 2), r.hold("a", 2)
	k := second.String()
	for _, wrong := range []string{"", "x", strings.ToUpper(k), strings.ReplaceAll(k, "-", ""), k + " ", lock.Key{}.String(), "\xff"} {
		wantRefused(t, wrong, r.client.Unlock(t.Context(), "a", &wrong), adminsock.WrongKey, "invalid lock key")
	}
	wantRefused(t, "another name", r.client.Unlock(t.Context(), "b", &k), adminsock.NotFound, "a lock by that name does not exist")
	if err := r.client.Unlock(t.Context(), "a", &k); err != nil {
		t.Fatal(err)
	}
	if got, want := r.list(), []string{"a " + first.String() + " 2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	wantRefused(t, "again", r.client.Unlock(t.Context(), "a", &k), adminsock.WrongKey, "invalid lock key")

	want := fmt.Sprintf("msg=\"Handling IPC Unlock request\" lock=a key=%s\n", k[:8])
	if log := r.log.String(); !strings.Contains(log, want) || strings.Contains(log, k) {
		t.Errorf("the log has no line %s, or a whole key:\n%s", want, log)
	}
}

// Without a key one grant ends, and the next waiter has the lock.
func TestUnlockAny(t *testing.T) {
	r := newRig(t, nil)
	key := r.hold("a", 1)
	watch, err := r.node.Watch(node.WatchFilter{Name: "a"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	granted := make(chan lock.Outcome, 1)
	go func() {
		o, err := r.node.Call(context.Background(), &lock.Acquire{
			Caller: lock.Caller{RequestID: "w"}, Items: []lock.Item{{Name: "a"}},
			Wait: lock.Forever, Lease: lock.Minute, Key: lock.Key{9},
		})
		if err != nil {
			t.Error(err)
		}
		granted <- o
	}()
	for queued := false; !queued; {
		events, err := watch.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		queued = slices.ContainsFunc(events, func(e node.Event) bool { return e.Type == lock.RequestQueued })
	}
	if err := r.client.Unlock(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	if o := <-granted; o.Code != lock.OK {
		t.Errorf("the waiter got code %d, want %d", o.Code, lock.OK)
	}
	old := key.String()
	wantRefused(t, "the old key", r.client.Unlock(t.Context(), "a", &old), adminsock.WrongKey, "invalid lock key")
	for _, name := range []string{"b", "", "\xff"} {
		wantRefused(t, name, r.client.Unlock(t.Context(), name, nil), adminsock.NotFound, "a lock by that name does not exist")
	}
}

// moving shows a hold that has just ended as often as it is told.
type moving struct {
	*node.Node
	mu   sync.Mutex
	left int
}

func (m *moving) Holders(ctx context.Context, name string, after lock.Token, limit int) ([]lock.HoldView, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left > 0 {
		m.left--
		return []lock.HoldView{{Name: name, Token: 1}}, nil
	}
	return m.Node.Holders(ctx, name, after, limit)
}

func TestUnlockFollowsTheToken(t *testing.T) {
	m := &moving{left: 3}
	r := newRig(t, func(n *node.Node) adminsock.Node { m.Node = n; return m })
	r.hold("a", 1)
	if err := r.client.Unlock(t.Context(), "a", nil); err != nil {
		t.Error(err)
	}
	if got := r.list(); len(got) != 0 {
		t.Errorf("got %q, want nothing", got)
	}
	r.hold("a", 1)
	m.mu.Lock()
	m.left = 1 << 30
	m.mu.Unlock()
	wantRefused(t, "a lock that always changes hands", r.client.Unlock(t.Context(), "a", nil), adminsock.Failed,
		"its grants end faster than they can be unlocked: try again")
}

// A node that has ended is the message, not a crash.
func TestNodeHasEnded(t *testing.T) {
	r := newRig(t, nil)
	if err := r.node.Close(); err != nil {
		t.Fatal(err)
	}
	key := lock.Key{1}.String()
	for what, err := range map[string]error{
		"list":       r.client.List(t.Context(), func(adminsock.Grant) error { return nil }),
		"unlock":     r.client.Unlock(t.Context(), "a", nil),
		"unlock key": r.client.Unlock(t.Context(), "a", &key),
	} {
		if refused := (*adminsock.RefusedError)(nil); !errors.As(err, &refused) || refused.Code != adminsock.Failed {
			t.Errorf("%s: got %v, want a refusal", what, err)
		}
	}
}

func TestEachEndsTheList(t *testing.T) {
	r := newRig(t, nil)
	r.hold("a", 2)
	r.hold("a", 2)
	stop, calls := errors.New("enough"), 0
	err := r.client.List(t.Context(), func(adminsock.Grant) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("got error %v after %d calls, want %v after 1", err, calls, stop)
	}
}
