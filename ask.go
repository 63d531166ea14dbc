package ldlm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/clock"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// maxRequestBytes bounds what one request may say in all, so that it fits into
// a frame beside others.
const maxRequestBytes = wire.MaxFrameBytes - frameFillBytes - 1<<10

// notUTF8 is what is wrong with text that cannot be sent.
const notUTF8 = "not valid UTF-8"

// check refuses what cannot be sent. What only a server can judge it leaves alone.
func (r *request) check() error {
	bad := func(field string, limit int64, message string) error {
		name := ""
		if len(r.names) > 0 {
			name = r.names[0]
		}
		return invalid(r.op, name, field, limit, message)
	}
	size := len(r.reason) + len(r.value)
	for _, name := range r.names {
		size += len(name) + 64
		if !utf8.ValidString(name) {
			return bad("name", 0, notUTF8)
		}
	}
	for k, v := range r.labels {
		size += len(k) + len(v) + 16
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return bad("labels", 0, notUTF8)
		}
	}
	switch {
	case len(r.names) == 0:
		return bad("names", 0, "no name")
	case !utf8.ValidString(r.reason):
		return bad("reason", 0, notUTF8)
	case r.size < 0 || r.size > math.MaxInt32:
		return bad("size", math.MaxInt32, "")
	case r.permits < 0 || r.permits > math.MaxInt32:
		return bad("permits", math.MaxInt32, "")
	case r.wait < 0 && r.wait != forever:
		return bad("wait_us", 0, "negative")
	case r.lease < 0:
		return bad("lease_us", 0, "negative")
	case r.lockDelay < 0:
		return bad("lock_delay_us", 0, "negative")
	case r.maxHold < 0:
		return bad("max_hold", 0, "negative")
	case size > maxRequestBytes:
		return bad("request", maxRequestBytes, "larger than a frame can be")
	}
	return nil
}

// errGrantEnded: a request was granted, and the grant ended before the program
// got to see it.
var errGrantEnded = errors.New("granted, but ended before it could be handed over")

// acquire takes the locks that are asked for, in whichever session has room.
//
// If the session of a waiting request is lost, its place in the queue is too;
// the request then joins the queue again at the end, over a new session.
// Likewise after a grant that the client learnt of too late.
func (c *Client) acquire(ctx context.Context, l *Lock) (*Lock, error) {
	r := &l.request
	if err := r.check(); err != nil {
		return nil, err
	}
	var began clock.Instant
	if r.wait > 0 {
		began = clock.Now()
	}
	for {
		err := c.acquireOnce(ctx, l)
		switch {
		case err == nil:
			return l, nil
		case !mayJoinAgain(err):
			return nil, err
		case r.wait == 0:
			return nil, &Error{Op: r.op, Name: l.Name(), kind: ErrUnavailable, cause: err}
		case r.wait > 0:
			if r.wait -= c.since(began); r.wait <= 0 {
				return nil, &Error{Op: r.op, Name: l.Name(), kind: ErrUnavailable, cause: err}
			}
			began = clock.Now()
		}
		c.logger.Warn("ldlm: place in the queue lost; joining again", "lock", shortened(l.Name()), "error", err)
		l = again(l)
	}
}

// mayJoinAgain reports whether an acquire ended for a reason after which another may
// succeed. Just these very errors mean that: what wraps one is the error of a context
// that somebody ended because of it.
func mayJoinAgain(err error) bool {
	return err == errSessionLost || err == errGrantEnded //nolint:errorlint // as said above
}

// again returns a hold to be that asks for the same as another.
func again(l *Lock) *Lock {
	next := &Lock{request: l.request}
	if len(l.request.names) == 1 {
		next.request.names = next.request.one[:]
		next.request.one[0] = l.Name()
	}
	return next
}

// acquireOnce asks over the first session that has a slot free.
func (c *Client) acquireOnce(ctx context.Context, l *Lock) error {
	for i := 0; ; {
		s, err := c.session(ctx, i)
		if err != nil {
			return explain(err, l.request.op, l.Name())
		}
		err = s.acquire(ctx, l)
		switch {
		case errors.Is(err, errNoSlot):
			i++
		case errors.Is(err, errNotBegun):
			c.forget(s) // if it has not forgotten itself yet
		default:
			return err
		}
	}
}

// errNotBegun: the session was lost before anything was asked.
var errNotBegun = errors.New("session is over")

// acquire takes the locks that are asked for in this session.
func (s *session) acquire(ctx context.Context, l *Lock) error {
	r := &l.request
	l.session = s
	ca := s.newCall()
	ca.lock = l
	ca.waits = r.wait != 0
	ca.stamped = r.lease > 0
	r.fill(ca)
	if err := s.begin(ca); err != nil {
		s.freeCall(ca)
		if errors.Is(err, errSessionLost) {
			return errNotBegun
		}
		return explain(err, r.op, l.Name())
	}
	if !s.await(ctx, ca, r) {
		return gaveUp(ctx, r.op, l.Name())
	}
	err := ca.outcome(r.op, l.Name())
	s.freeCall(ca)
	if err != nil {
		return err
	}
	if r.lease > 0 {
		if err := s.confirmLease(ctx, l); err != nil {
			return err
		}
	}
	if hook := s.client.config.hooks.OnAcquire; hook != nil {
		hook(l)
	}
	return nil
}

