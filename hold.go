package ldlm

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// releasePatience bounds how long a release waits for the server. It has this
// much time whatever its caller's context says: a lock that stays held because
// the work was cancelled helps nobody.
const releasePatience = 5 * time.Second

// Release gives the hold back, and waits until the server has confirmed it. It
// works although ctx has ended: it has 5 seconds of its own. If they are not
// enough the error is an [ErrUnknownOutcome], and the client goes on trying for
// as long as its session lives.
//
// Of several locks that were granted together it releases all. For the program
// the hold ends at once, before the server knows; contexts that it gave out end
// with [ErrReleased]. Releasing again does nothing and returns nil. Of a lock
// that was lost the error is the [*LostError].
func (l *Lock) Release(ctx context.Context) error {
	s := l.session
	if s == nil {
		return nil
	}
	ca := s.newCall()
	s.askRelease(ca, l)
	s.mu.Lock()
	if l.state != held && l.state != revoked {
		err := l.err
		s.mu.Unlock()
		s.freeCall(ca)
		if errors.Is(err, ErrReleased) {
			return nil
		}
		return err
	}
	s.drop(l)
	l.endLocked(released, ErrReleased)
	err := s.enter(ca)
	var d duty
	if err == nil {
		d = s.takeDuty()
	}
	open := len(l.cancels) > 0
	s.mu.Unlock()

	if open {
		l.cancelContexts(ErrReleased)
	}
	d.do(ca)
	if err == nil {
		err = s.awaitRelease(ca, l)
	} else {
		err = s.releaseLater(ctx, ca, l, err)
	}
	if hook := s.client.config.hooks.OnRelease; hook != nil && err == nil {
		hook(l)
	}
	return err
}

// releaseLater releases a hold for which there was no slot at once.
func (s *session) releaseLater(ctx context.Context, ca *call, l *Lock, err error) error {
	if errors.Is(err, errNoSlot) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), releasePatience)
		defer cancel()
		err = s.beginPatiently(ctx, ca)
	}
	if err == nil {
		return s.awaitRelease(ca, l)
	}
	if ctx.Err() != nil {
		s.mu.Lock()
		s.owed = append(s.owed, l)
		s.mu.Unlock()
	}
	s.freeCall(ca)
	return releaseError(err, l)
}

// awaitRelease waits for the outcome of a release.
func (s *session) awaitRelease(ca *call, l *Lock) error {
	select {
	case <-ca.signals: // there already
	default:
		if !s.awaitPatiently(ca) {
			return &Error{Op: "release", Name: l.Name(), kind: ErrUnknownOutcome, cause: context.DeadlineExceeded}
		}
	}
	err := ca.outcome("release", l.Name())
	s.freeCall(ca)
	return releaseError(err, l)
}

// awaitPatiently waits for the outcome of a release, or until patience ends: then
// it reports false, and the call is none of the caller's business any more.
func (s *session) awaitPatiently(ca *call) bool {
	if ca.patience == nil {
		ca.patience = time.NewTimer(releasePatience)
	} else {
		ca.patience.Reset(releasePatience)
	}
	select {
	case <-ca.signals:
	case <-ca.patience.C:
		if s.leave(ca) {
			return false
		}
		<-ca.signals
	}
	ca.patience.Stop()
	return true
}

// releaseError says what it means that a release failed.
func releaseError(err error, l *Lock) error {
	switch {
	case errors.Is(err, ErrClosed):
		return nil // closing the client releases everything
	case errors.Is(err, ErrWrongKey), errors.Is(err, ErrNotFound):
		return &LostError{Name: l.Name(), Token: l.token, Reason: ReasonUnknown}
	case errors.Is(err, errSessionLost), errors.Is(err, context.DeadlineExceeded):
		return &Error{Op: "release", Name: l.Name(), kind: ErrUnknownOutcome, cause: err}
	default:
		return err
	}
}

// Renew starts the hold's lease anew, as long as it was. The client does so by
// itself unless [NoRenewal] says otherwise. A hold without a lease has nothing
// to renew: the error is [ErrNotLeased].
func (l *Lock) Renew(ctx context.Context) error {
	return l.RenewFor(ctx, l.currentLease())
}

// RenewFor starts the hold's lease anew with another length, which later
// renewals keep.
func (l *Lock) RenewFor(ctx context.Context, lease time.Duration) error {
	if l.session == nil {
		return nil
	}
	if l.request.lease <= 0 {
		return &Error{Op: "renew", Name: l.Name(), kind: ErrNotLeased}
	}
	return l.renewFor(ctx, lease)
}

func (l *Lock) currentLease() time.Duration {
	if l.session == nil {
		return 0
	}
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	if l.lease.asked > 0 {
		return l.lease.asked
	}
	return l.request.lease
}

