package ldlm

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/ldlm-io/ldlm/internal/clock"
)

// holdState is what a [Lock] is to its session.
type holdState uint8

const (
	pending  holdState = iota // not granted yet
	held                      // granted
	revoked                   // granted, but told to let go
	released                  // ended by the program
	lost                      // ended otherwise
)

// Lock is a hold: one lock, or several that were granted together. It begins
// when the call that returns it does, and ends when it is released or lost.
//
// All methods are safe for concurrent use, and those without a context do not
// block. The zero Lock belongs to no server: it has no name, is never lost, and
// its release does nothing, which is enough for mocks of [Interface].
type Lock struct {
	session *session
	request request
	token   uint64
	fence   uint64
	fences  []uint64
	key     [16]byte
	waited  time.Duration

	// Guarded by the session's mutex:

	state holdState
	// err is why it ended.
	err error
	// done is made when it is first asked for, and closed at the end.
	done chan struct{}
	// cancels end the contexts that were given out.
	cancels []context.CancelCauseFunc
	lease   leaseState
	// unseen: the program does not have it yet, and will not if it ends now.
	unseen bool
}

// Name returns the name of the lock; of several, the first.
func (l *Lock) Name() string {
	if len(l.request.names) == 0 {
		return ""
	}
	return l.request.names[0]
}

// Names returns all names that were asked for, in that order.
func (l *Lock) Names() []string { return slices.Clone(l.request.names) }

// Token returns the fencing token: greater than that of every earlier grant of
// any lock. Several locks that were granted together have one token.
func (l *Lock) Token() uint64 { return l.token }

// Fence returns the token of the lock's last exclusive grant: of an exclusive
// hold its own. Storage that is written under shared holds compares this one.
func (l *Lock) Fence() uint64 { return l.fence }

// Fences returns the fence of each lock, in the order of [Lock.Names].
func (l *Lock) Fences() []uint64 {
	if l.fences == nil && l.session != nil {
		return []uint64{l.fence}
	}
	return slices.Clone(l.fences)
}

