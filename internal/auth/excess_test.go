package auth_test

import (
	"bytes"
	"context"
	"fmt"
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

// Who is refused without end rests, longer and longer up to a bound; a thousand at once,
// a thousand a second, and all others do not.
func TestRestAfterExcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := auth.NewGate(auth.GateConfig{Passwords: auth.NewPasswords("secret")})
		nameless, err := try(t, g, "secret")
		if err != nil {
			t.Fatal(err)
		}
		exceed := func(remote string) time.Duration {
			return g.Exceed(&auth.Excess{Pass: nameless, Remote: func() string { return remote }, Field: "waiters"})
		}
		for i := range 1000 {
			if rest := exceed("10.0.0.1:1"); rest != 0 {
				t.Fatalf("rest of %v after %d", rest, i+1)
			}
		}
		for range 3000 {
			<-time.After(time.Millisecond)
			if rest := exceed("10.0.0.1:1"); rest != 0 {
				t.Fatalf("rest of %v at a thousand a second", rest)
			}
		}
		for i := range 300 {
			want := min(time.Duration(i+1)*time.Millisecond, 200*time.Millisecond)
			if rest := exceed("10.0.0.1:2"); rest != want {
				t.Fatalf("rest of %v after %d too many, want %v", rest, i+1, want)
			}
		}
		owed := func(remote string) time.Duration { return g.Owed(nameless, func() string { return remote }) }
		if rest := owed("10.0.0.1:3"); rest != 200*time.Millisecond {
			t.Errorf("a new connection rests for %v", rest)
		}
		if rest := owed("10.0.0.2:1"); rest != 0 {
			t.Errorf("a new connection from another address rests for %v", rest)
		}
		if rest := exceed("10.0.0.2:1"); rest != 0 {
			t.Errorf("rest of %v at another address", rest)
		}
		<-time.After(200 * time.Millisecond)
		if rest := owed("10.0.0.1:3"); rest != 0 {
			t.Errorf("a new connection rests for %v when all that was too much is over", rest)
		}
		if rest := exceed("10.0.0.1:1"); rest != time.Millisecond {
			t.Errorf("rest of %v when all that was too much is over", rest)
		}
	})
}

// Who rests still hears why, however short its patience is.
func TestRestsLeaveTimeToSayWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ rest, patience, want time.Duration }{
			{200 * time.Millisecond, 100 * time.Millisecond, 50 * time.Millisecond},
			{200 * time.Millisecond, time.Second, 200 * time.Millisecond},
			{200 * time.Millisecond, 0, 0},
			{0, time.Second, 0},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), c.patience)
			began := time.Now()
			auth.Rest(ctx, c.rest)
			if took := time.Since(began); took != c.want {
				t.Errorf("a rest of %v took %v of %v, want %v", c.rest, took, c.patience, c.want)
			}
			cancel()
		}
	})
}

// However many clients are refused, those are remembered that are refused now.
func TestRestsOfManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := auth.NewGate(auth.GateConfig{Passwords: auth.NewPasswords("secret")})
		nameless, err := try(t, g, "secret")
		if err != nil {
			t.Fatal(err)
		}
		exceed := func(i int) time.Duration {
			remote := fmt.Sprintf("10.0.%d.%d:1", i/256, i%256)
			return g.Exceed(&auth.Excess{Pass: nameless, Remote: func() string { return remote }, Field: "waiters"})
		}
		for i := range 10000 { // two thousand within each second
			<-time.After(time.Second / 2000)
			exceed(i)
			if rest := exceed(0); i > 2100 && rest == 0 {
				t.Fatalf("who is refused all the time does not rest at %d others", i)
			}
		}
	})
}
