package auth

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ldlm-io/ldlm/internal/audit"
)

// A Reason says why somebody is refused.
type Reason uint8

// Reasons.
const (
	// Missing: nothing was shown, and something is asked for.
	Missing Reason = iota
	// Wrong: what was shown is neither a good token nor a good password.
	Wrong
	// TooMany: too much was refused at the same address; what was shown was not
	// looked at.
	TooMany
	// Denied: who it is, is known, and it may not do that.
	Denied
	// Handshake: under TLS, its certificate is not a good one, or missing, or it
	// speaks no version or cipher that the server takes.
	Handshake

	countedReasons = iota
)

// String returns the reason in the words of the audit log.
func (r Reason) String() string {
	switch r {
	case Missing:
		return "no password"
	case Wrong:
		return "wrong password"
	case TooMany:
		return "too many attempts"
	case Handshake:
		return "TLS handshake refused"
	default:
		return "not permitted"
	}
}

// RefusedError says that somebody was not let in.
type RefusedError struct{ Reason Reason }

func (e *RefusedError) Error() string { return e.Reason.String() }

// Counts are how often somebody was refused since the gate was made.
type Counts struct{ Missing, Wrong, TooMany, Denied, Handshake uint64 }

// Counts returns how often somebody was refused.
func (g *Gate) Counts() Counts {
	return Counts{
		Missing: g.refusals[Missing].Load(), Wrong: g.refusals[Wrong].Load(),
		TooMany: g.refusals[TooMany].Load(), Denied: g.refusals[Denied].Load(),
		Handshake: g.refusals[Handshake].Load(),
	}
}

// refuse counts a refusal and writes it down.
func (g *Gate) refuse(v *Visitor, why Reason) error {
	g.refusals[why].Add(1)
	g.audit.Refuse(audit.Actor{Name: certificateOf(v), Via: v.Via, Remote: v.Remote}, why.String())
	if why == Missing {
		return &RefusedError{why} // which is no attack
	}
	if suppressed, ok := g.told.Admit(""); ok {
		msg := "Invalid password from client"
		if why == TooMany {
			msg = "Too many wrong passwords from an address; its client was sent away"
		}
		g.log.Warn(msg, withSuppressed(suppressed, "client_addr", v.Remote, "transport", v.Via)...)
	}
	return &RefusedError{why}
}

// certificateOf is what is known of a visitor that is not let in.
func certificateOf(v *Visitor) string {
	if v.Certificate == nil {
		return ""
	}
	return "certificate:" + v.Certificate.Subject.CommonName
}

// A Deed is something that not everybody may do who was let in.
type Deed struct {
	// Who wants to do it: whose pass, and how and from where it came.
	Pass        *Pass
	Via, Remote string
	// Lock is the name of the lock that it is about, if it is about one.
	Lock string
	// What it is, in words that complete "may not".
	What string
}

// DeniedError says that a principal may not do what it wants.
type DeniedError struct{ text string }

func (e *DeniedError) Error() string { return e.text }

// Deny counts that somebody wants to do what it may not, writes it down, and returns
// what it is to be told.
func (g *Gate) Deny(d *Deed) *DeniedError {
	g.refusals[Denied].Add(1)
	p := d.Pass.Principal()
	e := &DeniedError{d.text(p)}
	g.audit.Deny(audit.Actor{Name: p.Name, Via: d.Via, Remote: d.Remote}, d.Lock, e.text)
	if suppressed, ok := g.told.Admit(""); ok {
		g.log.Warn("A client wanted what it may not do", withSuppressed(suppressed,
			"principal", p.Name, "role", p.Role.String(), "what", d.What, "client_addr", d.Remote, "transport", d.Via)...)
	}
	return e
}

// text is what the principal is told.
func (d *Deed) text(p *Principal) string {
	who := "whoever came by password"
	if p.Name != "" {
		who = strconv.Quote(p.Name)
	}
	text := fmt.Sprintf("%s, role %s, may not %s", who, p.Role, d.What)
	if d.Lock != "" && p.Bounded() && !p.within(d.Lock) {
		text += ": its names begin with " + quotedList(p.Prefixes)
	}
	return text
}

// maxListed is how many prefixes a refusal tells.
const maxListed = 5

func quotedList(words []string) string {
	var all []string
	for i, w := range words {
		if i == maxListed {
			all = append(all, fmt.Sprintf("%d more", len(words)-i))
			break
		}
		all = append(all, strconv.Quote(w))
	}
	return strings.Join(all, ", ")
}

func withSuppressed(n int, attrs ...any) []any {
	if n > 0 {
		attrs = append(attrs, "not_logged_before", n)
	}
	return attrs
}

// UseLock is the deed of using the lock of a name, in words.
func UseLock(name string) string {
	const longest = 80
	return fmt.Sprintf("use the lock %.*q", longest, name)
}
