package auth

import (
	"context"
	"sync/atomic"
)

// A Pass is what somebody has who was let in. A nil pass is nobody's and allows
// nothing. All methods are safe for concurrent use.
type Pass struct {
	principal atomic.Pointer[Principal]
	// revoked ends when the pass is good no more; it never does where nothing can
	// be revoked.
	revoked context.Context
	revoke  context.CancelFunc
}

func newPass(p *Principal) *Pass {
	x := &Pass{}
	x.principal.Store(p)
	x.revoked, x.revoke = context.WithCancel(context.Background())
	return x
}

// Principal returns whose the pass is, as it is now.
func (p *Pass) Principal() *Principal {
	if p == nil {
		return &Principal{}
	}
	return p.principal.Load()
}

// Revoked ends when the pass is good no more: what its owner still does is to end.
func (p *Pass) Revoked() context.Context {
	if p == nil {
		return context.Background()
	}
	return p.revoked
}

// OnRevoke has f called, in a goroutine of its own, when the pass is good no more;
// at once if it is not. Whoever has left calls leave, after which f may still run if
// it had begun.
func (p *Pass) OnRevoke(f func()) (leave func() bool) { return context.AfterFunc(p.Revoked(), f) }

// passKey is the key of a pass in a context.
type passKey struct{}

// With returns a context that has a pass.
func With(ctx context.Context, p *Pass) context.Context { return context.WithValue(ctx, passKey{}, p) }

// PassOf returns the pass that a context has; nil, which allows nothing, if it has
// none.
func PassOf(ctx context.Context) *Pass {
	p, _ := ctx.Value(passKey{}).(*Pass)
	return p
}
