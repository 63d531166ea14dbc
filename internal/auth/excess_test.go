package auth_test

import (
	"bytes"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/auth"
)

// Every excess is counted by its limit. The log has a line a second for each principal,
// and for each address of those without a name, and says how many are missing.
func TestExcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, hash := auth.NewToken()
		var log bytes.Buffer
		g := auth.NewGate(auth.GateConfig{Passwords: auth.NewPasswords("secret"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		g.SetAccounts([]auth.Account{account("web", auth.Client, hash)})
		if got := g.LimitsReached(); len(got) != 0 {
			t.Errorf("at first %v", got)
		}
		exceed := func(credential, remote, field string) {
			t.Helper()
			p, err := try(t, g, credential)
			if err != nil {
				t.Fatal(err)
			}
			g.Exceed(&auth.Excess{Pass: p, Via: "native", Remote: func() string { return remote }, Field: field, Limit: 7})
		}
		exceed(token, "10.0.0.1:1", "locks_of_principal")
		for range 99 {
			exceed(token, "10.0.0.2:1", "waiters_of_principal") // the same principal from elsewhere
		}
		for range 50 {
			exceed("secret", "10.0.0.3:1", "sessions")
			exceed("secret", "10.0.0.4:1", "sessions")
		}
		<-time.After(time.Second)
		exceed(token, "10.0.0.1:1", "bytes")
		want := map[string]uint64{"locks_of_principal": 1, "waiters_of_principal": 99, "sessions": 100, "bytes": 1}
		if got := g.LimitsReached(); !maps.Equal(got, want) {
			t.Errorf("counted are %v, want %v", got, want)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 4 {
			t.Fatalf("%d lines:\n%s", len(lines), log.String())
		}
		for i, want := range []string{
			`field=locks_of_principal limit=7 principal=web client_addr=10.0.0.1:1 transport=native`,
			`field=sessions limit=7 principal="" client_addr=10.0.0.3:1`, // 99 of web before
			`field=sessions limit=7 principal="" client_addr=10.0.0.4:1`,
			`field=bytes limit=7 principal=web client_addr=10.0.0.1:1 transport=native not_logged_before=98`,
		} {
			if !strings.Contains(lines[i], want) {
				t.Errorf("line %d is\n%s\nwithout %s", i, lines[i], want)
			}
		}
		if !strings.Contains(lines[1], "not_logged_before=99") || strings.Contains(log.String(), token) {
			t.Errorf("the log is\n%s", log.String())
		}
	})
}
