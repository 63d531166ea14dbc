package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"sync/atomic"
)

// Passwords is a set of passwords, each of which is good. Several are for
// rotation: the new one is added, clients change over, the old one is taken out.
//
// Copies are the same set: [Passwords.Replace] changes it for all who have one.
// All methods are safe for concurrent use. The zero value is the empty set, in
// which no password is asked for, and stays so.
type Passwords struct {
	// Hashes have one length, so that comparing tells nothing of a password's
	// length. A slice never changes once it is here.
	hashes *atomic.Pointer[[][sha256.Size]byte]
}

// NewPasswords returns a set. Empty strings are left out: an option that was
// not set is no password.
func NewPasswords(passwords ...string) Passwords {
	p := Passwords{new(atomic.Pointer[[][sha256.Size]byte])}
	p.Replace(passwords...)
	return p
}

// Replace puts other passwords in the place of all that are in the set, which
// must come from [NewPasswords]. Who has come in stays in.
func (p Passwords) Replace(passwords ...string) {
	hashes := make([][sha256.Size]byte, 0, len(passwords))
	for _, s := range passwords {
		if s != "" {
			hashes = append(hashes, sha256.Sum256([]byte(s)))
		}
	}
	p.hashes.Store(&hashes)
}

func (p Passwords) present() [][sha256.Size]byte {
	if p.hashes == nil {
		return nil
	}
	return *p.hashes.Load()
}

// Required reports whether a password is asked for at all.
func (p Passwords) Required() bool { return len(p.present()) > 0 }

// Match reports whether a password is in the set. Its time does not depend on
// which one is, nor on how much of it was right; nothing is in the empty set.
func (p Passwords) Match(password string) bool {
	got := sha256.Sum256([]byte(password))
	hashes := p.present()
	found := 0
	for i := range hashes {
		found |= subtle.ConstantTimeCompare(got[:], hashes[i][:])
	}
	return found == 1
}