func (l *Lock) renewFor(ctx context.Context, lease time.Duration) error {
	return l.ask(ctx, "renew", func(ca *call) { l.session.askRenewal(ca, l, lease) })
}

// SetValue replaces the value that others can read beside the hold.
func (l *Lock) SetValue(ctx context.Context, v []byte) error {
	if len(v) > maxRequestBytes {
		return invalid("set value", l.Name(), "value", maxRequestBytes, "")
	}
	return l.ask(ctx, "set value", func(ca *call) {
		ca.op.SetValue = &ldlmv2.SetValue{Name: l.Name(), Token: l.token, Value: v}
	})
}

// Downgrade turns an exclusive hold into a shared one, which lets others who
// share in. Token and place stay. There is no way back but to release.
func (l *Lock) Downgrade(ctx context.Context) error {
	return l.ask(ctx, "downgrade", func(ca *call) {
		ca.op.Downgrade = &ldlmv2.Downgrade{Name: l.Name(), Token: l.token}
	})
}

// ask has the server do something with a hold, and waits for the outcome.
func (l *Lock) ask(ctx context.Context, op string, fill func(*call)) error {
	if l.session == nil {
		return nil
	}
	if err := l.Err(); err != nil {
		return err
	}
	err := l.session.ask(ctx, op, l.Name(), fill)
	if err != nil {
		if ended := l.Err(); ended != nil {
			return ended
		}
	}
	return err
}

// ask has the server do something other than acquire, and waits for the
// outcome. If ctx ends first, the outcome is unknown.
func (s *session) ask(ctx context.Context, op, name string, fill func(*call)) error {
	ca := s.newCall()
	fill(ca)
	if err := s.beginPatiently(ctx, ca); err != nil {
		s.freeCall(ca)
		switch {
		case ctx.Err() != nil:
			return gaveUp(ctx, op, name)
		case errors.Is(err, errSessionLost):
			return &Error{Op: op, Name: name, kind: ErrUnavailable, cause: err}
		default:
			return explain(err, op, name)
		}
	}
	select {
	case <-ca.signals:
	case <-ctx.Done():
		if s.leave(ca) {
			e := gaveUp(ctx, op, name)
			e.kind = ErrUnknownOutcome
			return e
		}
		<-ca.signals
	}
	err := ca.outcome(op, name)
	s.freeCall(ca)
	if errors.Is(err, errSessionLost) {
		return &Error{Op: op, Name: name, kind: ErrUnknownOutcome, cause: err}
	}
	return err
}

// ReleaseKey releases a hold by the key that it was granted with, whoever holds
// it: [Lock.Key]. All locks that were granted together are released.
func (c *Client) ReleaseKey(ctx context.Context, name, key string) error {
	if l := c.findByKey(name, key); l != nil {
		return l.Release(ctx)
	}
	return c.askByKey(ctx, "release", name, key, func(ca *call) {
		r := &ca.release
		r.Name, r.Token, r.Key, r.All = name, 0, key, true
		ca.op.Release = r
	})
}

// RenewKey starts the lease of a hold anew by the key that it was granted with,
// whoever holds it: [Lock.Key].
func (c *Client) RenewKey(ctx context.Context, name, key string, lease time.Duration) error {
	if l := c.findByKey(name, key); l != nil {
		return l.RenewFor(ctx, lease)
	}
	if lease <= 0 {
		return invalid("renew", name, "lease_us", 0, "must be more than nothing")
	}
	return c.askByKey(ctx, "renew", name, key, func(ca *call) {
		r := &ca.renew
		r.Name, r.Token, r.Key, r.All, r.LeaseUs = name, 0, key, true, toMicros(lease)
		ca.op.Renew = r
	})
}

func (c *Client) askByKey(ctx context.Context, op, name, key string, fill func(*call)) error {
	if len(name)+len(key) > maxRequestBytes || !utf8.ValidString(name) || !utf8.ValidString(key) {
		return invalid(op, name, "name", 0, "name or key is too long, or not valid UTF-8")
	}
	s, err := c.session(ctx, 0)
	if err != nil {
		return explain(err, op, name)
	}
	return s.ask(ctx, op, name, fill)
}

// findByKey returns this client's own hold of that key, or nil. It looks at all
// holds: keys are shown for those of others.
func (c *Client) findByKey(name, key string) *Lock {
	for _, s := range c.openSessions() {
		s.mu.Lock()
		for _, l := range s.holds {
			if l.Key() == key && slices.Contains(l.request.names, name) {
				s.mu.Unlock()
				return l
			}
		}
		s.mu.Unlock()
	}
	return nil
}
