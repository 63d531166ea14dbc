package node

import (
	"context"
	"errors"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// requestName is how the table names a request that waits, with the connection
// or attempt that asked last.
type requestName struct {
	session lock.SessionNumber
	slot    uint32
	seq     uint64
	id      string
	attach  uint64
	attempt uint64
}

// waiter is a Call that waits, or may have to. It is registered before its
// command is proposed, so that no end can be missed.
type waiter struct {
	name    requestName
	next    *waiter           // another Call for the very same request
	settled chan lock.Outcome // room for one
}

// register enters a waiter for a request. It stays until leave, settled or not.
func (n *Node) register(c *lock.Caller) (w *waiter) {
	if w, _ = n.idleWaiters.Get().(*waiter); w == nil {
		w = &waiter{settled: make(chan lock.Outcome, 1)}
	}
	w.name = requestName{
		session: c.Session, slot: c.Slot, seq: c.Seq, id: c.RequestID, attach: c.Attach, attempt: c.Attempt,
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	w.next = n.waiters[w.name]
	n.waiters[w.name] = w
	return w
}

// leave takes a waiter out, to be used again.
func (n *Node) leave(w *waiter) {
	n.unregister(w)
	select { // nobody tells it anything any more
	case <-w.settled:
	default:
	}
	w.name, w.next = requestName{}, nil
	n.idleWaiters.Put(w)
}

func (n *Node) unregister(w *waiter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	first := n.waiters[w.name]
	if first == w {
		if w.next == nil {
			delete(n.waiters, w.name)
		} else {
			n.waiters[w.name] = w.next
		}
		return
	}
	for p := first; p != nil; p = p.next {
		if p.next == w {
			p.next = w.next
			return
		}
	}
}

// settle tells a waiter, and those behind it, the end of their request.
func (w *waiter) settle(o *lock.Outcome) {
	for ; w != nil; w = w.next {
		w.put(*o)
	}
}

// askAgain tells a waiter, and those behind it, that the end of their request
// may have been missed.
func (w *waiter) askAgain() { w.settle(&lock.Outcome{Code: lock.Queued}) }

func (w *waiter) put(o lock.Outcome) {
	select {
	case w.settled <- o:
	default: // told before
	}
}

// cancelPatience bounds how long a Call whose context has ended waits for its
// cancellation to be decided.
const cancelPatience = time.Second

// Call carries one command to its final outcome; a queued acquire waits until
// it is settled. An acquire without a key is given one. The command must not be
// changed meanwhile, nor after an error.
//
// If ctx ends first, a Cancel decides: a grant that was faster is given back,
// and ctx's error is returned; it wraps journal.ErrUnknown as well if the
// decision could not be learned in time, and then the node goes on in the
// background until it knows. If the cause of ctx's end has a method KeepsPlace
// that returns true, nothing is cancelled: whoever asked will ask again under the
// same name, and the error wraps journal.ErrUnknown. An outcome that the journal
// does not know is asked for again, under the same name, until ctx ends.
//
// Errors wrap journal.ErrRefused (nothing happened), journal.ErrUnknown,
// ctx's error, or ErrClosed. What the table refuses is an outcome, not an error.
func (n *Node) Call(ctx context.Context, c lock.Command) (lock.Outcome, error) {
	if err := n.notYet(); err != nil {
		return lock.Outcome{}, err
	}
	if open, is := c.(*lock.Open); is {
		bounded := *open
		bounded.Info = n.bounded(open.Info)
		c = &bounded
	}
	n.keys.fill([]lock.Command{c})
	q := call{node: n, command: c, caller: callerOf(c)}
	a, ok := c.(*lock.Acquire)
	if !ok || a.Seq == 0 && a.RequestID == "" {
		return q.ask(ctx)
	}
	if a.Wait != 0 {
		q.waiter = n.register(q.caller)
		defer n.leave(q.waiter)
	}
	o, err := q.ask(ctx)
	for err == nil && o.Code == lock.Queued && q.waiter != nil {
		if o, err = q.await(ctx); err == nil && o.Code == lock.Queued {
			o, err = q.ask(ctx)
		}
	}
	switch {
	case err == nil && q.caller.Attach != 0 && n.overdue():
		return lock.Outcome{}, unknown(errOverdue)
	case err == nil && o.Code == lock.OK && ctx.Err() != nil:
		return lock.Outcome{}, q.cancel(ctx)
	}
	return o, err
}

// call is one Call under way.
type call struct {
	node    *Node
	command lock.Command
	caller  *lock.Caller
	waiter  *waiter // of an acquire that may wait
}

// ask proposes the command until its outcome is known or ctx ends. Once an
// outcome was unknown, a refusal of a later attempt says nothing of the first.
func (q *call) ask(ctx context.Context) (lock.Outcome, error) {
	n := q.node
	inDoubt := false
	for r := (retry{}); ; {
		o, err := n.ask(ctx, q.command)
		inDoubt = inDoubt || errors.Is(err, journal.ErrUnknown)
		switch {
		case err == nil:
			return o, nil
		case n.Err() != nil || !inDoubt || !q.repeatable():
			return lock.Outcome{}, err
		case r.pause(ctx, n):
			continue
		case n.Err() != nil:
			return lock.Outcome{}, n.Err()
		}
		if q.named() && !keepsPlace(ctx) {
			n.clerk.add(&lock.Cancel{Caller: *q.caller})
		}
		return lock.Outcome{}, unknown(ctx.Err())
	}
}

func (q *call) named() bool {
	return q.caller != nil && (q.caller.Seq != 0 || q.caller.RequestID != "")
}

// repeatable reports whether asking again finds what was asked before.
func (q *call) repeatable() bool {
	switch q.command.(type) {
	case *lock.Open, *lock.Resume, *lock.KeepAlive, *lock.Detach:
		return true
	default:
		return q.named()
	}
}

// await waits for the end of a queued request. The outcome Queued means that
// the end may have been missed.
func (q *call) await(ctx context.Context) (lock.Outcome, error) {
	n := q.node
	select {
	case o := <-q.waiter.settled:
		return o, nil
	case <-ctx.Done():
		return lock.Outcome{}, q.cancel(ctx)
	case <-n.ctx.Done():
		return lock.Outcome{}, n.Err()
	}
}

// keepsPlace reports whether a request is to be left as it is at the end of ctx.
func keepsPlace(ctx context.Context) bool {
	var cause interface{ KeepsPlace() bool }
	return errors.As(context.Cause(ctx), &cause) && cause.KeepsPlace()
}

// cancel gives back whatever the request has got or may get, and returns ctx's
// error, unless the request is to be left as it is.
func (q *call) cancel(ctx context.Context) error {
	n := q.node
	if keepsPlace(ctx) {
		return unknown(context.Cause(ctx))
	}
	c := &lock.Cancel{Caller: *q.caller}
	patience, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelPatience)
	defer stop()
	_, err := n.ask(patience, c)
	switch {
	case err == nil:
		return ctx.Err()
	case n.Err() != nil:
		return n.Err()
	}
	n.clerk.add(c)
	return unknown(ctx.Err())
}
