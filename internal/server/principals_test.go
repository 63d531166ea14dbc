package server_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflection1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/ldlm-io/ldlm"
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/server"
)

// verdict is what becomes of a call: whatever is not one of the others was let in.
type verdict string

const (
	letIn    verdict = "let in"
	stranger verdict = "not authenticated"
	denied   verdict = "not permitted"
)

// visitor is somebody who makes calls about a lock.
type visitor struct {
	what, credential, lock string
	// may are the kinds of calls that it may make; known says that it is known.
	known bool
	may   string
}

// Kinds of calls.
const (
	take  = "T" // use a lock
	have  = "S" // have a session
	get   = "G" // look at one lock
	look  = "L" // look at anything
	rule  = "A" // what is for administrators
	anyof = ""  // what is open to everybody
)

func (v *visitor) want(kind string) verdict {
	switch {
	case kind == anyof:
		return letIn
	case !v.known:
		return stranger
	case strings.Contains(v.may, kind):
		return letIn
	default:
		return denied
	}
}

// house is a server that tells principals apart, and those who come to it.
func house(t *testing.T) (*ports, *auth.Gate, []*visitor) {
	t.Helper()
	web, webHash := auth.NewToken()
	dash, dashHash := auth.NewToken()
	ops, opsHash := auth.NewToken()
	wrong, _ := auth.NewToken()
	gate := auth.NewGate(auth.GateConfig{Passwords: auth.NewPasswords(password), Slowness: auth.Slowness{Free: 10_000}})
	gate.SetAccounts([]auth.Account{
		{Principal: auth.Principal{Name: "web", Role: auth.Client, Prefixes: []string{"in/"}}, Tokens: []auth.TokenHash{webHash}},
		{Principal: auth.Principal{Name: "dash", Role: auth.Read}, Tokens: []auth.TokenHash{dashHash}},
		{Principal: auth.Principal{Name: "ops", Role: auth.Admin}, Tokens: []auth.TokenHash{opsHash}},
	})
	p := startPorts(t, func(c *server.Config) { c.Gate = gate })
	return p, gate, []*visitor{
		{what: "nobody", lock: "in/nobody"},
		{what: "a wrong token", credential: wrong, lock: "in/wrong"},
		{what: "a wrong password", credential: "wrong", lock: "in/wrong"},
		{what: "a client inside", credential: web, lock: "in/a", known: true, may: take + have + get + look},
		{what: "a client outside", credential: web, lock: "out/a", known: true, may: have + look},
		{what: "a reader", credential: dash, lock: "in/b", known: true, may: get + look},
		{what: "an administrator", credential: ops, lock: "out/c", known: true, may: take + have + get + look + rule},
		{what: "a password", credential: password, lock: "out/d", known: true, may: take + have + get + look},
	}
}

// question is a call of gRPC.
type question struct {
	kind    string
	request func(lock string) proto.Message
}

func q1(kind string, f func(lock string) proto.Message) question { return question{kind, f} }