// Key returns the secret of the hold, a UUID: whoever shows it with the name may
// release or renew the hold, see [Client.ReleaseKey]. Do not log it.
func (l *Lock) Key() string {
	var b [36]byte
	hex.Encode(b[0:8], l.key[0:4])
	hex.Encode(b[9:13], l.key[4:6])
	hex.Encode(b[14:18], l.key[6:8])
	hex.Encode(b[19:23], l.key[8:10])
	hex.Encode(b[24:36], l.key[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// Waited returns how long the request waited in its queue, by the server's clock.
func (l *Lock) Waited() time.Duration { return l.waited }

// Deadline returns until when the hold is good as of now, by the local clock:
// it moves on with every keep-alive and renewal that is answered. It is the
// zero time if the hold has ended.
func (l *Lock) Deadline() time.Time {
	if l.session == nil {
		return time.Time{}
	}
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	left := min(s.remaining(), l.lease.left(s.client))
	if l.state != held && l.state != revoked || left <= 0 {
		return time.Time{}
	}
	return time.Now().Add(left)
}

// Confirmed returns how long ago, by a clock that counts suspend, the newest
// message was sent whose answer confirmed the session of the hold; and if no
// connection is there to confirm it anew, why. The zero Lock has been confirmed
// just now.
func (l *Lock) Confirmed() (ago time.Duration, trouble error) {
	if l.session == nil {
		return 0, nil
	}
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client.since(s.sentAt), s.trouble
}

// Done returns a channel that is closed when the hold has ended, or was
// revoked. [Lock.Err] says why.
func (l *Lock) Done() <-chan struct{} {
	if l.session == nil {
		return nil
	}
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	if l.done == nil {
		l.done = make(chan struct{})
		if l.err != nil {
			close(l.done)
		}
	}
	return l.done
}

// Err returns nil while the lock is held, and then why it is not: a
// [*LostError], or [ErrReleased]. It looks at the clock itself, so that it knows
// of a loss at once even where timers are late.
func (l *Lock) Err() error {
	if l.session == nil {
		return nil
	}
	s := l.session
	s.mu.Lock()
	if l.err == nil && (s.overdue() || l.lease.left(s.client) <= 0) {
		s.mu.Unlock()
		s.look()
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	return l.err
}

// tokenKey is the key of the fencing token in contexts.
type tokenKey struct{}

// TokenFrom returns the fencing token of the lock under which a context was
// made by [Client.Do] or [Lock.Context]; 0 if there is none.
func TokenFrom(ctx context.Context) uint64 {
	token, _ := ctx.Value(tokenKey{}).(uint64)
	return token
}

// Context returns a context that ends with ctx or with the hold, and knows the
// fencing token (see [TokenFrom]). If the lock was lost, [context.Cause] is the
// [*LostError]; if it was released, [ErrReleased]. It costs no goroutine, and
// what it costs is given back when the hold ends.
func (l *Lock) Context(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, tokenKey{}, l.token)
	if l.session == nil {
		return ctx
	}
	ctx, cancel := context.WithCancelCause(ctx)
	if err := l.endWith(cancel); err != nil {
		cancel(err)
	}
	return ctx
}

// endWith has cancel called when the hold ends; an error if it has ended.
func (l *Lock) endWith(cancel context.CancelCauseFunc) error {
	if err := l.Err(); err != nil {
		return err
	}
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	if l.err == nil {
		l.cancels = append(l.cancels, cancel)
	}
	return l.err
}

// endLocked ends the hold for the program. What must not be done with the
// session's mutex held, which it is, cancelContexts does.
func (l *Lock) endLocked(state holdState, err error) {
	l.state = state
	if l.err == nil {
		l.err = err
		if l.done != nil {
			close(l.done)
		}
	}
}

// cancelContexts ends the contexts that the hold gave out.
func (l *Lock) cancelContexts(cause error) {
	l.session.mu.Lock()
	cancels := l.cancels
	l.cancels = nil
	l.session.mu.Unlock()
	for _, cancel := range cancels {
		cancel(cause)
	}
}

// announceLoss tells everybody that the hold has ended, or was revoked.
func (l *Lock) announceLoss() {
	s := l.session
	s.mu.Lock()
	err, ok := errors.AsType[*LostError](l.err)
	unseen := l.unseen
	s.mu.Unlock()
	if !ok || unseen {
		return
	}
	l.cancelContexts(err)
	s.logger.Info("ldlm: lock lost", "lock", shortened(err.Name), "token", err.Token, "reason", err.Reason.String())
	if hook := s.client.config.hooks.OnLost; hook != nil {
		s.client.tell(func() { hook(l, err) })
	}
}

// hold makes a granted lock held. mu is held.
func (s *session) hold(ca *call) {
	l, a := ca.lock, &ca.answer
	l.token, l.fence, l.fences, l.key, l.waited = a.token, a.fence, a.fences, a.key, a.waited
	l.state = held
	l.unseen = l.request.lease > 0 // until the lease is confirmed
	s.holds[l.token] = l
	if l.request.lease > 0 && a.atOnce {
		l.lease.renewed(ca.sent, l.request.lease)
	}
	if l.request.maxHold > 0 {
		l.lease.since = clock.Now()
	}
	if l.lease.length > 0 || l.request.maxHold > 0 {
		s.leases.plan(l, s.client)
		s.lookNow()
	}
}

// drop takes a hold out of the session's books. mu is held.
func (s *session) drop(l *Lock) {
	delete(s.holds, l.token)
	s.leases.remove(l)
}

// lose ends a hold against the program's will. It reports whether the program
// is to be told: not if it knows of the end already. mu is held.
func (s *session) lose(l *Lock, reason EndReason) bool {
	s.drop(l)
	if l.state != held {
		l.endLocked(lost, nil)
		return false
	}
	l.endLocked(lost, s.lostError(l, reason))
	return true
}

// revoke marks a hold that the server wants back. It stays until the program
// releases it. mu is held.
func (s *session) revoke(l *Lock) bool {
	if l.state != held {
		return false
	}
	l.endLocked(revoked, s.lostError(l, ReasonRevoked))
	return true
}

func (s *session) lostError(l *Lock, reason EndReason) *LostError {
	at := time.Now().Add(-s.client.since(s.sentAt))
	return &LostError{Name: l.Name(), Token: l.token, Reason: reason, LastRenewed: at}
}

// releaseHolds ends everything that is held by the program's will and returns
// it. mu is held.
func (s *session) releaseHolds() []*Lock {
	locks := make([]*Lock, 0, len(s.holds))
	for _, l := range s.holds {
		s.leases.remove(l)
		l.endLocked(released, ErrReleased)
		locks = append(locks, l)
	}
	clear(s.holds)
	return locks
}

func byToken(a, b *Lock) int {
	if a.token < b.token {
		return -1
	}
	return 1
}
