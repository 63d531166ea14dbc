package sessionapi

import (
	"context"
	"errors"
	"log/slog"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// An Introducer is a [Carrier] that knows more of who is on the other side than hello
// tells.
type Introducer interface {
	// Introduce adds what it knows to what a visitor has shown. If whoever is there
	// was let in already, it returns the pass.
	Introduce(v *auth.Visitor) *auth.Pass
}

// A Placer is a [Carrier] whose connection carries more than one conversation, and is
// counted once.
type Placer interface {
	// Enter counts the connection in for the owner of a pass, as auth.Gate.Enter
	// does, if it was not, until it is over.
	Enter(p *auth.Pass) error
}

// enter counts the connection in. A status is why there is no room for it.
func (c *conversation) enter() *ldlmv2.Status {
	if p, ok := c.carrier.(Placer); ok {
		if err := p.Enter(c.pass); err != nil {
			return c.noPlace(err)
		}
		return nil
	}
	leave, err := c.server.config.Gate.Enter(c.pass, c.via(), c.carrier.Remote)
	if err != nil {
		return c.noPlace(err)
	}
	c.leavePlace = leave
	return nil
}

// noPlace is why there is no room for the connection.
func (c *conversation) noPlace(err error) *ldlmv2.Status {
	if crowded := (*auth.CrowdedError)(nil); errors.As(err, &crowded) {
		c.oweRest(crowded.Rest)
	}
	return StatusOfRefusal(err)
}

// admit asks who the client is. A status is why it is sent away.
func (c *conversation) admit(ctx context.Context, credential string) *ldlmv2.Status {
	gate := c.server.config.Gate
	v := &auth.Visitor{Credential: credential, Shown: credential != "", Via: c.via(), Remote: c.carrier.Remote()}
	if i, ok := c.carrier.(Introducer); ok {
		c.pass = i.Introduce(v)
	}
	if c.pass == nil {
		var err error
		if c.pass, err = gate.Admit(ctx, v); err != nil {
			return StatusOfRefusal(err)
		}
	}
	if p := c.pass.Principal(); !p.MayTake() {
		return StatusOfRefusal(gate.Deny(&auth.Deed{Pass: c.pass, Via: v.Via, Remote: v.Remote, What: "have a session"}))
	}
	return nil
}

// via is how the client came, in the words of the audit log.
func (c *conversation) via() string {
	if via := c.carrier.Transport(); via != (plain{}).Transport() {
		return via
	}
	return "native"
}

// StatusOfRefusal says why a gate has refused somebody.
func StatusOfRefusal(err error) *ldlmv2.Status {
	if denied := (*auth.DeniedError)(nil); errors.As(err, &denied) {
		return NewStatus(ldlmv2.Code_CODE_DENIED, denied.Error())
	}
	if crowded := (*auth.CrowdedError)(nil); errors.As(err, &crowded) {
		s := NewStatus(ldlmv2.Code_CODE_LIMIT, crowded.Error())
		s.Field, s.Limit = crowded.Field, int64(crowded.Limit)
		return s
	}
	if refused := (*auth.RefusedError)(nil); errors.As(err, &refused) && refused.Reason == auth.TooMany {
		return NewStatus(ldlmv2.Code_CODE_UNAVAILABLE,
			"too many wrong passwords have come from this address, and this one was not looked at; try again in some seconds")
	}
	s := NewStatus(ldlmv2.Code_CODE_UNAUTHENTICATED, "the password or token is missing or wrong; say it as credential in hello")
	s.Field = "credential"
	return s
}

// statusRevoked ends the connection of a client whose token is good no more.
func statusRevoked() *ldlmv2.Status {
	return NewStatus(ldlmv2.Code_CODE_UNAUTHENTICATED,
		"the token or certificate that has let this client in is good no more; the session goes on until its ttl is over")
}

// watchPass ends the connection when the pass is good no more. Its session is
// detached: nobody can resume it, and it ends with its ttl.
func (c *conversation) watchPass() {
	c.leavePass = c.pass.OnRevoke(func() {
		c.note(slog.LevelWarn, "The client's token or certificate is good no more; its connection is closed")
		c.cut(statusRevoked(), false)
	})
}

// denial is what an operation asks for and the client may not do; nil if it may.
// What names no lock is about the client's own session.
func (c *conversation) denial(op *ldlmv2.Op) *auth.Deed {
	p := c.pass.Principal()
	if p.MayTake() && !p.Bounded() {
		return nil
	}
	for _, name := range [...]string{
		op.Acquire.GetName(), op.Release.GetName(), op.Renew.GetName(), op.Downgrade.GetName(), op.SetValue.GetName(),
	} {
		if name != "" && !p.Takes(name) {
			return c.use(name)
		}
	}
	for _, item := range op.AcquireAll.GetItems() {
		if !p.Takes(item.GetName()) {
			return c.use(item.GetName())
		}
	}
	if !p.MayTake() && op.Cancel == nil {
		return c.use("")
	}
	return nil
}

// use is the deed of using the lock of a name.
func (c *conversation) use(name string) *auth.Deed {
	return &auth.Deed{Pass: c.pass, Via: c.via(), Remote: c.carrier.Remote(), Lock: name, What: auth.UseLock(name)}
}

// deny counts and writes down that the client wanted to do something, and says what it
// is told.
func (c *conversation) deny(d *auth.Deed) *ldlmv2.Status {
	s := StatusOfRefusal(c.server.config.Gate.Deny(d))
	s.Field = "name"
	return s
}

// noteLimit has it counted if an outcome is that a limit was reached. Who reaches them
// without end is not heard for a while.
func (c *conversation) noteLimit(o *lock.Outcome) {
	if o.Code == lock.Limit {
		c.oweRest(c.server.config.Gate.Exceed(&auth.Excess{
			Pass: c.pass, Via: c.via(), Remote: c.carrier.Remote, Field: FieldName(o.Field), Limit: o.Limit,
		}))
	}
}

// oweRest has nothing read for a while, and, where there is no session, nothing answered.
func (c *conversation) oweRest(rest time.Duration) {
	if rest > 0 {
		until := time.Now().Add(rest)
		c.unreadUntil.Store(&until)
	}
}

// owedRest returns what is left of a rest, and forgets it.
func (c *conversation) owedRest() time.Duration {
	if c.unreadUntil.Load() == nil { // as nearly always
		return 0
	}
	if until := c.unreadUntil.Swap(nil); until != nil {
		return max(0, time.Until(*until))
	}
	return 0
}
