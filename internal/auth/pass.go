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

// newPass makes a pass that can be revoked.
func newPass(p *Principal) *Pass {
	x := newLastingPass(p)
	x.revoked, x.revoke = context.WithCancel(context.Background())
	return x
}

// newLastingPass makes a pass that is never revoked.
func newLastingPass(p *Principal) *Pass {
	x := &Pass{revoked: context.Background(), revoke: func() {}}
	x.principal.Store(p)
	return x
}

// Principal returns whose the pass is, as it is now.
func (p *Pass) Principal() *Principal {
	if p == nil {
		return &Principal{}
	}
	return p.principal.Load()
}

// Revocable reports whether the pass can be revoked at all.
func (p *Pass) Revocable() bool { return p != nil && p.revoked.Done() != nil }

// IsRevoked reports whether the pass is good no more.
func (p *Pass) IsRevoked() bool { return p != nil && p.revoked.Err() != nil }

// OnRevoke has f called, in a goroutine of its own, when the pass is good no more;
// at once if it is not now. Whoever has left calls leave, once: it returns when f
// will not be called any more, and is not running.
func (p *Pass) OnRevoke(f func()) (leave func()) {
	if !p.Revocable() {
		return func() {}
	}
	done := make(chan struct{})
	stay := context.AfterFunc(p.revoked, func() {
		defer close(done)
		f()
	})
	return func() {
		if !stay() {
			<-done
		}
	}
}

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
