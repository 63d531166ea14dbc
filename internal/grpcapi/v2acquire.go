package grpcapi

import (
	"context"
	"errors"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// Acquire asks for one lock or several and waits as long as the request says.
func (v *v2) Acquire(ctx context.Context, r *ldlmv2.AcquireRequest) (*ldlmv2.AcquireResponse, error) {
	one, all := r.GetAcquire(), r.GetAcquireAll()
	switch {
	case one == nil && all == nil:
		return nil, absent("acquire")
	case one != nil && all != nil:
		return nil, invalid("acquire_all", 0, "it excludes acquire")
	case v.draining.Load():
		return nil, errDraining
	}
	c := &lock.Acquire{Caller: callerOf(ctx, r.GetCaller())}
	if err := v.keepInside(ctx, c); err != nil {
		return nil, err
	}
	key, again, err := nameOf(&c.Caller, r.GetCaller().GetSecret())
	if err != nil {
		return nil, err
	}
	if one != nil {
		sessionapi.ReadAcquire(c, one)
	} else {
		sessionapi.ReadAcquireAll(c, all)
	}
	c.Key = key
	o, err := v.acquire(ctx, c, again)
	if err != nil {
		return nil, err
	}
	if o.Code != lock.OK {
		v.noteLimit(ctx, auth.PassOf(ctx), connectionOf(ctx), &o)
		return nil, refusal(&o)
	}
	return grantOf(&o), nil
}

// keepInside refuses an acquire outside sessions of a principal whose holds are bounded.
func (v *v2) keepInside(ctx context.Context, c *lock.Acquire) error {
	p := auth.PassOf(ctx)
	if c.Session != 0 || v.bounded == nil || !v.bounded(p.Principal().Name) {
		return nil
	}
	o := lock.Outcome{Code: lock.Limit, Field: lock.FieldHoldsOutsideSessions}
	v.noteLimit(ctx, p, connectionOf(ctx), &o)
	s := sessionapi.NewStatus(ldlmv2.Code_CODE_LIMIT,
		"what this principal holds is bounded, and what is held outside sessions counts with nobody: open a session, and ask in it")
	s.Field = sessionapi.FieldName(o.Field)
	return errorOf(s)
}

func grantOf(o *lock.Outcome) *ldlmv2.AcquireResponse {
	r := &ldlmv2.AcquireResponse{
		Token: uint64(o.Token), Fence: uint64(o.Fence), Key: o.Key.String(), WaitedUs: int64(o.Waited),
	}
	for _, f := range o.Fences {
		r.Fences = append(r.Fences, uint64(f))
	}
	return r
}

// leftInPlaceError is why a call ended whose request stays where it is: its client
// will ask for it again, under the same request id.
type leftInPlaceError struct{}

func (leftInPlaceError) Error() string { return "the request keeps its place" }

// KeepsPlace tells the node not to cancel the request.
func (leftInPlaceError) KeepsPlace() bool { return true }

// errLeftInPlace is the answer then, if anybody hears it. It has the ending
// unknown, since the request may be granted meanwhile.
var errLeftInPlace = func() error {
	s := sessionapi.NewStatus(ldlmv2.Code_CODE_UNAVAILABLE,
		"draining: the server is shutting down; the request keeps its place, ask again with the same request id, here or elsewhere")
	s.Ending = ldlmv2.Ending_ENDING_UNKNOWN
	return errorOf(s)
}()

// acquire carries out a request that may wait. A call that its client cancels
// gives its place, or its grant, back. One that breaks off because the
// connection or the server ends keeps it, if the client can ask again.
func (v *v2) acquire(ctx context.Context, c *lock.Acquire, again bool) (lock.Outcome, error) {
	call, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() {
		if again && brokeOff(ctx) {
			cancel(leftInPlaceError{})
		}
		cancel(ctx.Err())
	})()
	defer context.AfterFunc(v.drained, func() { //nolint:contextcheck // this one is of the server
		if again {
			cancel(leftInPlaceError{})
		}
		cancel(errDraining)
	})()
	o, err := v.node.Call(call, c)
	switch {
	case err == nil:
		return o, nil
	case ctx.Err() == nil && errors.Is(context.Cause(call), leftInPlaceError{}):
		return o, errLeftInPlace
	default:
		return o, v.failed(ctx, err)
	}
}

// brokeOff reports whether a call ended because its connection did, and not
// by its client's will.
func brokeOff(ctx context.Context) bool {
	c := connectionOf(ctx)
	return c != nil && c.isEnded()
}

// undelivered gives a grant back whose answer could not be handed over, unless
// its client will ask for it.
func (v *v2) undelivered(ctx context.Context, request, reply any) {
	r, ok := request.(*ldlmv2.AcquireRequest)
	if !ok {
		return
	}
	caller := callerOf(ctx, r.GetCaller())
	if _, again, _ := nameOf(&caller, r.GetCaller().GetSecret()); again && brokeOff(ctx) {
		return
	}
	name := r.GetAcquire().GetName()
	if items := r.GetAcquireAll().GetItems(); len(items) > 0 {
		name = items[0].GetName()
	}
	key := sessionapi.ParseKey(reply.(*ldlmv2.AcquireResponse).GetKey())
	_, err := v.node.Call(context.WithoutCancel(ctx), &lock.Release{Hold: lock.Hold{Name: name, Key: key, All: true}})
	if err != nil {
		v.log.Warn("A grant to a cancelled call could not be given back; it ends with its session or lease",
			"lock", name, "err", err)
	}
}
