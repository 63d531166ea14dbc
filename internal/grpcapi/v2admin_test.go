package grpcapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/node"
)

// list reads all pages of a listing.
func (n *native) list(r *ldlmv2.ListRequest) (names []string, pages int) {
	n.t.Helper()
	for {
		p, err := n.List(n.t.Context(), r)
		if err != nil {
			n.t.Fatalf("list: %v", err)
		}
		pages++
		for _, l := range p.Locks {
			names = append(names, l.Name)
		}
		if p.NextCursor == 0 {
			return names, pages
		}
		r.Cursor = p.NextCursor
	}
}

func TestList(t *testing.T) {
	h := open(t)
	n := h.session(time.Minute)
	var all []string
	for i := range 250 {
		name := fmt.Sprintf("%d/%03d", i%2, i)
		all = append(all, name)
		n.take(&ldlmv2.Acquire{Name: name})
	}
	waiting := h.session(time.Minute).ask(&ldlmv2.AcquireRequest{Caller: n.caller, Acquire: &ldlmv2.Acquire{Name: "1/001", WaitUs: -1}})
	h.until("1/001", waiters(1))
	idle := n.take(&ldlmv2.Acquire{Name: "idle"})
	if _, err := n.Release(t.Context(), &ldlmv2.ReleaseRequest{Release: &ldlmv2.Release{Name: "idle", Key: idle.Key}}); err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		r     *ldlmv2.ListRequest
		want  int
		pages int
	}{
		"all, by default 100": {&ldlmv2.ListRequest{}, 251, 3},
		"70 at once":          {&ldlmv2.ListRequest{Limit: 70}, 251, 4},
		"too many at once":    {&ldlmv2.ListRequest{Limit: 5000}, 251, 1},
		"prefix":              {&ldlmv2.ListRequest{Prefix: "1/", Limit: 1000}, 125, 1},
		"held":                {&ldlmv2.ListRequest{State: ldlmv2.LockState_LOCK_STATE_HELD, Limit: 1000}, 250, 1},
		"contended":           {&ldlmv2.ListRequest{State: ldlmv2.LockState_LOCK_STATE_CONTENDED}, 1, 1},
		"idle":                {&ldlmv2.ListRequest{State: ldlmv2.LockState_LOCK_STATE_IDLE}, 1, 1},
		"none":                {&ldlmv2.ListRequest{Prefix: "nope"}, 0, 1},
	} {
		names, pages := n.list(test.r)
		if len(names) != test.want || pages != test.pages {
			t.Errorf("%s: %d locks on %d pages, want %d on %d", what, len(names), pages, test.want, test.pages)
		}
	}
	if names, _ := n.list(&ldlmv2.ListRequest{State: ldlmv2.LockState_LOCK_STATE_HELD}); !slices.Equal(names, all) {
		t.Errorf("listed are %v, want them as they were made", names)
	}
	failedWith(t, "an unknown state", second(n.List(t.Context(), &ldlmv2.ListRequest{State: 9})), codes.InvalidArgument, ldlmv2.Code_CODE_INVALID)
	waiting.cancel()
	<-waiting.done
}

// TestListsFitIntoMessages: clients take 4 MiB at once, and holders can tell a lot.
func TestListsFitIntoMessages(t *testing.T) {
	h := open(t)
	n := h.session(time.Minute)
	note := &ldlmv2.Note{Reason: strings.Repeat("r", 1024), Value: bytes.Repeat([]byte{1}, 4096), Labels: map[string]string{}}
	for i := range 32 {
		note.Labels[fmt.Sprint(i)] = strings.Repeat("l", 500)
	}
	const locks, each = 40, 12
	for i := range locks {
		for range each {
			n.take(&ldlmv2.Acquire{Name: fmt.Sprint(i), Size: each, Note: note})
		}
	}
	names, pages := n.list(&ldlmv2.ListRequest{Limit: 1000})
	if len(names) != locks || pages < 2 {
		t.Errorf("%d locks on %d pages, want %d on several", len(names), pages, locks)
	}
	slices.Sort(names)
	if got := len(slices.Compact(names)); got != locks {
		t.Errorf("%d different locks, want %d", got, locks)
	}
	for range 300 {
		n.take(&ldlmv2.Acquire{Name: "large", Size: 1000, Note: note})
	}
	g, err := n.Get(t.Context(), &ldlmv2.GetRequest{Name: "large"})
	if err != nil {
		t.Fatal(err)
	}
	if shown := len(g.Lock.Holders); g.Lock.HolderCount != 300 || shown == 0 || shown == 300 || proto.Size(g) > 4<<20 {
		t.Errorf("%d of %d holders are shown in %d bytes", shown, g.Lock.HolderCount, proto.Size(g))
	}
}

