package grpcapi_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// native is a client of the native protocol that makes unary calls.
type native struct {
	ldlmv2.LDLMClient
	t      *testing.T
	caller *ldlmv2.Caller
}

func (h *house) native() *native { return &native{ldlmv2.NewLDLMClient(h.dial()), h.t, nil} }

// session is a client with a session that lives by calls.
func (h *house) session(ttl time.Duration) *native {
	h.t.Helper()
	n := h.native()
	secret := bytes.Repeat([]byte{byte(h.counts().Sessions + 1)}, 16)
	r, err := n.OpenSession(h.t.Context(), &ldlmv2.OpenSessionRequest{Secret: secret, TtlUs: ttl.Microseconds()})
	if err != nil {
		h.t.Fatalf("open a session: %v", err)
	}
	n.caller = &ldlmv2.Caller{Session: r.Session, Secret: secret}
	return n
}

// as is the caller of a request with an id.
func (n *native) as(id string, attempt uint64) *ldlmv2.Caller {
	c := &ldlmv2.Caller{RequestId: id, Attempt: attempt}
	if n.caller != nil {
		c.Session, c.Secret = n.caller.Session, n.caller.Secret
	}
	return c
}

func (n *native) take(a *ldlmv2.Acquire) *ldlmv2.AcquireResponse {
	n.t.Helper()
	r, err := n.Acquire(n.t.Context(), &ldlmv2.AcquireRequest{Caller: n.caller, Acquire: a})
	if err != nil {
		n.t.Fatalf("acquire %q: %v", a.GetName(), err)
	}
	return r
}

// asking is a call of Acquire under way.
type asking struct {
	done   chan struct{}
	answer *ldlmv2.AcquireResponse
	err    error
	cancel context.CancelFunc
}

func (n *native) ask(r *ldlmv2.AcquireRequest) *asking {
	ctx, cancel := context.WithCancel(n.t.Context())
	a := &asking{done: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(a.done)
		defer cancel()
		a.answer, a.err = n.Acquire(ctx, r)
	}()
	return a
}

func (a *asking) over() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// failedWith checks the status of a call and returns its details.
func failedWith(t *testing.T, what string, err error, grpcCode codes.Code, code ldlmv2.Code) *ldlmv2.Status {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != grpcCode {
		t.Errorf("%s: %v, want %v", what, err, grpcCode)
	}
	for _, d := range st.Details() {
		if s, ok := d.(*ldlmv2.Status); ok {
			if s.Code != code {
				t.Errorf("%s: %v, want %v", what, s, code)
			}
			if s.Message == "" || s.Message != st.Message() {
				t.Errorf("%s: messages %q and %q, want the same one twice", what, s.Message, st.Message())
			}
			return s
		}
	}
	t.Errorf("%s: %v has no details", what, err)
	return &ldlmv2.Status{}
}

func TestSessionByCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		n := h.native()
		secret := []byte("sixteen bytes it")
		o, err := n.OpenSession(t.Context(), &ldlmv2.OpenSessionRequest{
			Secret: secret, TtlUs: 10_000_000, Value: []byte("v"),
			Client: &ldlmv2.ClientInfo{Host: "h", Pid: 7, Program: "p", Labels: map[string]string{"b": "2", "a": "1"}, Remote: "forged"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if o.Session != 1 || o.TtlUs != 10_000_000 || o.ValidForUs != 8_928_571 {
			t.Errorf("opened %v; want session 1 with 10 s, of which the client may count 10 s / 1.12", o)
		}
		again, err := n.OpenSession(t.Context(), &ldlmv2.OpenSessionRequest{Secret: secret, TtlUs: 10_000_000})
		if err != nil || again.Session != o.Session {
			t.Errorf("opened again: %v, %v; want the same session", again, err)
		}
		n.caller = &ldlmv2.Caller{Session: o.Session, Secret: secret}
		n.take(&ldlmv2.Acquire{Name: "l"})
		list, err := n.ListSessions(t.Context(), &ldlmv2.ListSessionsRequest{})
		if err != nil || len(list.Sessions) != 1 {
			t.Fatalf("sessions: %v, %v", list, err)
		}
		if s := list.Sessions[0]; s.Client.Remote != "bufconn" || s.Client.Transport != "grpc" || s.Client.Pid != 7 ||
			s.Holds != 1 || s.Attached || string(s.Value) != "v" || s.Client.Labels["b"] != "2" {
			t.Errorf("the session is shown as %v", s)
		}
		// Each accepted call renews the session.
		for range 5 {
			<-time.After(9 * time.Second)
			if r, err := n.KeepAlive(t.Context(), &ldlmv2.KeepAliveRequest{Caller: n.caller}); err != nil || r.ValidForUs != o.ValidForUs {
				t.Fatalf("keep-alive: %v, %v", r, err)
			}
		}
		wrong := &ldlmv2.Caller{Session: o.Session, Secret: []byte("another one, bad")}
		<-time.After(9 * time.Second)
		_, err = n.KeepAlive(t.Context(), &ldlmv2.KeepAliveRequest{Caller: wrong})
		failedWith(t, "a wrong secret", err, codes.NotFound, ldlmv2.Code_CODE_SESSION_LOST)
		<-time.After(2 * time.Second) // which has not renewed it
		_, err = n.KeepAlive(t.Context(), &ldlmv2.KeepAliveRequest{Caller: n.caller})
		failedWith(t, "after the ttl", err, codes.NotFound, ldlmv2.Code_CODE_SESSION_LOST)
		if got := h.counts(); got.Sessions != 0 || got.Holds != 0 {
			t.Errorf("left are %+v", got)
		}
	})
}

func TestOpenSessionRefuses(t *testing.T) {
	h := open(t)
	n := h.native()
	secret := make([]byte, 16)
	for what, test := range map[string]struct {
		r     *ldlmv2.OpenSessionRequest
		field string
		limit int64
	}{
		"no secret":       {&ldlmv2.OpenSessionRequest{}, "secret", 64},
		"a short secret":  {&ldlmv2.OpenSessionRequest{Secret: make([]byte, 15)}, "secret", 64},
		"a long secret":   {&ldlmv2.OpenSessionRequest{Secret: make([]byte, 65)}, "secret", 64},
		"a long ttl":      {&ldlmv2.OpenSessionRequest{Secret: secret, TtlUs: 25 * 3600 * 1e6}, "ttl_us", 24 * 3600 * 1e6},
		"a negative ttl":  {&ldlmv2.OpenSessionRequest{Secret: secret, TtlUs: -1}, "ttl_us", 2e6},
		"a large value":   {&ldlmv2.OpenSessionRequest{Secret: secret, Value: make([]byte, 4097)}, "value", 4096},
		"a long hostname": {&ldlmv2.OpenSessionRequest{Secret: secret, Client: &ldlmv2.ClientInfo{Host: strings.Repeat("h", 1025)}}, "client", 1024},
	} {
		_, err := n.OpenSession(t.Context(), test.r)
		s := failedWith(t, what, err, codes.InvalidArgument, ldlmv2.Code_CODE_INVALID)
		if s.Field != test.field || s.Limit != test.limit || s.Ending != ldlmv2.Ending_ENDING_REFUSED {
			t.Errorf("%s: %v; want field %s, limit %d, refused", what, s, test.field, test.limit)
		}
	}
	if got := h.counts().Sessions; got != 0 {
		t.Errorf("%d sessions", got)
	}
}

