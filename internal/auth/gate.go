package auth

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/ldlm-io/ldlm/internal/audit"
)

// GateConfig is what a gate is made of. The zero value lets everybody in, to do
// everything.
type GateConfig struct {
	// Passwords are asked for if there are any.
	Passwords Passwords
	// Logger and Audit are told who is refused. Default: nobody is.
	Logger *slog.Logger
	Audit  *audit.Log
	// Slowness is how guessing is slowed down.
	Slowness Slowness
	// Tempo is how often clients may reach limits.
	Tempo Tempo
	// Connections bounds those of all clients, ConnectionsEach those of one principal
	// that has no limit of its own; see [Gate.Enter]. 0 is no limit.
	Connections, ConnectionsEach int
}

// A Gate decides who comes in. Make one with [NewGate]. All methods are safe for
// concurrent use.
//
// As long as it has no accounts, whoever shows a password may do everything, and so
// may everybody if there is none. Once it has, a password is a client's, for all
// names: who has introduced roles does not want all who know the password to be
// administrators.
type Gate struct {
	passwords Passwords
	log       *slog.Logger
	audit     *audit.Log
	throttle  *throttle
	// anyone is the pass of those who are asked for nothing, byPassword that of
	// those who have shown a password.
	anyone, byPassword *Pass

	register atomic.Pointer[register]
	refusals [countedReasons]atomic.Uint64
	// told and limitsTold bound the lines of the log about refusals, and about limits.
	told, limitsTold audit.Bound
	limits           limitsReached
	// haste knows who reaches them too often.
	haste *haste
	// connections and connectionsEach are limits of places.
	connections, connectionsEach int
	places                       places

	// mu is held while the accounts are replaced.
	mu sync.Mutex
}

// NewGate makes a gate.
func NewGate(c GateConfig) *Gate {
	g := &Gate{
		passwords: c.Passwords, log: c.Logger, audit: c.Audit, throttle: newThrottle(c.Slowness), haste: newHaste(c.Tempo),
		connections: c.Connections, connectionsEach: c.ConnectionsEach,
		anyone: newLastingPass(&Principal{Role: Admin}), byPassword: newLastingPass(&Principal{Role: Admin}),
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	return g
}

// Asks reports whether anybody is asked who it is.
func (g *Gate) Asks() bool { return g.register.Load() != nil || g.passwords.Required() }

// HasAccounts reports whether principals are told apart.
func (g *Gate) HasAccounts() bool { return g.register.Load() != nil }

// Admit lets a visitor in, or refuses it with a [*RefusedError]. It may take some
// seconds where others were refused before at the same address; not for who shows a
// good token or certificate, which nobody can guess.
func (g *Gate) Admit(ctx context.Context, v *Visitor) (*Pass, error) {
	accounts := g.register.Load()
	if accounts == nil && !g.passwords.Required() {
		return g.anyone, nil
	}
	if p := accounts.find(v); p != nil {
		return p, nil
	}
	known := v.Shown && v.Memory.knows(v.Credential)
	if !known && !g.throttle.await(ctx, v.address()) {
		defer g.throttle.turnAway(ctx)
		return nil, g.refuse(v, TooMany)
	}
	switch {
	case !v.Shown:
		g.throttle.refused(v.address())
		return nil, g.refuse(v, Missing)
	case !g.passwords.Match(v.Credential):
		g.throttle.refused(v.address())
		return nil, g.refuse(v, Wrong)
	}
	v.Memory.learn(v.Credential)
	return g.byPassword, nil
}

// SetAccounts replaces the accounts. From then on only those are let in, and by
// passwords. The passes of accounts that are still there show the principals as they
// are now; those of others, and of tokens and certificates that an account has no
// more, are revoked. How many passes were is returned. The accounts are the gate's from
// then on.
func (g *Gate) SetAccounts(accounts []Account) (revoked int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.register.Load()
	fresh, gone := newRegister(accounts, old)
	g.byPassword.principal.Store(&Principal{Role: Client})
	g.register.Store(fresh)
	for _, p := range gone {
		p.revoke()
	}
	return len(gone)
}

// Limits returns the limits of the principal of a name; none if there is no such one.
func (g *Gate) Limits(name string) Limits {
	r := g.register.Load()
	if r == nil {
		return Limits{}
	}
	return r.limits[name]
}

// An Account is what lets a principal in: any of its tokens, any of its certificates.
type Account struct {
	Principal Principal
	Tokens    []TokenHash
	// Certificates are names as [CertificateNames] has them.
	Certificates []string
}

// A register finds passes. It is never changed; nil is empty.
type register struct {
	tokens       map[TokenHash]*Pass
	certificates map[string]*Pass
	limits       map[string]Limits // by name
}

// newRegister makes a register that has the passes of an older one, as far as their
// accounts are still there, and returns those that are not.
func newRegister(accounts []Account, old *register) (r *register, gone []*Pass) {
	r = &register{map[TokenHash]*Pass{}, map[string]*Pass{}, map[string]Limits{}}
	if old == nil {
		old = &register{}
	}
	for i := range accounts {
		a := &accounts[i]
		r.limits[a.Principal.Name] = a.Principal.Limits
		for _, t := range a.Tokens {
			r.tokens[t] = renewed(old.tokens[t], &a.Principal)
		}
		for _, c := range a.Certificates {
			r.certificates[c] = renewed(old.certificates[c], &a.Principal)
		}
	}
	for t, p := range old.tokens {
		if r.tokens[t] != p {
			gone = append(gone, p)
		}
	}
	for c, p := range old.certificates {
		if r.certificates[c] != p {
			gone = append(gone, p)
		}
	}
	return r, gone
}

// renewed is the pass of a principal: the one that it has already, or a new one.
func renewed(old *Pass, p *Principal) *Pass {
	if old == nil || old.Principal().Name != p.Name {
		return newPass(p)
	}
	old.principal.Store(p)
	return old
}

// find returns the pass of a visitor: by its token, or else, if it has shown no
// credential, by its certificate. Nil if it has none.
func (r *register) find(v *Visitor) *Pass {
	if r == nil {
		return nil
	}
	if v.Shown {
		// How long the look takes tells of the hash alone, and no way leads from
		// there to the token.
		if hash, is := hashOf(v.Credential); is {
			return r.tokens[hash]
		}
		return nil
	}
	for _, name := range CertificateNames(v.Certificate) {
		if p := r.certificates[name]; p != nil {
			return p
		}
	}
	return nil
}
