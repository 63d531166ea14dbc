package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
)

// A Role says what a principal may do. The zero value may do nothing.
type Role uint8

// Roles.
const (
	// Client takes, keeps and gives back locks, and looks at them and at its own
	// sessions.
	Client Role = iota + 1
	// Read looks at locks, sessions and events, and changes nothing.
	Read
	// Admin may do everything.
	Admin
)

// Roles are the words for roles, in the order of the constants.
func Roles() []string { return []string{"client", "read", "admin"} }

// RoleOf returns the role of a word; false if it is none.
func RoleOf(word string) (Role, bool) {
	for i, w := range Roles() {
		if w == word {
			return Role(i + 1), true
		}
	}
	return 0, false
}

// String returns the word for a role.
func (r Role) String() string {
	if r == 0 || int(r) > len(Roles()) {
		return "none"
	}
	return Roles()[r-1]
}

// A Principal is somebody who is known. It is never changed. The zero value may do
// nothing, and so may nil.
type Principal struct {
	// Name is unique. It is "" for those who are not known by a name.
	Name string
	Role Role
	// Prefixes are those of names of locks, of which a name must have one. None
	// allows every name.
	Prefixes []string
	Limits   Limits
}

// Limits bound what one principal takes of a server. 0 is no limit of its own.
type Limits struct {
	// Sessions that live, Locks that are held, Waiters that wait, and Connections
	// that are open at one time.
	Sessions, Locks, Waiters, Connections int
	// Bytes of names of locks, notes, values and descriptions that are kept for it.
	Bytes int64
}

// Takes reports whether a principal may take, keep and give back the lock of a name.
func (p *Principal) Takes(name string) bool {
	return p.MayTake() && p.within(name)
}

// MayTake reports whether a principal may take locks at all, and have sessions.
func (p *Principal) MayTake() bool { return p != nil && (p.Role == Client || p.Role == Admin) }

// Sees reports whether a principal may look at the lock of a name; of a prefix of
// names, whether at all locks that have it.
func (p *Principal) Sees(name string) bool { return p.MayLook() && p.within(name) }

// MayLook reports whether a principal may look at anything.
func (p *Principal) MayLook() bool { return p != nil && p.Role != 0 }

// SeesSession reports whether a principal may look at a session of the principal of
// that name.
func (p *Principal) SeesSession(name string) bool {
	return p.SeesSessions() || p.MayLook() && p.Name == name
}

// SeesSessions reports whether a principal may look at everybody's sessions.
func (p *Principal) SeesSessions() bool { return p != nil && (p.Role == Read || p.Role == Admin) }

// Administers reports whether a principal may do things against others' will, and to
// the server.
func (p *Principal) Administers() bool { return p != nil && p.Role == Admin }

// Bounded reports whether there are names of locks that the principal may not use.
func (p *Principal) Bounded() bool { return p == nil || len(p.Prefixes) > 0 }

// within reports whether a name has an allowed prefix.
func (p *Principal) within(name string) bool {
	if len(p.Prefixes) == 0 {
		return true
	}
	for _, prefix := range p.Prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// HashSecret is the hash by which the lock table knows a session of the principal.
// The name goes into it: who knows another principal's session, its number and its
// secret, does not have it. For those without a name it is the SHA-256 of the secret.
func (p *Principal) HashSecret(secret []byte) [sha256.Size]byte {
	if p.Name == "" {
		return sha256.Sum256(secret)
	}
	// A message authentication code, and no hash of both together, which somebody
	// without a name could have as that of a longer secret.
	mac := hmac.New(sha256.New, []byte(p.Name))
	mac.Write(secret)
	return [sha256.Size]byte(mac.Sum(nil))
}
