package auth_test

import (
	"testing"

	"github.com/ldlm-io/ldlm/internal/auth"
)

// The limits of a name are those of the newest accounts.
func TestLimitsOfAName(t *testing.T) {
	g := auth.NewGate(auth.GateConfig{})
	if got := g.Limits("a"); got != (auth.Limits{}) {
		t.Errorf("without accounts: %+v", got)
	}
	for _, sessions := range []int{3, 4} {
		g.SetAccounts([]auth.Account{{Principal: auth.Principal{Name: "a", Role: auth.Client, Limits: auth.Limits{Sessions: sessions}}}})
		if got := g.Limits("a"); got.Sessions != sessions {
			t.Errorf("got %+v, want %d sessions", got, sessions)
		}
		if got := g.Limits("b"); got != (auth.Limits{}) {
			t.Errorf("of a stranger: %+v", got)
		}
	}
}
