package auth_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/auth"
)

func account(name string, role auth.Role, hashes ...auth.TokenHash) auth.Account {
	return auth.Account{Principal: auth.Principal{Name: name, Role: role}, Tokens: hashes}
}

// try shows a credential at a gate; "" shows none.
func try(t *testing.T, g *auth.Gate, credential string) (*auth.Pass, error) {
	t.Helper()
	return g.Admit(t.Context(), &auth.Visitor{Credential: credential, Shown: credential != "", Via: "grpc", Remote: "10.0.0.1:1"})
}

func wantReason(t *testing.T, err error, want auth.Reason) {
	t.Helper()
	refused := (*auth.RefusedError)(nil)
	if !errors.As(err, &refused) || refused.Reason != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestWithoutAnything(t *testing.T) {
	g := auth.NewGate(auth.GateConfig{})
	p, err := try(t, g, "whatever")
	if err != nil || !p.Principal().Administers() || p.Principal().Name != "" || p.Revocable() || g.Asks() {
		t.Errorf("%+v, %v", p.Principal(), err)
	}
}

// A password opens everything until principals are told apart; then it is a client's.
func TestPasswordAmongAccounts(t *testing.T) {
	g := auth.NewGate(auth.GateConfig{Passwords: auth.NewPasswords("secret")})
	p, err := try(t, g, "secret")
	if err != nil || p.Principal().Role != auth.Admin {
		t.Fatalf("%+v, %v", p.Principal(), err)
	}
	g.SetAccounts(nil)
	if r := p.Principal().Role; r != auth.Client {
		t.Errorf("beside accounts a password is a %v", r)
	}
	_, err = try(t, g, "")
	wantReason(t, err, auth.Missing)
	_, err = try(t, g, "Bearer secret")
	wantReason(t, err, auth.Wrong)
}

func TestTokens(t *testing.T) {
	token, hash := auth.NewToken()
	other, otherHash := auth.NewToken()
	g := auth.NewGate(auth.GateConfig{})
	g.SetAccounts([]auth.Account{account("web", auth.Client, hash), account("ops", auth.Admin, otherHash)})
	for credential, want := range map[string]string{token: "web", "Bearer " + token: "web", "bearer  " + token: "web", other: "ops"} {
		if p, err := try(t, g, credential); err != nil || p.Principal().Name != want {
			t.Errorf("%.12q: %+v, %v", credential, p.Principal(), err)
		}
	}
	for _, bad := range []string{token[:len(token)-1], token + "A", "ldlm_", token[5:], "Bearer", "Basic " + token, " " + token} {
		_, err := try(t, g, bad)
		wantReason(t, err, auth.Wrong)
	}
	if c := g.Counts(); c.Wrong != 7 || c.Missing != 0 {
		t.Errorf("%+v", c)
	}
}

func TestRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, hash := auth.NewToken()
		fresh, freshHash := auth.NewToken()
		g := auth.NewGate(auth.GateConfig{})
		g.SetAccounts([]auth.Account{account("web", auth.Client, hash)})
		p, err := try(t, g, token)
		if err != nil {
			t.Fatal(err)
		}
		told, left := 0, 0
		p.OnRevoke(func() { told++ })
		p.OnRevoke(func() { left++ })()
		// The principal changes, and a second token comes: the pass stays and shows it.
		a := account("web", auth.Read, hash, freshHash)
		if n := g.SetAccounts([]auth.Account{a}); n != 0 || p.Principal().Role != auth.Read || p.IsRevoked() {
			t.Errorf("%d revoked, %+v", n, p.Principal())
		}
		second, err := try(t, g, fresh)
		if err != nil {
			t.Fatal(err)
		}
		// The first token is taken out.
		if n := g.SetAccounts([]auth.Account{account("web", auth.Client, freshHash)}); n != 1 || !p.IsRevoked() || second.IsRevoked() {
			t.Errorf("%d revoked", n)
		}
		synctest.Wait()
		if told != 1 || left != 0 {
			t.Errorf("told %d times, after leaving %d times", told, left)
		}
		_, err = try(t, g, token)
		wantReason(t, err, auth.Wrong)
		// The same token under another name is another principal's.
		if n := g.SetAccounts([]auth.Account{account("other", auth.Client, freshHash)}); n != 1 || !second.IsRevoked() {
			t.Errorf("%d revoked", n)
		}
	})
}

