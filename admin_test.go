package ldlm

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

func TestListGoesThroughPages(t *testing.T) {
	srv := listenRemote(t, nil)
	srv.list = func(q *ldlmv2.ListRequest) (*ldlmv2.ListResponse, error) {
		if q.GetPrefix() != "a" || q.GetState() != ldlmv2.LockState_LOCK_STATE_HELD {
			t.Errorf("request is %v", q)
		}
		if q.GetCursor() == 0 {
			return &ldlmv2.ListResponse{Locks: []*ldlmv2.Lock{{Name: "a1"}, {Name: "a2"}}, NextCursor: 9}, nil
		}
		if q.GetCursor() != 9 {
			t.Errorf("cursor is %d, want 9", q.GetCursor())
		}
		return &ldlmv2.ListResponse{Locks: []*ldlmv2.Lock{{Name: "a3"}}}, nil
	}
	c := dialRemote(t, nowhere+","+srv.address)
	var names []string
	for l, err := range c.Admin().List(t.Context(), WithPrefix("a"), WithState(StateHeld)) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, l.Name)
	}
	if got := fmt.Sprint(names); got != "[a1 a2 a3]" {
		t.Errorf("locks %s", got)
	}
	for range c.Admin().List(t.Context(), WithPrefix("a"), WithState(StateHeld)) {
		break // which must not ask for more
	}
}

func TestSessionsGoThroughPages(t *testing.T) {
	srv := listenRemote(t, nil)
	srv.sessions = func(q *ldlmv2.ListSessionsRequest) (*ldlmv2.ListSessionsResponse, error) {
		if q.GetCursor() == 0 {
			return &ldlmv2.ListSessionsResponse{Sessions: []*ldlmv2.Session{{
				Session: 3, Client: &ldlmv2.ClientInfo{Host: "h", Pid: 1}, TtlUs: 10e6, LeftUs: 4e6,
				Holds: 5, Waits: 6, AgeUs: 7e6, Value: []byte("v"), Attached: true,
			}}, NextCursor: 4}, nil
		}
		return nil, failure(codes.PermissionDenied, &ldlmv2.Status{Code: ldlmv2.Code_CODE_DENIED})
	}
	c := dialRemote(t, srv.address)
	var got []SessionInfo
	var last error
	for s, err := range c.Admin().Sessions(t.Context()) {
		if last = err; err == nil {
			got = append(got, s)
		}
	}
	want := []SessionInfo{{
		Number: 3, Client: ClientInfo{Host: "h", PID: 1}, TTL: 10 * time.Second, Left: 4 * time.Second,
		Holds: 5, Waits: 6, Age: 7 * time.Second, Value: []byte("v"), Attached: true,
	}}
	if !reflect.DeepEqual(got, want) || !errors.Is(last, ErrDenied) {
		t.Errorf("sessions %+v, %v; want %+v, ErrDenied", got, last, want)
	}
}