// questions are all calls of both protocols; a call that is none of them fails the test.
var questions = map[string]question{
	"/ldlm.LDLM/Lock": q1(take, func(l string) proto.Message {
		return &ldlmv1.LockRequest{Name: l, WaitTimeoutSeconds: proto.Int32(1)}
	}),
	"/ldlm.LDLM/TryLock":       q1(take, func(l string) proto.Message { return &ldlmv1.TryLockRequest{Name: l} }),
	"/ldlm.LDLM/Unlock":        q1(take, func(l string) proto.Message { return &ldlmv1.UnlockRequest{Name: l, Key: "k"} }),
	"/ldlm.LDLM/Renew":         q1(take, func(l string) proto.Message { return &ldlmv1.RenewRequest{Name: l, Key: "k"} }),
	"/ldlm.LDLM/RefreshLock":   q1(take, func(l string) proto.Message { return &ldlmv1.RefreshLockRequest{Name: l, Key: "k"} }),
	"/ldlm.v2.LDLM/Session":    q1(have, func(string) proto.Message { return &ldlmv2.ClientFrame{} }),
	"/ldlm.v2.LDLM/KeepAlive":  q1(have, func(string) proto.Message { return &ldlmv2.KeepAliveRequest{} }),
	"/ldlm.v2.LDLM/Acquire":    q1(take, acquire),
	"/ldlm.v2.LDLM/GetSession": q1(look, func(string) proto.Message { return &ldlmv2.GetSessionRequest{Session: 1 << 40} }),
	"/ldlm.v2.LDLM/OpenSession": q1(have, func(string) proto.Message {
		return &ldlmv2.OpenSessionRequest{Secret: []byte("0123456789abcdef")}
	}),
	"/ldlm.v2.LDLM/CloseSession": q1(have, func(string) proto.Message { return &ldlmv2.CloseSessionRequest{} }),
	"/ldlm.v2.LDLM/Release": q1(take, func(l string) proto.Message {
		return &ldlmv2.ReleaseRequest{Release: &ldlmv2.Release{Name: l, Token: 1}}
	}),
	"/ldlm.v2.LDLM/Renew": q1(take, func(l string) proto.Message {
		return &ldlmv2.RenewRequest{Renew: &ldlmv2.Renew{Name: l, Token: 1}}
	}),
	"/ldlm.v2.LDLM/Downgrade": q1(take, func(l string) proto.Message {
		return &ldlmv2.DowngradeRequest{Downgrade: &ldlmv2.Downgrade{Name: l, Token: 1}}
	}),
	"/ldlm.v2.LDLM/SetValue": q1(take, func(l string) proto.Message {
		return &ldlmv2.SetValueRequest{SetValue: &ldlmv2.SetValue{Name: l, Token: 1}}
	}),
	"/ldlm.v2.LDLM/List":         q1(look, func(string) proto.Message { return &ldlmv2.ListRequest{} }),
	"/ldlm.v2.LDLM/Get":          q1(get, func(l string) proto.Message { return &ldlmv2.GetRequest{Name: l} }),
	"/ldlm.v2.LDLM/ListSessions": q1(look, func(string) proto.Message { return &ldlmv2.ListSessionsRequest{} }),
	"/ldlm.v2.LDLM/ServerStatus": q1(look, func(string) proto.Message { return &ldlmv2.ServerStatusRequest{} }),
	"/ldlm.v2.LDLM/Watch":        q1(look, func(string) proto.Message { return &ldlmv2.WatchRequest{} }),
	"/ldlm.v2.LDLM/ForceRelease": q1(rule, func(l string) proto.Message { return &ldlmv2.ForceReleaseRequest{Name: l, Token: 1} }),
	"/ldlm.v2.LDLM/KillSession":  q1(rule, func(string) proto.Message { return &ldlmv2.KillSessionRequest{Session: 1 << 40} }),
	"/ldlm.v2.LDLM/Resize":       q1(rule, func(l string) proto.Message { return &ldlmv2.ResizeRequest{Name: l, Size: 2} }),
	"/ldlm.v2.LDLM/SaveSnapshot": q1(rule, func(string) proto.Message { return &ldlmv2.SaveSnapshotRequest{} }),

	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": q1(look, func(string) proto.Message {
		return &reflection1.ServerReflectionRequest{MessageRequest: &reflection1.ServerReflectionRequest_ListServices{}}
	}),
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": q1(look, func(string) proto.Message {
		return &reflection1.ServerReflectionRequest{MessageRequest: &reflection1.ServerReflectionRequest_ListServices{}}
	}),
	"/grpc.health.v1.Health/Check": q1(anyof, func(string) proto.Message { return &healthpb.HealthCheckRequest{} }),
	"/grpc.health.v1.Health/List":  q1(anyof, func(string) proto.Message { return &healthpb.HealthListRequest{} }),
	"/grpc.health.v1.Health/Watch": q1(anyof, func(string) proto.Message { return &healthpb.HealthCheckRequest{} }),
}

func acquire(l string) proto.Message {
	return &ldlmv2.AcquireRequest{AcquireAll: &ldlmv2.AcquireAll{
		Items: []*ldlmv2.Item{{Name: "in/all"}, {Name: l}}, LeaseUs: 1_000_000,
	}}
}

// ask makes a call, whichever kind of call it is.
func ask(ctx context.Context, c *grpc.ClientConn, call string, request proto.Message) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, call)
	if err != nil {
		return err
	}
	if err := s.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	return s.RecvMsg(&ldlmv2.CloseSessionResponse{}) // which keeps what it does not know
}

