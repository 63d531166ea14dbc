package grpcapi

import (
	"strings"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// visible is what the caller of a call may look at, as it is now.
type visible struct{ pass *auth.Pass }

// hides reports whether the caller may not look at the lock of a name.
func (v visible) hides(name string) bool { return !v.pass.Principal().Sees(name) }

func (v visible) hidesLock(l lock.LockView) bool { return v.hides(l.Name) }

func (v visible) hidesSession(s lock.SessionView) bool {
	return !v.pass.Principal().SeesSession(principalOf(s.Info))
}

// hidesEvent: those of sessions are seen by who sees the session, those of the server,
// as of who leads, by everybody.
func (v visible) hidesEvent(e *lock.Event) bool {
	switch {
	case e.Name != "":
		return v.hides(e.Name)
	case e.Session != 0:
		return !v.pass.Principal().SeesSession(principalOf(e.Info))
	default:
		return false
	}
}

func principalOf(i *lock.Info) string {
	if i == nil {
		return ""
	}
	return i.Principal
}

// narrowed is a prefix of names that are looked for, longer if the caller may look at
// those of one longer prefix alone: then a large table is not gone through for nothing.
func (v visible) narrowed(prefix string) string {
	if own := v.pass.Principal().Prefixes; len(own) == 1 && strings.HasPrefix(own[0], prefix) {
		return own[0]
	}
	return prefix
}
