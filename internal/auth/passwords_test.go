package auth_test

import (
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm/internal/auth"
)

func TestNoPasswordIsRequired(t *testing.T) {
	for name, p := range map[string]auth.Passwords{
		"zero value":        {},
		"no passwords":      auth.NewPasswords(),
		"an unset option":   auth.NewPasswords(""),
		"two unset options": auth.NewPasswords("", ""),
	} {
		if p.Required() {
			t.Errorf("%s: a password is required", name)
		}
		if p.Match("") || p.Match("x") {
			t.Errorf("%s: a password matches the empty set", name)
		}
	}
}

func TestMatch(t *testing.T) {
	old, fresh := "correct horse", "battery staple"
	p := auth.NewPasswords(old, "", fresh)
	if !p.Required() {
		t.Fatal("no password is required")
	}
	for password, want := range map[string]bool{
		old:                          true,
		fresh:                        true,
		"":                           false,
		"correct hors":               false,
		"correct horse ":             false,
		"Correct horse":              false,
		old + fresh:                  false,
		old + "\x00":                 false,
		strings.Repeat(old, 100_000): false,
	} {
		if got := p.Match(password); got != want {
			t.Errorf("Match(%.20q) = %v, want %v", password, got, want)
		}
	}
}

// Whoever has a copy sees the passwords that are put in the place of others.
func TestReplace(t *testing.T) {
	p := auth.NewPasswords("old")
	shared := p
	for _, c := range []struct {
		passwords []string
		good, bad string
	}{
		{[]string{"old", "fresh"}, "old", ""},
		{[]string{"old", "fresh"}, "fresh", ""},
		{[]string{"", "fresh"}, "fresh", "old"},
		{[]string{"old"}, "old", "fresh"},
	} {
		p.Replace(c.passwords...)
		if !shared.Required() || !shared.Match(c.good) || shared.Match(c.bad) {
			t.Errorf("after %q: %q matches: %v, %q matches: %v", c.passwords, c.good, shared.Match(c.good), c.bad, shared.Match(c.bad))
		}
	}
	if p.Replace(); shared.Required() || shared.Match("old") {
		t.Error("no passwords are left, but one is asked for")
	}
}
