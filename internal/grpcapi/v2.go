package grpcapi

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// v2 is the service of the native protocol.
type v2 struct {
	ldlmv2.UnimplementedLDLMServer
	*Server
}

const (
	// minSecretBytes and maxSecretBytes bound a client's secret.
	minSecretBytes, maxSecretBytes = 16, 64
	// transportName is how this package's clients speak.
	transportName = "grpc"
)

// OpenSession opens a session that lives by calls.
func (v *v2) OpenSession(ctx context.Context, r *ldlmv2.OpenSessionRequest) (*ldlmv2.OpenSessionResponse, error) {
	if err := checkSecret(r.GetSecret()); err != nil {
		return nil, err
	}
	if v.draining.Load() {
		return nil, errDraining
	}
	info := sessionapi.ReadInfo(r.GetClient())
	p := auth.PassOf(ctx).Principal()
	info.Remote, info.Transport, info.Principal = remoteOf(ctx), transportName, p.Name
	o, err := v.call(ctx, &lock.Open{
		Secret: p.HashSecret(r.GetSecret()), TTL: lock.Duration(r.GetTtlUs()), Info: info, Value: r.GetValue(),
	})
	if err != nil {
		return nil, err
	}
	return &ldlmv2.OpenSessionResponse{
		Session: uint64(o.Session), TtlUs: int64(o.TTL), ValidForUs: validFor(o.TTL),
	}, nil
}

// KeepAlive renews a session that lives by calls.
func (v *v2) KeepAlive(ctx context.Context, r *ldlmv2.KeepAliveRequest) (*ldlmv2.KeepAliveResponse, error) {
	o, err := v.call(ctx, &lock.KeepAlive{Caller: callerOf(ctx, r.GetCaller())})
	if err != nil {
		return nil, err
	}
	return &ldlmv2.KeepAliveResponse{ValidForUs: validFor(o.TTL)}, nil
}

// validFor is how long a client may believe in a session of this ttl, in
// microseconds: the margin for clocks that go at different rates is on its side.
func validFor(ttl lock.Duration) int64 { return int64(ttl * 100 / 112) }

// CloseSession ends a session.
func (v *v2) CloseSession(ctx context.Context, r *ldlmv2.CloseSessionRequest) (*ldlmv2.CloseSessionResponse, error) {
	if _, err := v.call(ctx, &lock.Close{Caller: callerOf(ctx, r.GetCaller())}); err != nil {
		return nil, err
	}
	return &ldlmv2.CloseSessionResponse{}, nil
}

// Release gives a hold back.
func (v *v2) Release(ctx context.Context, r *ldlmv2.ReleaseRequest) (*ldlmv2.ReleaseResponse, error) {
	if r.GetRelease() == nil {
		return nil, absent("release")
	}
	c := &lock.Release{Caller: callerOf(ctx, r.GetCaller())}
	sessionapi.ReadRelease(c, r.GetRelease())
	if _, err := v.call(ctx, c); err != nil {
		return nil, err
	}
	return &ldlmv2.ReleaseResponse{}, nil
}

// Renew starts the lease of a hold anew.
func (v *v2) Renew(ctx context.Context, r *ldlmv2.RenewRequest) (*ldlmv2.RenewResponse, error) {
	if r.GetRenew() == nil {
		return nil, absent("renew")
	}
	c := &lock.Renew{Caller: callerOf(ctx, r.GetCaller())}
	sessionapi.ReadRenew(c, r.GetRenew())
	if _, err := v.call(ctx, c); err != nil {
		return nil, err
	}
	return &ldlmv2.RenewResponse{}, nil
}

// Downgrade turns an exclusive hold into a shared one.
func (v *v2) Downgrade(ctx context.Context, r *ldlmv2.DowngradeRequest) (*ldlmv2.DowngradeResponse, error) {
	if r.GetDowngrade() == nil {
		return nil, absent("downgrade")
	}
	c := &lock.Downgrade{Caller: callerOf(ctx, r.GetCaller())}
	sessionapi.ReadDowngrade(c, r.GetDowngrade())
	if _, err := v.call(ctx, c); err != nil {
		return nil, err
	}
	return &ldlmv2.DowngradeResponse{}, nil
}

// SetValue replaces the value of a hold, or of the session.
func (v *v2) SetValue(ctx context.Context, r *ldlmv2.SetValueRequest) (*ldlmv2.SetValueResponse, error) {
	if r.GetSetValue() == nil {
		return nil, absent("set_value")
	}
	c := &lock.SetValue{Caller: callerOf(ctx, r.GetCaller())}
	sessionapi.ReadSetValue(c, r.GetSetValue())
	if _, err := v.call(ctx, c); err != nil {
		return nil, err
	}
	return &ldlmv2.SetValueResponse{}, nil
}

// call carries out a command that does not wait. What is not its success is a
// status.
func (v *v2) call(ctx context.Context, c lock.Command) (*lock.Outcome, error) {
	o, err := v.node.Call(ctx, c)
	switch {
	case err != nil:
		return nil, v.failed(ctx, err)
	case o.Code != lock.OK:
		v.noteLimit(ctx, auth.PassOf(ctx), connectionOf(ctx), &o)
		return nil, refusal(&o)
	}
	return &o, nil
}

// callerOf says on whose behalf a call is made. The proof is one that the session is
// the caller's own.
func callerOf(ctx context.Context, c *ldlmv2.Caller) lock.Caller {
	caller := lock.Caller{
		Session: lock.SessionNumber(c.GetSession()), RequestID: c.GetRequestId(), Attempt: c.GetAttempt(),
	}
	if caller.Session != 0 {
		proof := lock.SecretHash(auth.PassOf(ctx).Principal().HashSecret(c.GetSecret()))
		caller.Proof = &proof
	}
	return caller
}

// nameOf makes sure that an acquire has a name by which it can be cancelled,
// and says whether the client can ask for it again.
//
// Outside sessions anybody may use any request id: there a caller is known by
// the key, so the key of a request that can be asked again is made of the
// caller's secret.
func nameOf(c *lock.Caller, secret []byte) (key lock.Key, again bool, err error) {
	switch {
	case c.RequestID == "":
		c.RequestID = rand.Text()
		return lock.Key{}, false, nil
	case c.Session != 0:
		return lock.Key{}, true, nil
	}
	if err := checkSecret(secret); err != nil {
		return lock.Key{}, false, err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(c.RequestID))
	copy(key[:], mac.Sum(nil))
	key[6] = key[6]&0x0f | 0x40 // in the form of a random UUID
	key[8] = key[8]&0x3f | 0x80
	return key, true, nil
}

// checkSecret refuses a secret that is none.
func checkSecret(secret []byte) error {
	if n := len(secret); n < minSecretBytes || n > maxSecretBytes {
		return invalid("secret", maxSecretBytes, fmt.Sprintf(
			"a secret has %d to %d random bytes; a session needs one, and a request id outside sessions", minSecretBytes, maxSecretBytes))
	}
	return nil
}

// remoteOf is where a call comes from.
func remoteOf(ctx context.Context) string { return connectionOf(ctx).remote() }

// invalid refuses a request for one of its fields.
func invalid(field string, limit int64, problem string) error {
	s := sessionapi.NewStatus(ldlmv2.Code_CODE_INVALID, "invalid "+field+": "+problem)
	s.Field, s.Limit = field, limit
	return errorOf(s)
}

// absent refuses a request that does not say what it is about.
func absent(field string) error { return invalid(field, 0, "it is missing") }
