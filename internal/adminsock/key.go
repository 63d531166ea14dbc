package adminsock

import (
	"encoding/hex"
	"strings"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// parseKey reads a key as lists show it, a UUID of 36 characters. Any other way
// to write the same number is no key.
func parseKey(s string) (lock.Key, bool) {
	var k lock.Key
	if b, err := hex.DecodeString(strings.ReplaceAll(s, "-", "")); err == nil && len(b) == len(k) {
		copy(k[:], b)
	}
	if k.String() != s {
		return lock.Key{}, false
	}
	return k, true
}

// shortKey is what a log line says of a key: its first 8 characters.
func shortKey(key *string) string {
	if key == nil {
		return ""
	}
	return (*key)[:min(len(*key), 8)]
}
