package ldlm

import (
	"context"
	"errors"
	"iter"
	"sync"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// Election lets one of several candidates lead at a time: whoever holds the lock
// of that name. Get it from [Client.Election]. It is safe for concurrent use.
type Election struct {
	client *Client
	name   string
	opts   []LockOption

	mu  sync.Mutex
	err error
}

// Election returns the election of that name. The options are those of each
// candidacy: with [Value] a leader can tell where it is found.
func (c *Client) Election(name string, opts ...HoldOption) *Election {
	e := &Election{client: c, name: name}
	for _, o := range opts {
		e.opts = append(e.opts, o)
	}
	return e
}

// Term is the time from an election to the end of the lead.
type Term struct {
	lock *Lock
	ctx  context.Context
}

// Context ends when the lead does, or the context that was given to
// [Election.Lead]. [context.Cause] says why: see [Lock.Context].
func (t *Term) Context() context.Context { return t.ctx }

// Token returns the fencing token of the term: greater than those of all terms before.
func (t *Term) Token() uint64 { return t.lock.Token() }

// Lock returns the hold that makes the leader.
func (t *Term) Lock() *Lock { return t.lock }

// Lead campaigns, and loops over the terms that it wins: the body of the loop is
// the work of the leader, with the context of the term. When the body ends the
// lead is given up if it was not lost; then, or after a loss, it campaigns
// again, behind those who have waited longer. The loop ends with ctx, with a
// break, or when campaigning makes no sense any more; then [Election.Err] says
// why. Servers that cannot be reached are waited for.
func (e *Election) Lead(ctx context.Context) iter.Seq[*Term] {
	return func(yield func(*Term) bool) {
		for failures := 0; ; {
			l, err := e.client.Lock(ctx, e.name, e.opts...)
			switch {
			case err == nil:
				failures = 0
				if !e.serve(ctx, l, yield) {
					return
				}
			case ctx.Err() != nil || isPermanent(err):
				e.setErr(err)
				return
			default:
				e.client.logger.Warn("ldlm: campaign failed; trying again", "election", shortened(e.name), "error", err)
				_ = sleep(ctx, backoff(failures)) // if ctx ends, Lock says so
				failures++
			}
		}
	}
}

// serve is one term. It reports false if there is to be no other.
func (e *Election) serve(ctx context.Context, l *Lock, yield func(*Term) bool) bool {
	defer func() { _ = e.client.releaseAfter(ctx, l) }() // of a loss its context has told
	e.setErr(nil)
	return yield(&Term{lock: l, ctx: l.Context(ctx)})
}

// isPermanent reports whether asking again cannot help.
func isPermanent(err error) bool {
	for _, kind := range []error{
		ErrClosed, ErrInvalid, ErrSizeMismatch, ErrUnauthenticated, ErrDenied, ErrUnsupported,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func (e *Election) setErr(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
}

// Err returns why the last loop over [Election.Lead] ended; nil if it ended with
// a break, or has not ended.
func (e *Election) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// Observe loops over who leads: first the present leader, then every change. A
// [Holder] with token 0 means that nobody leads. Changes that follow each other
// closely may be told as one. An error ends the loop, and comes with the last pair.
func (e *Election) Observe(ctx context.Context) iter.Seq2[Holder, error] {
	return func(yield func(Holder, error) bool) {
		o := &observer{election: e, ctx: ctx, yield: yield}
		for !o.stopped {
			w := &watch{client: e.client, pattern: e.name, request: &ldlmv2.WatchRequest{Name: e.name}}
			w.yield, w.standing = o.event, o.look
			w.run(ctx)
		}
	}
}

// observer turns events of a lock into changes of its holder.
type observer struct {
	election *Election
	ctx      context.Context
	yield    func(Holder, error) bool
	told     bool
	token    uint64
	stopped  bool
}

// event looks again if an event says that the holder may have changed.
func (o *observer) event(e Event, err error) bool {
	switch {
	case errors.Is(err, ErrReset):
	case err != nil:
		o.stop(err)
	case e.Type != EventQueued && e.Type != EventRenewed && e.Type != EventCanceled:
		return o.look()
	}
	return !o.stopped
}

// look asks who leads, and tells if that is news. It reports false if the
// observation is over.
func (o *observer) look() bool {
	info, err := o.election.client.Admin().Get(o.ctx, o.election.name)
	switch {
	case errors.Is(err, ErrUnavailable) && o.ctx.Err() == nil:
		return true // the watch goes on when a server can be reached, and looks again
	case err != nil && !errors.Is(err, ErrNotFound):
		o.stop(err)
		return false
	}
	var leader Holder
	for _, h := range info.Holders {
		if !h.Delay {
			leader = h
			break
		}
	}
	if o.told && leader.Token == o.token {
		return true
	}
	o.told, o.token = true, leader.Token
	o.stopped = !o.yield(leader, nil)
	return !o.stopped
}

// stop ends the observation with an error.
func (o *observer) stop(err error) {
	if !o.stopped {
		o.stopped = true
		o.yield(Holder{}, err)
	}
}
