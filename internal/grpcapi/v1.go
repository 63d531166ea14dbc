package grpcapi

import (
	"context"
	"log/slog"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/lockv1"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// v1 is the service of the first protocol.
type v1 struct {
	ldlmv1.UnimplementedLDLMServer
	*Server
}

// Lock waits for a lock.
func (v *v1) Lock(ctx context.Context, r *ldlmv1.LockRequest) (*ldlmv1.LockResponse, error) {
	return v.acquire(ctx, "Lock", &lockv1.Acquire{
		Name: r.GetName(), Size: r.Size,
		Wait: r.GetWaitTimeoutSeconds(), Lease: r.GetLockTimeoutSeconds(),
	})
}

// TryLock takes a lock if it is free.
func (v *v1) TryLock(ctx context.Context, r *ldlmv1.TryLockRequest) (*ldlmv1.LockResponse, error) {
	return v.acquire(ctx, "TryLock", &lockv1.Acquire{
		Name: r.GetName(), Size: r.Size, Lease: r.GetLockTimeoutSeconds(), Try: true,
	})
}

func (v *v1) acquire(ctx context.Context, method string, a *lockv1.Acquire) (*ldlmv1.LockResponse, error) {
	if v.debugging(ctx) {
		v.debug(ctx, method+" request", slog.String("lock", a.Name), slog.Int64("timeout", int64(a.Lease)))
	}
	r, err := v.acquired(ctx, a)
	if v.debugging(ctx) {
		v.debugLock(ctx, method+" response", r, err)
	}
	return r, err
}

func (v *v1) acquired(ctx context.Context, a *lockv1.Acquire) (*ldlmv1.LockResponse, error) {
	if e := a.Check(); e != nil {
		return &ldlmv1.LockResponse{Name: a.Name, Error: e}, nil
	}
	if v.draining.Load() {
		return nil, errDraining
	}
	x, err := v.session(ctx)
	if err != nil {
		return nil, v.failed(ctx, err)
	}
	c := a.Command()
	ask := x.wait
	if a.Try {
		ask = x.call
	}
	o, err := ask(ctx, &c.Caller, c)
	if err != nil {
		if v.onEnd == lock.OnEndDisown && x.conn.isEnded() {
			// A grant may have outlived the session before it could be cancelled.
			v.giveBack(ctx, a.Name, c.Key)
		}
		return nil, v.failed(ctx, err)
	}
	return answered(party.AcquireAnswer(a.Name, &o), &o)
}

// Unlock releases a hold by its key.
func (v *v1) Unlock(ctx context.Context, r *ldlmv1.UnlockRequest) (*ldlmv1.UnlockResponse, error) {
	if v.debugging(ctx) {
		v.debug(ctx, "Unlock request", slog.String("lock", r.GetName()), slog.String("key", lockv1.ShortKey(r.GetKey())))
	}
	a, err := v.unlocked(ctx, r)
	if v.debugging(ctx) {
		v.debug(ctx, "Unlock response", slog.String("lock", r.GetName()),
			slog.Bool("unlocked", a.GetUnlocked()), slog.String("error", errorText(a.GetError(), err)))
	}
	return a, err
}

func (v *v1) unlocked(ctx context.Context, r *ldlmv1.UnlockRequest) (*ldlmv1.UnlockResponse, error) {
	x, err := v.session(ctx)
	if err != nil {
		return nil, v.failed(ctx, err)
	}
	c := lockv1.Unlock(r.GetName(), r.GetKey())
	o, err := x.call(ctx, &c.Caller, c)
	if err != nil {
		return nil, v.failed(ctx, err)
	}
	return answered(party.UnlockAnswer(r.GetName(), &o), &o)
}

// Renew starts the timer of a hold anew.
func (v *v1) Renew(ctx context.Context, r *ldlmv1.RenewRequest) (*ldlmv1.LockResponse, error) {
	return v.renew(ctx, r.GetName(), r.GetKey(), r.GetLockTimeoutSeconds())
}

// RefreshLock is Renew.
func (v *v1) RefreshLock(ctx context.Context, r *ldlmv1.RefreshLockRequest) (*ldlmv1.LockResponse, error) {
	return v.renew(ctx, r.GetName(), r.GetKey(), r.GetLockTimeoutSeconds())
}

func (v *v1) renew(ctx context.Context, name, key string, seconds int32) (*ldlmv1.LockResponse, error) {
	if v.debugging(ctx) {
		v.debug(ctx, "Renew request", slog.String("lock", name), slog.String("key", lockv1.ShortKey(key)),
			slog.Int64("timeout", int64(seconds)))
	}
	r, err := v.renewed(ctx, name, key, seconds)
	if v.debugging(ctx) {
		v.debugLock(ctx, "Renew response", r, err)
	}
	return r, err
}

func (v *v1) renewed(ctx context.Context, name, key string, seconds int32) (*ldlmv1.LockResponse, error) {
	if e := lockv1.CheckRenew(seconds); e != nil {
		return &ldlmv1.LockResponse{Name: name, Error: e}, nil
	}
	x, err := v.session(ctx)
	if err != nil {
		return nil, v.failed(ctx, err)
	}
	c := lockv1.Renew(name, key, seconds)
	o, err := x.call(ctx, &c.Caller, c)
	if err != nil {
		return nil, v.failed(ctx, err)
	}
	return answered(party.RenewAnswer(name, key, &o), &o)
}

// session returns the session of the connection that the call came over.
func (v *v1) session(ctx context.Context) (*session, error) {
	c := connectionOf(ctx)
	if c == nil {
		return nil, errNoConnection
	}
	return v.sessionOf(ctx, c)
}

// undelivered gives a grant back whose answer could not be handed over.
func (v *v1) undelivered(ctx context.Context, request, reply any) {
	switch request.(type) {
	case *ldlmv1.LockRequest, *ldlmv1.TryLockRequest:
	default:
		return
	}
	r := reply.(*ldlmv1.LockResponse)
	if !r.GetLocked() {
		return
	}
	v.giveBack(ctx, r.GetName(), sessionapi.ParseKey(r.GetKey()))
}

// giveBack releases a hold of which nobody has the key. It does so outside
// sessions, because the hold may outlive the one of its connection.
func (v *v1) giveBack(ctx context.Context, name string, key lock.Key) {
	c := &lock.Release{Hold: lock.Hold{Name: name, Key: key}}
	if _, err := v.node.Call(context.WithoutCancel(ctx), c); err != nil {
		v.log.Warn("A grant to a cancelled call could not be given back; its connection is closed",
			"lock", name, "err", err)
		if conn := connectionOf(ctx); conn != nil {
			_ = conn.Close()
		}
	}
}

// debugging reports whether requests are logged. A line costs as much as its
// request, so what is in it is not even gathered otherwise.
func (v *v1) debugging(ctx context.Context) bool { return v.log.Enabled(ctx, slog.LevelDebug) }

func (v *v1) debug(ctx context.Context, msg string, attrs ...slog.Attr) {
	v.log.LogAttrs(ctx, slog.LevelDebug, msg, attrs...)
}

func (v *v1) debugLock(ctx context.Context, msg string, r *ldlmv1.LockResponse, err error) {
	v.debug(ctx, msg, slog.String("lock", r.GetName()), slog.String("key", lockv1.ShortKey(r.GetKey())),
		slog.Bool("locked", r.GetLocked()), slog.String("error", errorText(r.GetError(), err)))
}
