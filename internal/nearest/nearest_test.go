package nearest_test

import (
	"testing"

	"github.com/ldlm-io/ldlm/internal/nearest"
)

func TestOf(t *testing.T) {
	names := []string{"prefix", "sha256", "max_sessions", "max_locks"}
	for word, want := range map[string]string{
		"prefx": "prefix", "PREFIX": "prefix", "sha265": "sha256", "max_lock": "max_locks", "max_s": "max_sessions",
		"": "", "certificate": "", "max": "max_sessions", "pq": "", "p": "prefix",
	} {
		if got := nearest.Of(word, names); got != want {
			t.Errorf("Of(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestSlip(t *testing.T) {
	names := []string{"prefix", "sha256"}
	for word, want := range map[string]string{"prefx": "prefix", "Sha256": "sha256", "pre": "", "prefixes": "prefix", "": ""} {
		if got := nearest.Slip(word, names); got != want {
			t.Errorf("Slip(%q) = %q, want %q", word, got, want)
		}
	}
}
