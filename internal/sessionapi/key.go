package sessionapi

import (
	"encoding/hex"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// foreignKey is the key of nothing: not zero, which would be no key at all, and
// no UUID that a node draws.
var foreignKey = lock.Key{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ParseKey reads a key as people see it: a UUID of 36 characters in lower case.
// The empty string is no key. Every other text is the key of nothing: the table
// is asked all the same, so that the request has its outcome there.
func ParseKey(s string) lock.Key {
	if s == "" {
		return lock.Key{}
	}
	const length = 36
	if len(s) != length || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return foreignKey
	}
	var digits [32]byte
	n := 0
	for i := range length {
		switch c := s[i]; {
		case i == 8, i == 13, i == 18, i == 23:
		case 'A' <= c && c <= 'F':
			return foreignKey
		default:
			digits[n] = c
			n++
		}
	}
	var k lock.Key
	if _, err := hex.Decode(k[:], digits[:]); err != nil {
		return foreignKey
	}
	return k
}