func TestHoldsOfASession(t *testing.T) {
	h := open(t)
	n := h.session(10 * time.Second)
	a := n.take(&ldlmv2.Acquire{Name: "a", LeaseUs: 5e6, Note: &ldlmv2.Note{Reason: "why", Value: []byte("v")}})
	if a.Token == 0 || a.Fence != a.Token || len(a.Key) != 36 || a.WaitedUs != 0 || len(a.Fences) != 0 {
		t.Errorf("granted %v; want a token, the same fence, and a key of 36 characters", a)
	}
	ctx := t.Context()
	if _, err := n.Renew(ctx, &ldlmv2.RenewRequest{Caller: n.caller, Renew: &ldlmv2.Renew{Name: "a", Token: a.Token, LeaseUs: 9e6}}); err != nil {
		t.Errorf("renew by token: %v", err)
	}
	if _, err := n.SetValue(ctx, &ldlmv2.SetValueRequest{Caller: n.caller, SetValue: &ldlmv2.SetValue{Name: "a", Token: a.Token, Value: []byte("w")}}); err != nil {
		t.Errorf("set the value: %v", err)
	}
	if _, err := n.SetValue(ctx, &ldlmv2.SetValueRequest{Caller: n.caller, SetValue: &ldlmv2.SetValue{Value: []byte("s")}}); err != nil {
		t.Errorf("set the session's value: %v", err)
	}
	if _, err := n.Downgrade(ctx, &ldlmv2.DowngradeRequest{Caller: n.caller, Downgrade: &ldlmv2.Downgrade{Name: "a", Key: a.Key}}); err != nil {
		t.Errorf("downgrade by key: %v", err)
	}
	g, err := n.Get(ctx, &ldlmv2.GetRequest{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if l := g.Lock; l.Shared != 1 || l.HolderCount != 1 || l.Holders[0].Mode != ldlmv2.Mode_MODE_SHARED ||
		l.Holders[0].KeyPrefix != a.Key[:8] || string(l.Holders[0].Value) != "w" || l.Holders[0].Reason != "why" {
		t.Errorf("the lock is shown as %v", l)
	}
	if _, err := h.native().Release(ctx, &ldlmv2.ReleaseRequest{Release: &ldlmv2.Release{Name: "a", Key: a.Key}}); err != nil {
		t.Errorf("release by key, outside the session: %v", err)
	}

	all, err := n.Acquire(ctx, &ldlmv2.AcquireRequest{Caller: n.caller, AcquireAll: &ldlmv2.AcquireAll{
		Items: []*ldlmv2.Item{{Name: "b"}, {Name: "a", Mode: ldlmv2.Mode_MODE_SHARED}, {Name: "s", Size: 3, Permits: 2}},
	}})
	if err != nil {
		t.Fatalf("acquire several: %v", err)
	}
	// Nobody has held s exclusively: its fence is where the tokens of this server begin.
	if f := all.Fences; len(f) != 3 || f[0] != all.Token || f[1] != a.Token || f[2] == 0 || f[2] >= a.Token {
		t.Errorf("fences %v, want %d, %d and one below both", f, all.Token, a.Token)
	}
	if _, err := n.Release(ctx, &ldlmv2.ReleaseRequest{Caller: n.caller, Release: &ldlmv2.Release{Name: "s", Token: all.Token, All: true}}); err != nil {
		t.Errorf("release all: %v", err)
	}
	if got := h.counts().Holds; got != 0 {
		t.Errorf("%d holds are left", got)
	}
	n.take(&ldlmv2.Acquire{Name: "c"})
	if _, err := n.CloseSession(ctx, &ldlmv2.CloseSessionRequest{Caller: n.caller}); err != nil {
		t.Errorf("close: %v", err)
	}
	if got := h.counts(); got.Holds != 0 || got.Sessions != 0 {
		t.Errorf("left are %+v", got)
	}
}

func TestFailuresHaveDetails(t *testing.T) {
	h := open(t)
	n, m := h.session(10*time.Second), h.session(10*time.Second)
	held := n.take(&ldlmv2.Acquire{Name: "held", Note: &ldlmv2.Note{Reason: "mine"}})
	acquire := func(c *ldlmv2.Caller, a *ldlmv2.Acquire) error {
		return second(m.Acquire(t.Context(), &ldlmv2.AcquireRequest{Caller: c, Acquire: a}))
	}
	s := failedWith(t, "a try", acquire(m.caller, &ldlmv2.Acquire{Name: "held"}), codes.FailedPrecondition, ldlmv2.Code_CODE_HELD)
	if b := s.Blocker; b.GetName() != "held" || b.GetHolder().GetToken() != held.Token || b.GetHolder().GetReason() != "mine" || b.GetSelf() {
		t.Errorf("a try: %v is in the way, want the holder", b)
	}
	s = failedWith(t, "a try of its own", acquire(n.caller, &ldlmv2.Acquire{Name: "held"}), codes.FailedPrecondition, ldlmv2.Code_CODE_HELD)
	if !s.GetBlocker().GetSelf() {
		t.Errorf("a try of its own: %v, want self", s)
	}
	failedWith(t, "a wait", acquire(m.caller, &ldlmv2.Acquire{Name: "held", WaitUs: 1}), codes.DeadlineExceeded, ldlmv2.Code_CODE_WAIT_TIMEOUT)
	s = failedWith(t, "another size", acquire(m.caller, &ldlmv2.Acquire{Name: "held", Size: 2}), codes.FailedPrecondition, ldlmv2.Code_CODE_SIZE_MISMATCH)
	if s.Limit != 1 {
		t.Errorf("another size: %v, want the size that it has", s)
	}
	failedWith(t, "an unknown session", acquire(&ldlmv2.Caller{Session: 99}, &ldlmv2.Acquire{Name: "x"}), codes.NotFound, ldlmv2.Code_CODE_SESSION_LOST)
	for field, a := range map[string]*ldlmv2.Acquire{
		"name":          {},
		"permits":       {Name: "x", Permits: 2, Size: 1},
		"size":          {Name: "x", Size: 1 << 31},
		"mode":          {Name: "x", Mode: 77},
		"wait_us":       {Name: "x", WaitUs: -2},
		"lease_us":      {Name: "x", LeaseUs: -1},
		"lock_delay_us": {Name: "x", LockDelayUs: 61e6},
		"value":         {Name: "x", Note: &ldlmv2.Note{Value: make([]byte, 4097)}},
		"labels":        {Name: "x", Note: &ldlmv2.Note{Labels: map[string]string{"": "x"}}},
		"reason":        {Name: "x", Note: &ldlmv2.Note{Reason: strings.Repeat("r", 1025)}},
	} {
		s := failedWith(t, "bad "+field, acquire(m.caller, a), codes.InvalidArgument, ldlmv2.Code_CODE_INVALID)
		if s.Field != field {
			t.Errorf("bad %s: the answer blames %q", field, s.Field)
		}
	}
	if got := h.counts(); got.Holds != 1 || got.Locks != 1 {
		t.Errorf("refused requests left %+v", got)
	}
}

func TestFailuresOfHolders(t *testing.T) {
	h := open(t)
	n, m := h.session(10*time.Second), h.session(10*time.Second)
	held := n.take(&ldlmv2.Acquire{Name: "held"})
	long := m.as(strings.Repeat("i", 129), 1)
	s := failedWith(t, "a long request id", second(m.Acquire(t.Context(), &ldlmv2.AcquireRequest{
		Caller: long, Acquire: &ldlmv2.Acquire{Name: "x"},
	})), codes.InvalidArgument, ldlmv2.Code_CODE_INVALID)
	if s.Field != "request_id" || s.Limit != 128 {
		t.Errorf("a long request id: %v", s)
	}
	for what, test := range map[string]struct {
		err  error
		code codes.Code
		want ldlmv2.Code
	}{
		"release of nothing":   {second(m.Release(t.Context(), &ldlmv2.ReleaseRequest{})), codes.InvalidArgument, ldlmv2.Code_CODE_INVALID},
		"renewal of nothing":   {second(m.Renew(t.Context(), &ldlmv2.RenewRequest{})), codes.InvalidArgument, ldlmv2.Code_CODE_INVALID},
		"downgrade of nothing": {second(m.Downgrade(t.Context(), &ldlmv2.DowngradeRequest{})), codes.InvalidArgument, ldlmv2.Code_CODE_INVALID},
		"value of nothing":     {second(m.SetValue(t.Context(), &ldlmv2.SetValueRequest{})), codes.InvalidArgument, ldlmv2.Code_CODE_INVALID},
		"acquire of nothing":   {second(m.Acquire(t.Context(), &ldlmv2.AcquireRequest{})), codes.InvalidArgument, ldlmv2.Code_CODE_INVALID},
		"acquire of both": {second(m.Acquire(t.Context(), &ldlmv2.AcquireRequest{
			Acquire: &ldlmv2.Acquire{Name: "x"}, AcquireAll: &ldlmv2.AcquireAll{},
		})), codes.InvalidArgument, ldlmv2.Code_CODE_INVALID},
		"unknown name": {second(m.Release(t.Context(), &ldlmv2.ReleaseRequest{
			Release: &ldlmv2.Release{Name: "nope", Key: held.Key},
		})), codes.NotFound, ldlmv2.Code_CODE_NOT_FOUND},
		"another's token": {second(m.Release(t.Context(), &ldlmv2.ReleaseRequest{
			Caller: m.caller, Release: &ldlmv2.Release{Name: "held", Token: held.Token},
		})), codes.FailedPrecondition, ldlmv2.Code_CODE_WRONG_KEY},
		"a key that is none": {second(m.Release(t.Context(), &ldlmv2.ReleaseRequest{
			Caller: n.caller, Release: &ldlmv2.Release{Name: "held", Token: held.Token, Key: "x"},
		})), codes.FailedPrecondition, ldlmv2.Code_CODE_WRONG_KEY},
		"no lease": {second(n.Renew(t.Context(), &ldlmv2.RenewRequest{
			Caller: n.caller, Renew: &ldlmv2.Renew{Name: "held", Token: held.Token, LeaseUs: 1},
		})), codes.FailedPrecondition, ldlmv2.Code_CODE_NOT_LEASED},
		"keep-alive of no session": {second(m.KeepAlive(t.Context(), &ldlmv2.KeepAliveRequest{})), codes.NotFound, ldlmv2.Code_CODE_SESSION_LOST},
		"close of no session":      {second(m.CloseSession(t.Context(), &ldlmv2.CloseSessionRequest{})), codes.NotFound, ldlmv2.Code_CODE_SESSION_LOST},
	} {
		failedWith(t, what, test.err, test.code, test.want)
	}
	if got := h.counts(); got.Holds != 1 || got.Locks != 1 {
		t.Errorf("refused requests left %+v", got)
	}
}

// TestOutsideSessions: a hold of nobody's lives by its lease, and only who
// shows the secret again is the same caller.
func TestOutsideSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		n := h.native()
		request := func(id, secret string) *ldlmv2.AcquireRequest {
			return &ldlmv2.AcquireRequest{
				Caller:  &ldlmv2.Caller{RequestId: id, Secret: []byte(secret), Attempt: 1},
				Acquire: &ldlmv2.Acquire{Name: "l", LeaseUs: 5e6, WaitUs: -1},
			}
		}
		s := failedWith(t, "no lease", second(n.Acquire(t.Context(), &ldlmv2.AcquireRequest{Acquire: &ldlmv2.Acquire{Name: "l"}})),
			codes.InvalidArgument, ldlmv2.Code_CODE_INVALID)
		if s.Field != "lease_us" {
			t.Errorf("no lease: the answer blames %q", s.Field)
		}
		const secret = "a secret of mine"
		first, err := n.Acquire(t.Context(), request("1", secret))
		if err != nil {
			t.Fatal(err)
		}
		again := request("1", secret)
		again.Caller.Attempt = 2
		second1, err := h.native().Acquire(t.Context(), again)
		if err != nil || second1.Token != first.Token || second1.Key != first.Key {
			t.Errorf("asked again: %v, %v; want the same grant", second1, err)
		}
		stranger := request("1", "another's secret")
		stranger.Caller.Attempt = 3
		failedWith(t, "a stranger with the same id", second(n.Acquire(t.Context(), stranger)),
			codes.AlreadyExists, ldlmv2.Code_CODE_SLOT_MISUSED)
		s = failedWith(t, "an id without a secret", second(n.Acquire(t.Context(), request("2", ""))),
			codes.InvalidArgument, ldlmv2.Code_CODE_INVALID)
		if s.Field != "secret" {
			t.Errorf("an id without a secret: the answer blames %q", s.Field)
		}
		failedWith(t, "release by token", second(n.Release(t.Context(), &ldlmv2.ReleaseRequest{
			Release: &ldlmv2.Release{Name: "l", Token: first.Token},
		})), codes.FailedPrecondition, ldlmv2.Code_CODE_WRONG_KEY)
		waiting := n.ask(&ldlmv2.AcquireRequest{Acquire: &ldlmv2.Acquire{Name: "l", LeaseUs: 1e6, WaitUs: -1}})
		<-time.After(5*time.Second + 10*time.Millisecond)
		synctest.Wait()
		if !waiting.over() || waiting.err != nil || waiting.answer.Token <= first.Token {
			t.Errorf("after the lease: %v, %v; want the next grant", waiting.answer, waiting.err)
		}
		failedWith(t, "asked once more", second(n.Acquire(t.Context(), again)), codes.Aborted, ldlmv2.Code_CODE_ENDED)
	})
}

