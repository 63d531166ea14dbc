// Package auth decides who may come in.
//
// It knows passwords. It does not know where a password was found (metadata,
// a frame, a header) nor how a refusal is worded on that way: whoever speaks to
// clients does.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Passwords is a set of passwords, each of which is good. Several are for
// rotation: the new one is added, clients change over, the old one is taken out.
//
// The set never changes, so all methods are safe for concurrent use. The zero
// value is the empty set: no password is asked for.
type Passwords struct {
	// Hashes have one length, so that comparing tells nothing of a password's length.
	hashes [][sha256.Size]byte
}

// NewPasswords returns a set. Empty strings are left out: an option that was
// not set is no password.
func NewPasswords(passwords ...string) Passwords {
	var p Passwords
	for _, s := range passwords {
		if s != "" {
			p.hashes = append(p.hashes, sha256.Sum256([]byte(s)))
		}
	}
	return p
}

// Required reports whether a password is asked for at all.
func (p Passwords) Required() bool { return len(p.hashes) > 0 }

// Match reports whether a password is in the set. Its time does not depend on
// which one is, nor on how much of it was right; nothing is in the empty set.
func (p Passwords) Match(password string) bool {
	got := sha256.Sum256([]byte(password))
	found := 0
	for i := range p.hashes {
		found |= subtle.ConstantTimeCompare(got[:], p.hashes[i][:])
	}
	return found == 1
}