func TestCertificates(t *testing.T) {
	g := auth.NewGate(auth.GateConfig{})
	g.SetAccounts([]auth.Account{
		{Principal: auth.Principal{Name: "web", Role: auth.Client}, Certificates: []string{"cn:web-1"}},
		{Principal: auth.Principal{Name: "host", Role: auth.Read}, Certificates: []string{"dns:h.example"}},
	})
	for name, c := range map[string]struct {
		cert *x509.Certificate
		want string
	}{
		"by its common name":    {&x509.Certificate{Subject: pkix.Name{CommonName: "web-1"}}, "web"},
		"the exact name first":  {&x509.Certificate{Subject: pkix.Name{CommonName: "web-1"}, DNSNames: []string{"H.example"}}, "host"},
		"of nobody":             {&x509.Certificate{Subject: pkix.Name{CommonName: "web-2"}}, ""},
		"the kind has to match": {&x509.Certificate{Subject: pkix.Name{CommonName: "h.example"}}, ""},
		"none":                  {nil, ""},
	} {
		p, err := g.Admit(t.Context(), &auth.Visitor{Certificate: c.cert})
		if got := p.Principal().Name; got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		// Whoever shows something else is asked for that.
		if _, err := g.Admit(t.Context(), &auth.Visitor{Certificate: c.cert, Credential: "x", Shown: true}); err == nil {
			t.Errorf("%s: a wrong credential was let in", name)
		}
	}
}

// Guessing becomes slow, for one address, and for passwords alone.
func TestGuessingIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, hash := auth.NewToken()
		g := auth.NewGate(auth.GateConfig{Passwords: auth.NewPasswords("secret")})
		g.SetAccounts([]auth.Account{account("web", auth.Client, hash)})
		memory := &auth.Memory{}
		show := func(remote, credential string, m *auth.Memory) (time.Duration, error) {
			began := time.Now()
			_, err := g.Admit(context.Background(), &auth.Visitor{Credential: credential, Shown: true, Remote: remote, Memory: m})
			return time.Since(began), err
		}
		if took, err := show("10.0.0.1:1", "secret", memory); took != 0 || err != nil {
			t.Errorf("the first one took %v, %v", took, err)
		}
		var last time.Duration
		for range 30 {
			took, err := show("10.0.0.1:2", "guess", nil)
			wantReason(t, err, auth.Wrong)
			last = took
		}
		if last < 2*time.Second || last > 6*time.Second {
			t.Errorf("the 30th guess took %v", last)
		}
		for what, c := range map[string]struct {
			remote, credential string
			memory             *auth.Memory
		}{
			"elsewhere":                         {"10.0.0.2:1", "secret", nil},
			"a token":                           {"10.0.0.1:3", token, nil},
			"a connection that was let in once": {"10.0.0.1:1", "secret", memory},
		} {
			if took, err := show(c.remote, c.credential, c.memory); took != 0 || err != nil {
				t.Errorf("%s: took %v, %v", what, took, err)
			}
		}
		if took, err := show("10.0.0.1:4", "secret", nil); took == 0 || err != nil {
			t.Errorf("the right password after many wrong ones took %v, %v", took, err)
		}
		<-time.After(time.Hour) // on fake time
		if took, err := show("10.0.0.1:4", "guess", nil); took != 0 || err == nil {
			t.Errorf("an hour later: took %v, %v", took, err)
		}
	})
}