func verdictOf(err error) verdict {
	switch {
	case status.Code(err) == codes.Unauthenticated, errors.Is(err, ldlm.ErrUnauthenticated):
		return stranger
	case status.Code(err) == codes.PermissionDenied, errors.Is(err, ldlm.ErrDenied):
		return denied
	default:
		return letIn
	}
}

// TestEveryCallByEverybody: every call of every service that is registered.
func TestEveryCallByEverybody(t *testing.T) {
	p, _, visitors := house(t)
	calls := registered()
	for _, v := range visitors {
		conn, err := grpc.NewClient("passthrough:///"+p.clients, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if v.credential != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+v.credential)
			if v.what == "a password" {
				ctx = metadata.AppendToOutgoingContext(t.Context(), "authorization", v.credential)
			}
		}
		for _, call := range calls {
			q, known := questions[call]
			if !known {
				t.Fatalf("nobody has said who may call %s", call)
			}
			err := ask(ctx, conn, call, q.request(v.lock))
			if call == "/ldlm.v2.LDLM/Session" && v.known && v.want(have) == letIn {
				continue // it hears of a hello that is missing
			}
			if got, want := verdictOf(err), v.want(q.kind); got != want && call != "/ldlm.v2.LDLM/Session" {
				t.Errorf("%s by %s: %s (%v), want %s", call, v.what, got, err, want)
			}
		}
		conn.Close()
	}
}