// fill writes a request into a call.
func (r *request) fill(ca *call) {
	if len(r.names) > 1 {
		ca.op.AcquireAll = r.acquireAll()
		return
	}
	a := &ca.acquire
	a.Name, a.Size, a.Permits, a.Mode = r.names[0], uint32(r.size), uint32(r.permits), r.mode()
	a.WaitUs, a.LeaseUs, a.LockDelayUs = toMicros(r.wait), toMicros(r.lease), toMicros(r.lockDelay)
	a.Note = r.note()
	ca.op.Acquire = a
}

func (r *request) acquireAll() *ldlmv2.AcquireAll {
	all := &ldlmv2.AcquireAll{
		WaitUs: toMicros(r.wait), LeaseUs: toMicros(r.lease), LockDelayUs: toMicros(r.lockDelay), Note: r.note(),
	}
	for _, name := range r.names {
		all.Items = append(all.Items, &ldlmv2.Item{
			Name: name, Size: uint32(r.size), Permits: uint32(r.permits), Mode: r.mode(),
		})
	}
	return all
}

func (r *request) mode() ldlmv2.Mode {
	if r.shared {
		return ldlmv2.Mode_MODE_SHARED
	}
	return ldlmv2.Mode_MODE_UNSPECIFIED
}

func (r *request) note() *ldlmv2.Note {
	if r.reason == "" && len(r.labels) == 0 && len(r.value) == 0 {
		return nil
	}
	return &ldlmv2.Note{Reason: r.reason, Labels: r.labels, Value: r.value}
}

// await waits for the outcome of an acquire, or until ctx ends: then it reports
// false, and the call is none of the caller's business any more.
func (s *session) await(ctx context.Context, ca *call, r *request) bool {
	for {
		select {
		case sig := <-ca.signals:
			if sig == signalDone {
				return true
			}
			s.tellWait(ca, r)
		case <-ctx.Done():
			if s.leave(ca) {
				return false
			}
			for <-ca.signals != signalDone {
			}
			return true
		}
	}
}

// tellWait says that a request waits.
func (s *session) tellWait(ca *call, r *request) {
	s.mu.Lock()
	w := Wait{Name: r.names[0], Ahead: ca.ahead, Self: ca.self}
	s.mu.Unlock()
	if w.Self {
		s.logger.Warn("ldlm: waiting for a lock that this very session holds", "lock", shortened(w.Name))
	}
	if hook := s.client.config.hooks.OnWait; hook != nil {
		hook(w)
	}
}

// outcome is the error of a call that is done; nil if it succeeded.
func (ca *call) outcome(op, name string) error {
	switch {
	case ca.err != nil:
		return explain(ca.err, op, name)
	case ca.answer.code == ldlmv2.Code_CODE_OK:
		return nil
	case ca.answer.code == ldlmv2.Code_CODE_ENDED && ca.isAcquire():
		return errGrantEnded
	}
	st := ca.answer.status
	if st == nil {
		st = &ldlmv2.Status{Code: ca.answer.code}
	}
	return statusError(op, name, st)
}

// explain makes the end of a session the error of a call.
func explain(err error, op, name string) error {
	var e *Error
	switch {
	case err == errSessionLost, err == errNoSlot: //nolint:errorlint // see mayJoinAgain
		return err // callers decide what it means
	case errors.As(err, &e):
		e := *e
		e.Op, e.Name = op, name
		return &e
	default:
		return &Error{Op: op, Name: name, kind: err}
	}
}

// confirmLease makes sure, before the program gets to see a hold with a lease,
// that the client knows from when the lease counts. Of a hold that was granted
// at once that is the sending of the acquire; else, or if much of it has gone
// by, a renewal is sent first. A hold that cannot be renewed is given back.
func (s *session) confirmLease(ctx context.Context, l *Lock) error {
	if s.handOver(l, l.request.lease/4) {
		return nil
	}
	err := l.renewFor(ctx, l.request.lease)
	if err == nil {
		if s.handOver(l, 0) {
			return nil
		}
		err = l.Err()
	}
	s.giveBack(l)
	s.mu.Lock()
	over := s.err
	s.mu.Unlock()
	var lost *LostError
	switch {
	case ctx.Err() != nil:
		return gaveUp(ctx, l.request.op, l.Name())
	case over != nil:
		return explain(over, l.request.op, l.Name())
	case errors.As(err, &lost) && lost.Reason == ReasonExpired:
		return errGrantEnded
	default:
		return &Error{
			Op: l.request.op, Name: l.Name(), kind: ErrUnavailable,
			Message: fmt.Sprintf("granted, and given back because its lease could not be confirmed: %v", err),
		}
	}
}

// handOver makes a hold with a lease the program's, if its lease is known to be
// good for more than a while. It reports false if not.
func (s *session) handOver(l *Lock, while time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.lease.length == 0 || l.lease.left(s.client) <= while || l.state != held {
		return false
	}
	l.unseen = false
	return true
}

// giveBack releases a hold that its program never saw, and does not wait.
func (s *session) giveBack(l *Lock) {
	s.mu.Lock()
	if l.state == held || l.state == revoked {
		s.drop(l)
		l.endLocked(released, ErrReleased)
		s.releaseInBackground(l)
	}
	s.mu.Unlock()
}

// toMicros converts a span for the wire. What is longer than nothing stays so.
func toMicros(d time.Duration) int64 {
	if d > 0 && d < time.Microsecond {
		return 1
	}
	return d.Microseconds()
}

// maxMicros is what a time.Duration can hold.
const maxMicros = math.MaxInt64 / int64(time.Microsecond)

func fromMicros(us int64) time.Duration {
	return time.Duration(min(max(us, -maxMicros), maxMicros)) * time.Microsecond
}
