package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ldlm-io/ldlm"
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/logtest"
	"github.com/ldlm-io/ldlm/internal/server"
)

// greedy is a principal that has all the sessions and locks that it may have.
type greedy struct {
	p     *ports
	token string
	plain *ldlm.Client
	grpc  *ldlm.Client
	v1    ldlmv1.LDLMClient
	v2    ldlmv2.LDLMClient
}

// beGreedy takes three sessions and one lock.
func beGreedy(t *testing.T, p *ports, token string) *greedy {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+p.clients, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	g := &greedy{
		p: p, token: token, plain: dialWith(t, p, token), grpc: dialWith(t, p, token, ldlm.WithGRPC()),
		v1: ldlmv1.NewLDLMClient(conn), v2: ldlmv2.NewLDLMClient(conn),
	}
	if _, err := g.plain.TryLock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.grpc.TryLock(t.Context(), "a"); !errors.Is(err, ldlm.ErrHeld) {
		t.Fatal(err)
	}
	if r, err := g.v1.TryLock(g.sign(t), &ldlmv1.TryLockRequest{Name: "a"}); err != nil || r.GetLocked() {
		t.Fatalf("%v, %v", r, err)
	}
	return g
}

func dialWith(t *testing.T, p *ports, token string, opts ...ldlm.DialOption) *ldlm.Client {
	t.Helper()
	c, err := ldlm.Dial(p.clients, append(opts, ldlm.WithToken(token))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// sign is a context with the token of the principal, for calls of gRPC.
func (g *greedy) sign(t *testing.T) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", g.token)
}

// wants are what a greedy principal wants beyond its limits, and which limit that is. Each
// says what was wrong with how it was refused.
var wants = []struct {
	what, field string
	ask         func(t *testing.T, g *greedy) error
}{
	{"a lock", "locks_of_principal", func(t *testing.T, g *greedy) error { return wantLimit(g.plain.TryLock(t.Context(), "b")) }},
	{"a lock over gRPC", "locks_of_principal", func(t *testing.T, g *greedy) error { return wantLimit(g.grpc.TryLock(t.Context(), "b")) }},
	{"a lock of the first protocol", "locks_of_principal", func(t *testing.T, g *greedy) error {
		r, err := g.v1.TryLock(g.sign(t), &ldlmv1.TryLockRequest{Name: "b"})
		if text := r.GetError().GetMessage(); err != nil || !strings.Contains(text, "limit on locks of one principal") {
			return fmt.Errorf("%q, %w", text, err)
		}
		return nil
	}},
	{"a session", "sessions_of_principal", func(t *testing.T, g *greedy) error {
		return wantLimit(dialWith(t, g.p, g.token).TryLock(t.Context(), "b"))
	}},
	{"a session by a call", "sessions_of_principal", func(t *testing.T, g *greedy) error {
		_, err := g.v2.OpenSession(g.sign(t), &ldlmv2.OpenSessionRequest{Secret: []byte("0123456789abcdef")})
		if status.Code(err) != codes.ResourceExhausted {
			return err
		}
		return nil
	}},
	{"a lock outside sessions", "holds_outside_sessions", func(t *testing.T, g *greedy) error {
		_, err := g.v2.Acquire(g.sign(t), &ldlmv2.AcquireRequest{Acquire: &ldlmv2.Acquire{Name: "b", LeaseUs: 60_000_000}})
		if status.Code(err) != codes.ResourceExhausted {
			return fmt.Errorf("got %w, want a limit", err)
		}
		return nil
	}},
	{"a session of REST", "sessions_of_principal", func(t *testing.T, g *greedy) error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+g.p.rest+"/session", nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+g.token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusTooManyRequests {
			return fmt.Errorf("%s, %w", answer.Status, err)
		}
		return nil
	}},
}

func wantLimit(_ *ldlm.Lock, err error) error {
	if !errors.Is(err, ldlm.ErrLimit) {
		return fmt.Errorf("got %w, want a limit", err)
	}
	return nil
}

// TestLimitsAreCounted: who wants more than its principal may have is refused, over every
// protocol; that is counted by the limit, shown with the status, and in the log; the
// token is not.
func TestLimitsAreCounted(t *testing.T) {
	token, hash := auth.NewToken()
	opsToken, opsHash := auth.NewToken()
	var log logtest.Log
	gate := auth.NewGate(auth.GateConfig{Logger: log.JSON(slog.LevelInfo)})
	gate.SetAccounts([]auth.Account{
		{Principal: auth.Principal{Name: "greedy", Role: auth.Client, Limits: auth.Limits{Sessions: 3, Locks: 1}}, Tokens: []auth.TokenHash{hash}},
		{Principal: auth.Principal{Name: "ops", Role: auth.Admin}, Tokens: []auth.TokenHash{opsHash}},
	})
	p := startPorts(t, func(c *server.Config) { c.Gate = gate })
	g := beGreedy(t, p, token)
	for _, want := range wants {
		before := gate.LimitsReached()[want.field]
		if err := want.ask(t, g); err != nil {
			t.Errorf("%s: %v", want.what, err)
		}
		if after := gate.LimitsReached()[want.field]; after <= before {
			t.Errorf("%s: %d refusals by %s were counted, and %d before", want.what, after, want.field, before)
		}
	}
	ops := dialWith(t, p, opsToken)
	s, err := ops.Admin().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts := gate.LimitsReached()
	if s.Refusals.Limits == nil || !maps.Equal(s.Refusals.Limits.ByField, counts) || len(counts) != 3 {
		t.Errorf("the status says %+v, counted were %v", s.Refusals.Limits, counts)
	}
	outside := &ldlmv2.AcquireRequest{Acquire: &ldlmv2.Acquire{Name: "c", LeaseUs: 60_000_000}}
	if _, err := g.v2.Acquire(metadata.AppendToOutgoingContext(t.Context(), "authorization", opsToken), outside); err != nil {
		t.Errorf("outside sessions, for whom nothing is bounded: %v", err)
	}
	if text := log.String(); !strings.Contains(text, `"principal":"greedy"`) || strings.Contains(text, token) {
		t.Errorf("the log says:\n%s", text)
	}
}