// TestRetries: an attempt takes over from the one before, which is told so, and
// keeps its place.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		n, m := h.session(time.Minute), h.session(time.Minute)
		held := n.take(&ldlmv2.Acquire{Name: "l"})
		acquire := &ldlmv2.Acquire{Name: "l", WaitUs: 3600e6}
		first := m.ask(&ldlmv2.AcquireRequest{Caller: m.as("r", 1), Acquire: acquire})
		synctest.Wait()
		other := n.ask(&ldlmv2.AcquireRequest{Caller: n.as("o", 1), Acquire: acquire})
		synctest.Wait()
		retry := m.ask(&ldlmv2.AcquireRequest{Caller: m.as("r", 2), Acquire: proto.CloneOf(acquire)})
		<-first.done
		failedWith(t, "the older attempt", first.err, codes.Aborted, ldlmv2.Code_CODE_SUPERSEDED)
		late := m.ask(&ldlmv2.AcquireRequest{Caller: m.as("r", 1), Acquire: acquire})
		<-late.done
		failedWith(t, "the older attempt, late", late.err, codes.Aborted, ldlmv2.Code_CODE_SUPERSEDED)
		misused := m.ask(&ldlmv2.AcquireRequest{Caller: m.as("r", 3), Acquire: &ldlmv2.Acquire{Name: "x"}})
		<-misused.done
		failedWith(t, "another question", misused.err, codes.AlreadyExists, ldlmv2.Code_CODE_SLOT_MISUSED)
		if _, err := n.Release(t.Context(), &ldlmv2.ReleaseRequest{Caller: n.caller, Release: &ldlmv2.Release{Name: "l", Token: held.Token}}); err != nil {
			t.Fatal(err)
		}
		<-retry.done
		if retry.err != nil || other.over() {
			t.Errorf("the newer attempt: %v, and the one behind it is over: %v; want the place kept", retry.err, other.over())
		}
		again, err := m.Acquire(t.Context(), &ldlmv2.AcquireRequest{Caller: m.as("r", 3), Acquire: acquire})
		if err != nil || again.Token != retry.answer.Token {
			t.Errorf("asked again: %v, %v; want the same grant", again, err)
		}
		other.cancel()
		<-other.done
	})
}

