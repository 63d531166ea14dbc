package sessionapi

import (
	"context"
	"errors"
	"sync"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// ask takes an operation in. What is not known here, or is refused while the
// server drains, is answered without asking the table.
func (c *conversation) ask(op *ldlmv2.Op) {
	acquires := op.Acquire != nil || op.AcquireAll != nil
	switch {
	case acquires && c.server.draining.Load():
		c.answer(op.GetSlot(), op.GetSeq(), NewStatus(ldlmv2.Code_CODE_UNAVAILABLE,
			"the server is shutting down and grants nothing any more; ask again under the same slot and seq, elsewhere or later"))
	case c.denied(op):
	case c.batch.add(c.caller, op):
	default:
		s := notUnderstood(op) // now, for the operation's memory is used again
		c.refuse(op, func() *ldlmv2.Status { return s })
		c.batch.addOccupying(c.caller, op)
	}
}

// denied refuses an operation that the client may not ask for. An acquire that it
// might ask for when it began is cancelled, and what it holds since then it may give
// back; whether it does hold it, the table knows.
func (c *conversation) denied(op *ldlmv2.Op) bool {
	d := c.denial(op)
	switch {
	case d == nil:
		return false
	case op.Acquire != nil || op.AcquireAll != nil:
		c.batch.addCancel(c.caller, op)
	case op.Release != nil && c.batch.add(c.caller, op):
	default:
		c.batch.addOccupying(c.caller, op)
	}
	c.refuse(op, func() *ldlmv2.Status { return c.deny(d) })
	return true
}

// notUnderstood says why an operation cannot be carried out.
func notUnderstood(op *ldlmv2.Op) *ldlmv2.Status {
	if bodies(op) > 1 {
		return invalidField("ops", 0, "an operation asks for exactly one thing; send several operations, in slots of their own")
	}
	return NewStatus(ldlmv2.Code_CODE_UNSUPPORTED, "this server does not know the operation; it needs a newer one, or the operation says nothing")
}

// refuse notes what makes the answer to an operation that is not carried out.
func (c *conversation) refuse(op *ldlmv2.Op, why func() *ldlmv2.Status) {
	c.turn.take()
	defer c.turn.giveBack()
	if c.refusals == nil {
		c.refusals = map[ref]func() *ldlmv2.Status{}
	}
	c.refusals[ref{op.GetSlot(), op.GetSeq()}] = why
}

// submit has the node carry commands out. It reports whether their memory may be
// used again; else the node may still look at it. placed is as [Link].Submit has it.
func (c *conversation) submit(ctx context.Context, commands []lock.Command, placed func()) bool {
	return c.submitted(commands, c.link.Submit(ctx, commands, placed))
}

// submitted tells the client if its commands came to no outcome. It reports what
// submit does.
func (c *conversation) submitted(commands []lock.Command, err error) bool {
	if err == nil {
		return true
	}
	select {
	case <-c.link.Ended(): // which is said instead
		return false
	default:
	}
	c.log.Warn("operations came to no outcome", "operations", len(commands), "error", err)
	s := statusOfError(err)
	for _, command := range commands {
		if _, ok := command.(*lock.Close); ok {
			c.flush()
			c.end(s)
			break
		}
		caller := callerOf(command)
		c.answer(caller.Slot, caller.Seq, s)
	}
	return errors.Is(err, ErrRefused)
}

// submissions are the batches that wait for a goroutine that submits, where
// the one that reads does not. Reading stops while there is too much. What is
// submitted has its place in the order before the next is, and need not be
// carried out by then.
type submissions struct {
	mu      sync.Mutex
	less    sync.Cond // less waits than did
	waiting []*batch
	bytes   int  // of those that wait and those that are being submitted
	flying  int  // goroutines that submit
	placing bool // what one of them submits has no place yet
	spare   *batch
}

// mostFlying bounds the goroutines that submit for one connection. While one entry is
// written, a few frames come that are for the next.
const mostFlying = 4

// maxWaitingBytes bounds what waits to be submitted. A client with an operation
// in every slot stays below.
const maxWaitingBytes = 32 << 20

// enqueue adds a batch, waits for room, and returns an empty one.
func (s *submissions) enqueue(b *batch) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.less.L = &s.mu
	s.waiting = append(s.waiting, b)
	for s.bytes += b.bytes; s.flying > 0 && s.bytes > maxWaitingBytes; {
		s.less.Wait()
	}
	next := s.spare
	s.spare = nil
	if next == nil {
		next = &batch{}
	}
	return next
}

// next returns the batches to submit next, which are one for the node, to a goroutine
// that calls done for them; none if nothing waits, or somebody else goes on with it.
func (s *submissions) next() []*batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.placing || s.flying == mostFlying || len(s.waiting) == 0 {
		return nil
	}
	s.placing = true
	s.flying++
	commands, n := 0, 0
	for n < len(s.waiting) && (n == 0 || commands+len(s.waiting[n].commands) <= maxBatchCommands) {
		commands += len(s.waiting[n].commands)
		n++
	}
	next := s.waiting[:n:n]
	if s.waiting = s.waiting[n:]; len(s.waiting) == 0 {
		s.waiting = nil
	}
	return next
}

// placed says that what was submitted last has its place.
func (s *submissions) placed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.placing = false
}

// done takes batches back that were submitted, one of them to be used again. They may
// have been placed before. land is to follow when the answers are written: a client that
// does not take them has no more submitted.
func (s *submissions) done(batches []*batch, placed, reusable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !placed {
		s.placing = false
	}
	for _, b := range batches {
		s.bytes -= b.bytes
	}
	if reusable {
		s.spare = batches[0]
		s.spare.reset()
	}
	s.less.Signal()
}

// land counts a goroutine out that has submitted.
func (s *submissions) land() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying--
	s.less.Signal()
}

// submitPatience is how long a batch may take where the node waits for disk or
// network. Then the client is told that the outcome is not known, and asks again.
const submitPatience = 10 * time.Second

// submitNext has a goroutine submit what waits, if there is to be one more.
func (c *conversation) submitNext(ctx context.Context) {
	if batches := c.submitting.next(); len(batches) > 0 {
		c.workers.Go(func() { c.submitAll(ctx, batches) })
	}
}

// submitAll submits batches and then what waits, and writes the answers, until nothing
// waits. When what it submits has its place, another goroutine goes on with what waits.
func (c *conversation) submitAll(ctx context.Context, batches []*batch) {
	for ; len(batches) > 0; batches = c.submitting.next() {
		commands := batches[0].commands
		if len(batches) > 1 {
			commands = nil
			for _, b := range batches {
				commands = append(commands, b.commands...)
			}
		}
		placed := false
		patient, cancel := context.WithTimeout(ctx, submitPatience)
		reusable := c.submit(patient, commands, func() {
			placed = true
			c.submitting.placed()
			c.submitNext(ctx)
		})
		cancel()
		c.submitting.done(batches, placed, reusable)
		c.flush()
		c.submitting.land()
	}
}
