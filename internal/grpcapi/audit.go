package grpcapi

import (
	"context"

	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// actorOf is who makes a call, as far as that is known.
func actorOf(ctx context.Context) audit.Actor {
	a := audit.Actor{Via: transportName}
	c := connectionOf(ctx)
	if c == nil {
		return a
	}
	a.Remote = c.remote()
	if a.Name = auth.PassOf(ctx).Principal().Name; a.Name != "" {
		return a
	}
	if cert := c.certificate(); cert != nil {
		a.Name = "certificate:" + cert.Subject.CommonName
	}
	return a
}

// The functions that follow look at how things are before something is done
// about them. Between the look and the deed they may change; the deed is in the
// log of events as it was. Nobody looks if nobody writes it down.

// holdBefore is the hold of a token; nil if it cannot be found.
func (v *v2) holdBefore(ctx context.Context, name string, token uint64) any {
	if !v.audit.On() {
		return nil
	}
	view, found, err := v.node.Lookup(ctx, name)
	if err != nil || !found {
		return nil
	}
	for i := range view.Holders {
		if uint64(view.Holders[i].Token) == token {
			return audit.HoldOf(&view.Holders[i])
		}
	}
	return nil
}

// sessionBefore is a session; nil if it cannot be found.
func (v *v2) sessionBefore(ctx context.Context, number uint64) any {
	if !v.audit.On() {
		return nil
	}
	view, found, err := v.node.LookupSession(ctx, lock.SessionNumber(number))
	if err != nil || !found {
		return nil
	}
	return audit.ClientOf(&view)
}

// sizeBefore is the size of a lock; nil if it cannot be found.
func (v *v2) sizeBefore(ctx context.Context, name string) any {
	if !v.audit.On() {
		return nil
	}
	view, found, err := v.node.Lookup(ctx, name)
	if err != nil || !found {
		return nil
	}
	return audit.Size{Size: view.Size}
}

// note writes down what was done, or that it was tried in vain, and reports whether it
// did.
func (v *v2) note(ctx context.Context, e audit.Entry, err error) bool {
	if !v.audit.On() {
		return false
	}
	e.Actor = actorOf(ctx)
	if err != nil {
		e.Error, e.After = err.Error(), nil
	}
	return v.audit.Add(e)
}