// TestCallsThatBreakOff: a cancelled call gives its place back; one whose
// connection ends keeps it, if it can be asked again.
func TestCallsThatBreakOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		n := h.session(time.Hour)
		n.take(&ldlmv2.Acquire{Name: "l"})
		acquire := &ldlmv2.Acquire{Name: "l", WaitUs: -1}
		for _, test := range []struct {
			what    string
			id      string
			end     string
			waiters int
		}{
			{"cancelled", "", "cancel", 0},
			{"cancelled, with an id", "a", "cancel", 0},
			{"cut off", "", "cut", 0},
			{"cut off, with an id", "b", "cut", 1},
		} {
			conn := h.dial()
			m := &native{ldlmv2.NewLDLMClient(conn), t, n.caller}
			p := m.ask(&ldlmv2.AcquireRequest{Caller: m.as(test.id, 1), Acquire: acquire})
			synctest.Wait()
			if got := h.counts().Waiters; got != 1 {
				t.Fatalf("%s: %d waiters before, want 1", test.what, got)
			}
			if test.end == "cancel" {
				p.cancel()
			} else if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			<-p.done
			synctest.Wait()
			if got := h.counts().Waiters; got != test.waiters {
				t.Errorf("%s: %d waiters afterwards, want %d", test.what, got, test.waiters)
			}
		}
		// The last one asks again, and the server goes: it keeps its place.
		p := n.ask(&ldlmv2.AcquireRequest{Caller: n.as("b", 2), Acquire: acquire})
		q := n.ask(&ldlmv2.AcquireRequest{Caller: n.caller, Acquire: acquire})
		synctest.Wait()
		if got := h.counts().Waiters; got != 2 {
			t.Fatalf("%d waiters, want 2", got)
		}
		h.server.Drain()
		<-p.done
		<-q.done
		s := failedWith(t, "draining, with an id", p.err, codes.Unavailable, ldlmv2.Code_CODE_UNAVAILABLE)
		if s.Ending != ldlmv2.Ending_ENDING_UNKNOWN {
			t.Errorf("draining, with an id: ending %v, want that it may be granted yet", s.Ending)
		}
		s = failedWith(t, "draining", q.err, codes.Unavailable, ldlmv2.Code_CODE_UNAVAILABLE)
		if s.Ending != ldlmv2.Ending_ENDING_REFUSED {
			t.Errorf("draining: ending %v, want that nothing happened", s.Ending)
		}
		if got := h.counts().Waiters; got != 1 {
			t.Errorf("%d waiters after draining, want the one that can ask again", got)
		}
	})
}

