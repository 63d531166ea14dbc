package grpcapi_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/node"
)

// crowded is a gate at which two principals may have one connection each. It returns
// their tokens.
func crowded() (gate *auth.Gate, one, other string) {
	one, oneHash := auth.NewToken()
	other, otherHash := auth.NewToken()
	gate = auth.NewGate(auth.GateConfig{ConnectionsEach: 1})
	gate.SetAccounts([]auth.Account{
		{Principal: auth.Principal{Name: "one", Role: auth.Client}, Tokens: []auth.TokenHash{oneHash}},
		{Principal: auth.Principal{Name: "other", Role: auth.Client}, Tokens: []auth.TokenHash{otherHash}},
	})
	return gate, one, other
}

// A connection beyond the limit gets ResourceExhausted; those that are there, and other
// principals, are served; streams do not count; the end of a connection makes room.
func TestLimitOfConnections(t *testing.T) {
	gate, one, other := crowded()
	h := open(t, func(_ *node.Config, c *grpcapi.Config) { c.Gate = gate })
	first, second := h.client(), h.client()
	ctx := with(t.Context(), one)
	if _, err := first.TryLock(ctx, try("l")); err != nil {
		t.Fatal(err)
	}
	_, err := second.TryLock(ctx, try("m"))
	st := status.Convert(err)
	if st.Code() != codes.ResourceExhausted || len(st.Details()) != 1 {
		t.Fatalf("the second connection: %v", err)
	}
	if s, _ := st.Details()[0].(*ldlmv2.Status); s.GetCode() != ldlmv2.Code_CODE_LIMIT ||
		s.GetField() != "connections_of_principal" || s.GetLimit() != 1 {
		t.Errorf("the second connection: %v", s)
	}
	for range 2 {
		wantWelcome(t, first, one)
	}
	// The connection serves somebody else, who waits for what the first one holds.
	waited := make(chan error, 1)
	go func() {
		r, err := second.Lock(with(t.Context(), other), &ldlmv1.LockRequest{Name: "l"})
		if err == nil && !r.GetLocked() {
			t.Errorf("not granted: %v", r)
		}
		waited <- err
	}()
	first.close()
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if _, err := h.client().TryLock(ctx, try("n")); err != nil {
		t.Errorf("after the first connection is over: %v", err)
	}
}

// wantWelcome opens a session in a stream, the credential in hello.
func wantWelcome(t *testing.T, c *client, credential string) {
	t.Helper()
	s, err := ldlmv2.NewLDLMClient(c.conn).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, secret := auth.NewToken()
	hello := &ldlmv2.Hello{Version: 2, Secret: secret[:], Credential: credential}
	if err := s.Send(&ldlmv2.ClientFrame{Hello: hello}); err != nil {
		t.Fatal(err)
	}
	f, err := s.Recv()
	if err != nil || f.GetWelcome() == nil {
		t.Fatalf("%v, %v", f, err)
	}
}