// registered are the calls of all services that the server has.
func registered() []string {
	all := []string{"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}
	for _, d := range []grpc.ServiceDesc{
		ldlmv1.LDLM_ServiceDesc, ldlmv2.LDLM_ServiceDesc, healthpb.Health_ServiceDesc, reflection1.ServerReflection_ServiceDesc,
	} {
		for _, m := range d.Methods {
			all = append(all, "/"+d.ServiceName+"/"+m.MethodName)
		}
		for _, s := range d.Streams {
			all = append(all, "/"+d.ServiceName+"/"+s.StreamName)
		}
	}
	return all
}

// TestEverySessionByEverybody: native sessions, by both carriers.
func TestEverySessionByEverybody(t *testing.T) {
	p, _, visitors := house(t)
	for _, v := range visitors {
		for carrier, opts := range map[string][]ldlm.DialOption{"plain": nil, "gRPC": {ldlm.WithGRPC()}} {
			c, err := ldlm.Dial(p.clients, append(opts, ldlm.WithToken(v.credential))...)
			if err != nil {
				t.Fatal(err)
			}
			err = c.Do(t.Context(), v.lock, func(context.Context) error { return nil })
			if got, want := verdictOf(err), v.want(take); got != want {
				t.Errorf("a lock by %s over %s: %s (%v), want %s", v.what, carrier, got, err, want)
			}
			l, err := c.LockAll(t.Context(), []string{"in/all", v.lock})
			if got, want := verdictOf(err), v.want(take); got != want || (err == nil) != (want == letIn) {
				t.Errorf("two locks by %s over %s: %s (%v), want %s", v.what, carrier, got, err, want)
			}
			if l != nil {
				_ = l.Release(t.Context())
			}
			if err := c.Close(); err != nil {
				t.Errorf("%s: close: %v", v.what, err)
			}
		}
	}
}

// TestEveryRequestByEverybody: REST, with a token as Bearer and as a password.
func TestEveryRequestByEverybody(t *testing.T) {
	p, _, visitors := house(t)
	verdicts := map[int]verdict{http.StatusUnauthorized: stranger, http.StatusForbidden: denied}
	for _, v := range visitors {
		for way, show := range map[string]func(r *http.Request){
			"basic":  func(r *http.Request) { r.SetBasicAuth("", v.credential) },
			"bearer": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+v.credential) },
		} {
			if way == "bearer" && v.what == "a password" {
				continue
			}
			do := func(method, path, cookie string) (int, string) {
				body := strings.NewReader(`{"name":"` + v.lock + `","key":"k","lock_timeout_seconds":1}`)
				r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.rest+path, body)
				if err != nil {
					t.Fatal(err)
				}
				if v.credential != "" {
					show(r)
				}
				r.Header.Set("Cookie", cookie)
				a, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = a.Body.Close()
				cookie, _, _ = strings.Cut(a.Header.Get("Set-Cookie"), ";")
				return a.StatusCode, cookie
			}
			code, cookie := do("POST", "/session", "")
			check := func(what string, code int, want verdict) {
				got, refused := verdicts[code]
				if !refused {
					got = letIn
				}
				if got != want {
					t.Errorf("%s by %s, %s: %d, want %s", what, v.what, way, code, want)
				}
			}
			check("POST /session", code, v.want(have))
			for _, path := range []string{"/v1/lock", "/v1/renew", "/v1/refreshlock", "/v1/unlock"} {
				code, _ := do("POST", path, cookie)
				check("POST "+path, code, v.want(take))
			}
			code, _ = do("GET", "/healthz", "")
			check("GET /healthz", code, letIn)
			if cookie != "" {
				code, _ = do("DELETE", "/session", cookie)
				check("DELETE /session", code, letIn)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestRevokedTokens: what a token has let in ends when it is taken out.
func TestRevokedTokens(t *testing.T) {
	p, gate, visitors := house(t)
	web := visitors[3].credential
	lost := make(chan error, 1)
	native, err := ldlm.Dial(p.clients, ldlm.WithToken(web), ldlm.WithTTL(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer native.Close()
	held, err := native.Lock(t.Context(), "in/native")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-held.Done()
		lost <- held.Err()
	}()
	conn, err := grpc.NewClient("passthrough:///"+p.clients, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", web)
	if r, err := ldlmv1.NewLDLMClient(conn).TryLock(ctx, &ldlmv1.TryLockRequest{Name: "in/v1"}); err != nil || !r.GetLocked() {
		t.Fatalf("%v, %v", r, err)
	}
	watch, err := ldlmv2.NewLDLMClient(conn).Watch(ctx, &ldlmv2.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}

	if n := gate.SetAccounts(nil); n != 3 {
		t.Errorf("%d passes were revoked", n)
	}
	for err == nil {
		_, err = watch.Recv()
	}
	if _, err := ldlmv2.NewLDLMClient(conn).List(ctx, &ldlmv2.ListRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a call by a revoked token: %v", err)
	}
	if err := <-lost; !errors.Is(err, ldlm.ErrLost) {
		t.Errorf("the lock of a revoked token ended with %v", err)
	}
	if _, err := native.Lock(t.Context(), "in/again"); !errors.Is(err, ldlm.ErrUnauthenticated) {
		t.Errorf("a session by a revoked token: %v", err)
	}
}

// TestSessionsAreTheirPrincipals: whoever knows the number and the secret of another
// principal's session does not have it.
func TestSessionsAreTheirPrincipals(t *testing.T) {
	p, _, visitors := house(t)
	conn, err := grpc.NewClient("passthrough:///"+p.clients, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := ldlmv2.NewLDLMClient(conn)
	as := func(v *visitor) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "authorization", v.credential)
	}
	web, ops, byPassword := visitors[3], visitors[6], visitors[7]
	secret := []byte("0123456789abcdef")
	s, err := c.OpenSession(as(web), &ldlmv2.OpenSessionRequest{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	caller := &ldlmv2.Caller{Session: s.GetSession(), Secret: secret}
	for _, v := range []*visitor{ops, byPassword} {
		if _, err := c.KeepAlive(as(v), &ldlmv2.KeepAliveRequest{Caller: caller}); status.Code(err) != codes.NotFound {
			t.Errorf("%s keeps another's session alive: %v", v.what, err)
		}
		if _, err := c.CloseSession(as(v), &ldlmv2.CloseSessionRequest{Caller: caller}); status.Code(err) != codes.NotFound {
			t.Errorf("%s closes another's session: %v", v.what, err)
		}
	}
	if _, err := c.KeepAlive(as(web), &ldlmv2.KeepAliveRequest{Caller: caller}); err != nil {
		t.Errorf("its own principal: %v", err)
	}
	// One connection of the first protocol is one principal's.
	v1 := ldlmv1.NewLDLMClient(conn)
	if _, err := v1.TryLock(as(web), &ldlmv1.TryLockRequest{Name: "in/x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := v1.TryLock(as(ops), &ldlmv1.TryLockRequest{Name: "in/y"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("another principal on the same connection: %v", err)
	}
}