// TestNodeErrors: what is not known is said to be so, and what did not happen too.
func TestNodeErrors(t *testing.T) {
	m := &moody{}
	h := open(t, m.wrapping)
	n := h.session(time.Minute)
	m.before = errRefusedByTest
	s := failedWith(t, "refused", second(n.Acquire(t.Context(), &ldlmv2.AcquireRequest{Caller: n.caller, Acquire: &ldlmv2.Acquire{Name: "l"}})),
		codes.Unavailable, ldlmv2.Code_CODE_UNAVAILABLE)
	if s.Ending != ldlmv2.Ending_ENDING_REFUSED {
		t.Errorf("refused: ending %v", s.Ending)
	}
	m.after = errUnknownToTest
	s = failedWith(t, "unknown", second(n.Release(t.Context(), &ldlmv2.ReleaseRequest{
		Release: &ldlmv2.Release{Name: "l", Key: "x"},
	})), codes.Unknown, ldlmv2.Code_CODE_UNKNOWN_OUTCOME)
	if s.Ending != ldlmv2.Ending_ENDING_UNKNOWN {
		t.Errorf("unknown: ending %v", s.Ending)
	}
	if o, err := h.node.Call(t.Context(), &lock.Kill{Session: 1}); err != nil || o.Code != lock.OK {
		t.Fatal(o.Code, err)
	}
}
