package grpcapi_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflection1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/node"
)

func password(passwords ...string) func(*node.Config, *grpcapi.Config) {
	return func(_ *node.Config, c *grpcapi.Config) {
		c.Gate = auth.NewGate(auth.GateConfig{
			Passwords: auth.NewPasswords(passwords...), Logger: c.Logger, Slowness: auth.Slowness{Free: 1000},
		})
	}
}

func with(ctx context.Context, credential string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", credential)
}

// guardedCalls are calls of all kinds, each with what it takes to be heard.
func guardedCalls(conn *grpc.ClientConn) map[string]func(ctx context.Context) error {
	v1, v2 := ldlmv1.NewLDLMClient(conn), ldlmv2.NewLDLMClient(conn)
	return map[string]func(ctx context.Context) error{
		"v1": func(ctx context.Context) error {
			_, err := v1.TryLock(ctx, try("l"))
			return err
		},
		"v1, a bad message": func(ctx context.Context) error {
			request := raw("\xff")
			err := conn.Invoke(ctx, "/ldlm.LDLM/Lock", &request, &raw{}, forceRaw)
			if status.Code(err) == codes.Internal {
				return nil // it was read, so the password was good
			}
			return err
		},
		"v2": func(ctx context.Context) error {
			_, err := v2.List(ctx, &ldlmv2.ListRequest{})
			return err
		},
		"a v2 stream": func(ctx context.Context) error {
			s, err := v2.Watch(ctx, &ldlmv2.WatchRequest{})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
		"reflection": func(ctx context.Context) error {
			s, err := reflection1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
			if err != nil {
				return err
			}
			_ = s.CloseSend()
			_, err = s.Recv()
			if err != nil && status.Code(err) == codes.Unknown { // the end of the stream
				return nil
			}
			return err
		},
	}
}

// TestPassword: unary calls and streams, of both protocols and of reflection.
func TestPassword(t *testing.T) {
	log := &diary{t: t}
	h := open(t, log.at, password("old", "new"))
	calls := guardedCalls(h.dial())
	for what, call := range calls {
		for _, test := range []struct {
			what    string
			ctx     context.Context
			message string
		}{
			{"no password", t.Context(), "missing credentials"},
			{"a wrong one", with(t.Context(), "ole"), "invalid credentials"},
			{"an empty one", with(t.Context(), ""), "invalid credentials"},
			{"basic", with(t.Context(), "Basic b2xk"), "invalid credentials"},
			{"a wrong one before the right one", with(with(t.Context(), "x"), "old"), "invalid credentials"},
		} {
			err := call(test.ctx)
			if status.Code(err) != codes.Unauthenticated || status.Convert(err).Message() != test.message {
				t.Errorf("%s with %s: %v, want Unauthenticated %q", what, test.what, err, test.message)
			}
		}
		for _, good := range []string{"old", "new"} {
			ctx, cancel := context.WithCancel(with(t.Context(), good))
			if err := call(ctx); status.Code(err) == codes.Unauthenticated {
				t.Errorf("%s with %q: %v", what, good, err)
			}
			cancel()
		}
	}
	// Every call with a wrong password left a line, and nothing else.
	if got, want := len(log.lines("WARN", "Invalid password from client")), len(calls)*4; got != want {
		t.Errorf("%d lines about wrong passwords, want %d", got, want)
	}
	if line := log.lines("WARN", "Invalid password from client")[0]; line["client_addr"] != "bufconn" {
		t.Errorf("the line says %v, want client_addr", line)
	}
}

// TestRefusedCallsHaveNoEffect: not even a session.
func TestRefusedCallsHaveNoEffect(t *testing.T) {
	h := open(t, password("secret"))
	c := h.client()
	if _, err := c.TryLock(with(t.Context(), "guess"), try("l")); status.Code(err) != codes.Unauthenticated {
		t.Fatalf("got %v", err)
	}
	if got := h.counts(); got.Sessions != 0 || got.Locks != 0 {
		t.Errorf("a refused call left %+v", got)
	}
}

func TestWithoutAPasswordTheMetadataIsIgnored(t *testing.T) {
	c := open(t).client()
	if r, err := c.TryLock(with(t.Context(), "whatever"), try("l")); err != nil || !r.Locked {
		t.Errorf("got %v, %v", r, err)
	}
}

func TestHealth(t *testing.T) {
	h := open(t, password("secret"))
	health := healthpb.NewHealthClient(h.dial())
	check := func(service string) (healthpb.HealthCheckResponse_ServingStatus, error) {
		r, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		return r.GetStatus(), err
	}
	for _, service := range []string{"", "ldlm.LDLM", "ldlm.v2.LDLM"} {
		if got, err := check(service); err != nil || got != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v; want serving, without a password", service, got, err)
		}
	}
	if _, err := check("nope"); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown service: %v", err)
	}
	watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: "ldlm.LDLM"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := watch.Recv(); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("watch: %v, %v", r, err)
	}
	h.server.Drain()
	if r, err := watch.Recv(); err != nil || r.Status != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("watch, draining: %v, %v", r, err)
	}
	for _, service := range []string{"", "ldlm.LDLM", "ldlm.v2.LDLM"} {
		if got, err := check(service); err != nil || got != healthpb.HealthCheckResponse_NOT_SERVING {
			t.Errorf("%q, draining: %v, %v", service, got, err)
		}
	}
}

func TestReflection(t *testing.T) {
	h := open(t)
	conn := h.dial()
	want := map[string]bool{
		"ldlm.LDLM": true, "ldlm.v2.LDLM": true, "grpc.health.v1.Health": true,
		"grpc.reflection.v1.ServerReflection": true, "grpc.reflection.v1alpha.ServerReflection": true,
	}
	s, err := reflection1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r *reflection1.ServerReflectionRequest) *reflection1.ServerReflectionResponse {
		t.Helper()
		if err := s.Send(r); err != nil {
			t.Fatal(err)
		}
		answer, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	list := ask(&reflection1.ServerReflectionRequest{
		MessageRequest: &reflection1.ServerReflectionRequest_ListServices{},
	}).GetListServicesResponse().GetService()
	for _, service := range list {
		if !want[service.Name] {
			t.Errorf("there is a service %s", service.Name)
		}
		delete(want, service.Name)
	}
	for name := range want {
		t.Errorf("%s is not listed", name)
	}
	file := ask(&reflection1.ServerReflectionRequest{
		MessageRequest: &reflection1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "ldlm.LDLM.RefreshLock"},
	}).GetFileDescriptorResponse().GetFileDescriptorProto()
	if len(file) != 1 {
		t.Errorf("%d files describe RefreshLock, want 1", len(file))
	}

	// The older version has the same messages.
	alpha, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
	if err != nil {
		t.Fatal(err)
	}
	if err := alpha.SendMsg(&reflection1.ServerReflectionRequest{
		MessageRequest: &reflection1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "ldlm.v2.LDLM"},
	}); err != nil {
		t.Fatal(err)
	}
	var r reflection1.ServerReflectionResponse
	if err := alpha.RecvMsg(&r); err != nil || len(r.GetFileDescriptorResponse().GetFileDescriptorProto()) != 1 {
		t.Errorf("v1alpha: %v, %v", &r, err)
	}
}

func TestNoReflection(t *testing.T) {
	h := open(t, func(_ *node.Config, c *grpcapi.Config) { c.NoReflection = true })
	s, err := reflection1.NewServerReflectionClient(h.dial()).ServerReflectionInfo(t.Context())
	if err == nil {
		_, err = s.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v, want Unimplemented", err)
	}
}