func TestGet(t *testing.T) {
	srv := listenRemote(t, nil)
	srv.get = func(q *ldlmv2.GetRequest) (*ldlmv2.GetResponse, error) {
		if q.GetName() != "x" {
			return nil, failure(codes.NotFound, &ldlmv2.Status{Code: ldlmv2.Code_CODE_NOT_FOUND, Message: "there is none"})
		}
		return &ldlmv2.GetResponse{Lock: &ldlmv2.Lock{
			Name: "x", Size: 2, Held: 1, Shared: 3, Fence: 4, HolderCount: 1, WaiterCount: 1, IdleUs: -1, FreeBehindHead: 1,
			Holders: []*ldlmv2.Holder{{
				Token: 5, Session: 6, AgeUs: 7, LeaseLeftUs: -1, Permits: 1, Mode: ldlmv2.Mode_MODE_SHARED, Reason: "r",
				Value: []byte("v"), KeyPrefix: "12345678", Revoked: true, Labels: map[string]string{"a": "b"},
			}},
			Waiters: []*ldlmv2.Waiter{{Session: 8, AgeUs: 9, GivesUpInUs: -1, Permits: 2, Reason: "w", Names: 1}},
		}}, nil
	}
	c := dialRemote(t, srv.address)
	got, err := c.Admin().Get(t.Context(), "x")
	want := LockInfo{
		Name: "x", Size: 2, Held: 1, SharedHolds: 3, Fence: 4, HolderCount: 1, WaiterCount: 1,
		Idle: -time.Microsecond, FreeBehindHead: 1,
		Holders: []Holder{{
			Token: 5, Session: 6, Age: 7 * time.Microsecond, LeaseLeft: -time.Microsecond, Permits: 1, Shared: true,
			Reason: "r", Value: []byte("v"), KeyPrefix: "12345678", Revoked: true, Labels: map[string]string{"a": "b"},
		}},
		Waiters: []Waiter{{
			Session: 8, Age: 9 * time.Microsecond, GivesUpIn: -time.Microsecond, Permits: 2, Reason: "w", Names: 1,
		}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("lock is %+v, %v; want %+v", got, err, want)
	}
	if _, err := c.Admin().Get(t.Context(), "y"); !errors.Is(err, ErrNotFound) || !SafeToRetry(err) {
		t.Errorf("error is %v, want ErrNotFound", err)
	}
}

func TestForce(t *testing.T) {
	srv := listenRemote(t, nil)
	srv.force = func(q *ldlmv2.ForceReleaseRequest) (*ldlmv2.ForceReleaseResponse, error) {
		if q.GetToken() != 5 {
			return nil, failure(codes.FailedPrecondition, &ldlmv2.Status{Code: ldlmv2.Code_CODE_TOKEN_MOVED})
		}
		if q.GetName() != "x" || q.GetReason() != "stuck" {
			t.Errorf("request is %v", q)
		}
		return &ldlmv2.ForceReleaseResponse{MayBelieveUs: 9e6, Ended: !q.GetWait()}, nil
	}
	srv.kill = func(q *ldlmv2.KillSessionRequest) (*ldlmv2.KillSessionResponse, error) {
		if q.GetSession() != 7 || q.GetReason() != "gone" {
			t.Errorf("request is %v", q)
		}
		return &ldlmv2.KillSessionResponse{MayBelieveUs: 8e6}, nil
	}
	srv.resize = func(q *ldlmv2.ResizeRequest) (*ldlmv2.ResizeResponse, error) {
		if q.GetName() != "x" || q.GetSize() != 3 {
			t.Errorf("request is %v", q)
		}
		return &ldlmv2.ResizeResponse{}, nil
	}
	a := dialRemote(t, srv.address).Admin()
	ctx := t.Context()
	if got, err := a.ForceRelease(ctx, "x", 5, "stuck"); err != nil || got != (Forced{MayBelieve: 9 * time.Second, Ended: true}) {
		t.Errorf("forced release: %+v, %v", got, err)
	}
	if got, err := a.ForceRelease(ctx, "x", 5, "stuck", Gently()); err != nil || got.Ended {
		t.Errorf("gently forced release: %+v, %v", got, err)
	}
	if _, err := a.ForceRelease(ctx, "x", 6, "stuck"); !errors.Is(err, ErrTokenMoved) {
		t.Errorf("forced release of another token: %v, want ErrTokenMoved", err)
	}
	if got, err := a.KillSession(ctx, 7, "gone"); err != nil || got.MayBelieve != 8*time.Second {
		t.Errorf("kill: %+v, %v", got, err)
	}
	if err := a.Resize(ctx, "x", 3); err != nil {
		t.Errorf("resize: %v", err)
	}
	if err := a.Resize(ctx, "x", 0); !errors.Is(err, ErrInvalid) {
		t.Errorf("resize to nothing: %v, want ErrInvalid", err)
	}
}

func TestAdminErrors(t *testing.T) {
	srv := listenRemote(t, nil)
	c := dialRemote(t, nowhere)
	if _, err := c.Admin().Get(t.Context(), "x"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody there: %v, want ErrUnavailable", err)
	}
	srv.get = func(*ldlmv2.GetRequest) (*ldlmv2.GetResponse, error) { return nil, errors.New("oops") }
	c = dialRemote(t, srv.address)
	if _, err := c.Admin().Get(t.Context(), "x"); !errors.Is(err, ErrUnknownOutcome) || SafeToRetry(err) {
		t.Errorf("an error without details: %v, want an unknown outcome", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Admin().Get(ctx, "x"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("canceled: %v", err)
	}
	if err := c.Admin().Resize(ctx, "x", 2); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("a change is canceled: %v", err)
	}
	srv.kill = func(*ldlmv2.KillSessionRequest) (*ldlmv2.KillSessionResponse, error) {
		return nil, failure(codes.FailedPrecondition, &ldlmv2.Status{Code: ldlmv2.Code_CODE_SESSION_LOST, Ending: ldlmv2.Ending_ENDING_FATAL})
	}
	if _, err := c.Admin().KillSession(t.Context(), 7, ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session that is not there: %v, want ErrNotFound", err)
	}
	c.Close()
	if _, err := c.Admin().Get(t.Context(), "x"); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v, want ErrClosed", err)
	}
}

func TestAdminRefusesWhatIsNoText(t *testing.T) {
	c, err := Dial("localhost", WithDialer(dialNobody))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, ctx, bad := c.Admin(), t.Context(), "a\xff"
	for _, call := range []struct {
		op, field string
		err       func() error
	}{
		{"get", "name", func() error { _, err := a.Get(ctx, bad); return err }},
		{"resize", "name", func() error { return a.Resize(ctx, bad, 1) }},
		{"force release", "name", func() error { _, err := a.ForceRelease(ctx, bad, 1, ""); return err }},
		{"force release", "reason", func() error { _, err := a.ForceRelease(ctx, "x", 1, bad); return err }},
		{"kill session", "reason", func() error { _, err := a.KillSession(ctx, 1, bad); return err }},
		{"list", "prefix", func() (err error) {
			for _, err = range a.List(ctx, WithPrefix(bad)) {
			}
			return err
		}},
		{"watch", "name", func() (err error) {
			for _, err = range c.Watch(ctx, bad) {
			}
			return err
		}},
	} {
		var e *Error
		if err := call.err(); !errors.As(err, &e) || !errors.Is(err, ErrInvalid) || e.Op != call.op || e.Field != call.field {
			t.Errorf("%s, %s: %v", call.op, call.field, err)
		}
	}
}
