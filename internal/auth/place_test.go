package auth_test

import (
	"errors"
	"testing"

	"github.com/ldlm-io/ldlm/internal/auth"
)

// enter enters a connection, and checks that it may or which limit is in the way.
func enter(t *testing.T, g *auth.Gate, p *auth.Pass, field string, limit int) (leave func()) {
	t.Helper()
	leave, err := g.Enter(p, "native", func() string { return "10.0.0.1:1" })
	crowded := (*auth.CrowdedError)(nil)
	switch errors.As(err, &crowded); {
	case field == "" && err != nil:
		t.Fatal(err)
	case field != "" && (crowded == nil || crowded.Field != field || crowded.Limit != limit):
		t.Fatalf("got %v, want limit %d of %s", err, limit, field)
	}
	return leave
}

func TestConnectionsAreCounted(t *testing.T) {
	ownToken, ownHash := auth.NewToken()
	otherToken, otherHash := auth.NewToken()
	g := auth.NewGate(auth.GateConfig{Passwords: auth.NewPasswords("sesam"), Connections: 6, ConnectionsEach: 2})
	own, other := account("own", auth.Client, ownHash), account("other", auth.Client, otherHash)
	own.Principal.Limits.Connections = 1
	g.SetAccounts([]auth.Account{own, other})
	pass := func(credential string) *auth.Pass {
		p, err := try(t, g, credential)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const each, all = "connections_of_principal", "connections"
	leave := enter(t, g, pass(ownToken), "", 0)
	enter(t, g, pass(ownToken), each, 1) // its own limit
	enter(t, g, pass(otherToken), "", 0)
	enter(t, g, pass(otherToken), "", 0)
	enter(t, g, pass(otherToken), each, 2) // that of those who have none
	for range 3 {
		enter(t, g, pass("sesam"), "", 0) // who has no name is bounded with all
	}
	enter(t, g, pass("sesam"), all, 6)
	leave()
	leave = enter(t, g, pass(ownToken), "", 0)
	leave()
	own.Principal.Limits.Connections = 0
	g.SetAccounts([]auth.Account{own, other})
	enter(t, g, pass(ownToken), "", 0)
	enter(t, g, pass(ownToken), all, 6)
}

func TestConnectionsWithoutLimits(t *testing.T) {
	g := auth.NewGate(auth.GateConfig{})
	p, err := try(t, g, "")
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		enter(t, g, p, "", 0)
	}
}