func TestListSessions(t *testing.T) {
	h := open(t)
	n := h.native()
	for i := range 7 {
		_, err := n.OpenSession(t.Context(), &ldlmv2.OpenSessionRequest{
			Secret: bytes.Repeat([]byte{byte(i + 1)}, 16), Client: &ldlmv2.ClientInfo{Program: fmt.Sprint(i)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	r := &ldlmv2.ListSessionsRequest{Limit: 3}
	for pages := 1; ; pages++ {
		p, err := n.ListSessions(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Sessions {
			seen = append(seen, s.Client.Program)
		}
		if r.Cursor = p.NextCursor; r.Cursor == 0 {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
	}
	if got := strings.Join(seen, ""); got != "0123456" {
		t.Errorf("listed are %s, want 0 to 6", got)
	}
}

func TestGet(t *testing.T) {
	h := open(t)
	n := h.session(time.Minute)
	failedWith(t, "unknown", second(n.Get(t.Context(), &ldlmv2.GetRequest{Name: "l"})), codes.NotFound, ldlmv2.Code_CODE_NOT_FOUND)
	c := h.client()
	key := c.takeOf("l", 2)
	n.take(&ldlmv2.Acquire{Name: "l"})
	g, err := n.Get(t.Context(), &ldlmv2.GetRequest{Name: "l"})
	if err != nil {
		t.Fatal(err)
	}
	if l := g.Lock; l.Size != 2 || l.Held != 2 || len(l.Holders) != 2 || l.Holders[0].Client.Transport != "v1" || l.Holders[0].KeyPrefix != key[:8] {
		t.Errorf("got %v", l)
	}
	if strings.Contains(fmt.Sprint(g), key) {
		t.Error("the whole key is shown")
	}
}

func TestForceReleaseKillResize(t *testing.T) {
	log := &diary{t: t}
	h := open(t, log.at)
	n, admin := h.session(10*time.Second), h.native()
	a, b := n.take(&ldlmv2.Acquire{Name: "a"}), n.take(&ldlmv2.Acquire{Name: "b"})
	ctx := t.Context()
	failedWith(t, "another token", second(admin.ForceRelease(ctx, &ldlmv2.ForceReleaseRequest{Name: "a", Token: b.Token})),
		codes.FailedPrecondition, ldlmv2.Code_CODE_TOKEN_MOVED)
	f, err := admin.ForceRelease(ctx, &ldlmv2.ForceReleaseRequest{Name: "a", Token: a.Token, Reason: "stuck"})
	if err != nil || !f.Ended || f.MayBelieveUs <= 0 {
		t.Errorf("forced: %v, %v", f, err)
	}
	if f, err = admin.ForceRelease(ctx, &ldlmv2.ForceReleaseRequest{Name: "b", Token: b.Token, Wait: true}); err != nil || f.Ended {
		t.Errorf("forced to wait: %v, %v", f, err)
	}
	failedWith(t, "renewal of what was revoked", second(n.Renew(ctx, &ldlmv2.RenewRequest{
		Caller: n.caller, Renew: &ldlmv2.Renew{Name: "b", Token: b.Token, LeaseUs: 1e6},
	})), codes.FailedPrecondition, ldlmv2.Code_CODE_REVOKED)
	if _, err := admin.Resize(ctx, &ldlmv2.ResizeRequest{Name: "a", Size: 5}); err != nil {
		t.Errorf("resize: %v", err)
	}
	failedWith(t, "resize to nothing", second(admin.Resize(ctx, &ldlmv2.ResizeRequest{Name: "a"})), codes.InvalidArgument, ldlmv2.Code_CODE_INVALID)
	failedWith(t, "resize of nothing", second(admin.Resize(ctx, &ldlmv2.ResizeRequest{Name: "x", Size: 5})), codes.NotFound, ldlmv2.Code_CODE_NOT_FOUND)
	k, err := admin.KillSession(ctx, &ldlmv2.KillSessionRequest{Session: n.caller.Session, Reason: "gone"})
	if err != nil || k.MayBelieveUs <= 0 {
		t.Errorf("killed: %v, %v", k, err)
	}
	failedWith(t, "killed again", second(admin.KillSession(ctx, &ldlmv2.KillSessionRequest{Session: n.caller.Session})),
		codes.NotFound, ldlmv2.Code_CODE_SESSION_LOST)
	if got := h.counts(); got.Holds != 0 || got.Sessions != 0 {
		t.Errorf("left are %+v", got)
	}
	for _, msg := range []string{"Forced release", "Session killed", "Lock resized"} {
		if lines := log.lines("WARN", msg); len(lines) == 0 || lines[0]["client_addr"] != "bufconn" {
			t.Errorf("the log says %v of %q", lines, msg)
		}
	}
}

// watching reads a watch to the end.
func watching(t *testing.T, s grpc.ServerStreamingClient[ldlmv2.WatchResponse], err error) (from uint64, events func() []*ldlmv2.Event) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Recv()
	if err != nil || first.Reset_ || len(first.Events) > 0 {
		t.Fatalf("a watch begins with %v, %v", first, err)
	}
	return first.From, func() []*ldlmv2.Event {
		t.Helper()
		r, err := s.Recv()
		if err != nil || r.Reset_ {
			t.Fatalf("a watch goes on with %v, %v", r, err)
		}
		return r.Events
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		n := h.session(time.Minute)
		w := h.native()
		ctx, cancel := context.WithCancel(t.Context())
		s, err := w.Watch(ctx, &ldlmv2.WatchRequest{Prefix: "a"})
		from, events := watching(t, s, err)
		n.take(&ldlmv2.Acquire{Name: "b"})
		a := n.take(&ldlmv2.Acquire{Name: "a1", Permits: 1})
		e := events()
		if len(e) != 1 || e[0].Number != from+2 || e[0].Type != ldlmv2.EventType_EVENT_TYPE_ACQUIRED || e[0].Name != "a1" ||
			e[0].Token != a.Token || e[0].Session != n.caller.Session || e[0].TimeUs != time.Now().UnixMicro() || e[0].Permits != 1 {
			t.Errorf("got %v, want the grant", e)
		}
		cancel()
		if _, err := s.Recv(); err == nil {
			t.Error("a cancelled watch goes on")
		}

		// Resumed after the event seen last, here of one lock alone.
		if _, err := n.Release(t.Context(), &ldlmv2.ReleaseRequest{Release: &ldlmv2.Release{Name: "a1", Key: a.Key}}); err != nil {
			t.Fatal(err)
		}
		seen := from + 2
		s, err = w.Watch(t.Context(), &ldlmv2.WatchRequest{Name: "a1", After: seen})
		if from, events = watching(t, s, err); from != seen {
			t.Errorf("the watch begins after event %d, want %d", from, seen)
		}
		if e = events(); len(e) != 1 || e[0].Type != ldlmv2.EventType_EVENT_TYPE_RELEASED || e[0].Reason != ldlmv2.EndReason_END_REASON_RELEASED {
			t.Errorf("got %v, want the release", e)
		}

		s, err = w.Watch(t.Context(), &ldlmv2.WatchRequest{Name: "a", Prefix: "b"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Recv()
		failedWith(t, "name and prefix", err, codes.InvalidArgument, ldlmv2.Code_CODE_INVALID)
	})
}

// resets reads a watch to its end, which should be a reset.
func resets(t *testing.T, s grpc.ServerStreamingClient[ldlmv2.WatchResponse]) {
	t.Helper()
	for {
		r, err := s.Recv()
		if err != nil {
			t.Errorf("the watch ends with %v, want a reset", err)
			return
		}
		if r.Reset_ {
			break
		}
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Errorf("after the reset: %v, want the end", err)
	}
}

func TestWatchResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(n *node.Config, _ *grpcapi.Config) { n.EventBacklog = 1024 })
		n := h.session(time.Hour)
		for range 600 {
			a := n.take(&ldlmv2.Acquire{Name: strings.Repeat("a", 200)})
			if _, err := n.Release(t.Context(), &ldlmv2.ReleaseRequest{Release: &ldlmv2.Release{Name: strings.Repeat("a", 200), Key: a.Key}}); err != nil {
				t.Fatal(err)
			}
		}
		for what, after := range map[string]uint64{"events that are gone": 5, "events that never were": 1 << 40} {
			s, err := n.Watch(t.Context(), &ldlmv2.WatchRequest{After: after})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			resets(t, s)
		}
		// One that does not read: the stream is full, then the node gives it up.
		slow, err := h.native().Watch(t.Context(), &ldlmv2.WatchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for range 1500 {
			a := n.take(&ldlmv2.Acquire{Name: strings.Repeat("a", 200)})
			if _, err := n.Release(t.Context(), &ldlmv2.ReleaseRequest{Release: &ldlmv2.Release{Name: strings.Repeat("a", 200), Key: a.Key}}); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(2 * time.Second)
		resets(t, slow)
	})
}

// TestWatchOfLongNames: many events of long names come in messages that fit.
func TestWatchOfLongNames(t *testing.T) {
	h := open(t)
	n := h.session(time.Minute)
	const locks = 90
	for i := range locks {
		n.take(&ldlmv2.Acquire{Name: fmt.Sprint(i) + strings.Repeat("n", 60_000)})
	}
	s, err := n.Watch(t.Context(), &ldlmv2.WatchRequest{After: 1})
	_, events := watching(t, s, err)
	for seen := 0; seen < locks; {
		for _, e := range events() {
			if strings.HasPrefix(e.Name, fmt.Sprint(seen)+"n") {
				seen++
			}
		}
	}
}