// Of those who wait to be heard there are few. The others are sent away, some of them after
// a while, and however many there are beyond that at once.
func TestFewWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := auth.NewGate(auth.GateConfig{Passwords: auth.NewPasswords("secret"), Slowness: auth.Slowness{Queue: 2}})
		for range 20 {
			_, _ = try(t, g, "guess")
		}
		const all, heard, slowly = 400, 2, 256
		took := make(chan time.Duration, all)
		began := time.Now()
		for range all {
			go func() {
				_, _ = g.Admit(context.Background(), &auth.Visitor{Credential: "guess", Shown: true, Remote: "10.0.0.1:9"})
				took <- time.Since(began)
			}()
		}
		counts := map[time.Duration]int{}
		for range all {
			counts[<-took]++
		}
		if c := g.Counts(); c.TooMany != all-heard {
			t.Errorf("%+v", c)
		}
		if counts[0] != all-heard-slowly || counts[200*time.Millisecond] != slowly {
			t.Errorf("sent away at once were %d, and %d later, want %d: %v", counts[0], counts[200*time.Millisecond], slowly, counts)
		}
	})
}

// Addresses are forgotten for others; hosts of one IPv6 network are one.
func TestAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := auth.NewGate(auth.GateConfig{Passwords: auth.NewPasswords("secret"), Slowness: auth.Slowness{Addresses: 2, Free: 1}})
		took := func(remote string) time.Duration {
			began := time.Now()
			_, _ = g.Admit(context.Background(), &auth.Visitor{Credential: "guess", Shown: true, Remote: remote})
			return time.Since(began)
		}
		for i := range 3 {
			took(fmt.Sprintf("[2001:db8::%d]:1", i+1))
		}
		if d := took("[2001:db8::ffff]:1"); d == 0 {
			t.Error("another host of the network was not slowed down")
		}
		took("10.0.0.1:1")
		took("10.0.0.2:1")
		if d := took("[2001:db8::1]:1"); d != 0 {
			t.Errorf("a forgotten network waits %v", d)
		}
	})
}

func TestPrincipals(t *testing.T) {
	web := &auth.Principal{Name: "web", Role: auth.Client, Prefixes: []string{"web/", "x"}}
	dash := &auth.Principal{Name: "dash", Role: auth.Read, Prefixes: []string{"web/"}}
	ops := &auth.Principal{Name: "ops", Role: auth.Admin}
	for _, c := range []struct {
		p                   *auth.Principal
		name                string
		takes, sees, admins bool
	}{
		{web, "web/1", true, true, false}, {web, "xy", true, true, false}, {web, "web", false, false, false}, {web, "", false, false, false},
		{dash, "web/1", false, true, false}, {dash, "y", false, false, false},
		{ops, "y", true, true, true}, {&auth.Principal{}, "y", false, false, false}, {nil, "y", false, false, false},
	} {
		if c.p.Takes(c.name) != c.takes || c.p.Sees(c.name) != c.sees || c.p.Administers() != c.admins {
			t.Errorf("%+v, %q: %v %v %v", c.p, c.name, c.p.Takes(c.name), c.p.Sees(c.name), c.p.Administers())
		}
	}
	if !web.SeesSession("web") || web.SeesSession("ops") || !dash.SeesSession("ops") {
		t.Error("sessions")
	}
}

// A session's hash is the principal's own; nobody's is that of version 1.
func TestHashSecret(t *testing.T) {
	secret := []byte("0123456789abcdef")
	seen := map[[32]byte]string{}
	for _, name := range []string{"", "a", "b", "ab"} {
		h := (&auth.Principal{Name: name}).HashSecret(secret)
		if other, twice := seen[h]; twice {
			t.Errorf("%q and %q have one hash", name, other)
		}
		seen[h] = name
	}
}

func FuzzCredential(f *testing.F) {
	token, hash := auth.NewToken()
	for _, s := range []string{"", "secret", token, "Bearer " + token, "ldlm_", "Bearer ", "bearer\x00", "ldlm_\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, credential string) {
		g := auth.NewGate(auth.GateConfig{Passwords: auth.NewPasswords("secret")})
		g.SetAccounts([]auth.Account{account("web", auth.Client, hash)})
		p, err := try(t, g, credential)
		switch {
		case err != nil && p == nil:
		case err != nil || p == nil:
			t.Fatalf("%v, %v", p, err)
		case p.Principal().Name == "" && credential != "secret":
			t.Fatalf("%q is a password", credential)
		}
	})
}
