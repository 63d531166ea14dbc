package sessionapi

import (
	"context"
	"errors"
	"log/slog"
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
// used again; else the node may still look at it.
func (c *conversation) submit(ctx context.Context, commands []lock.Command) bool {
	return c.submitted(commands, c.link.Submit(ctx, commands))
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
	c.note(slog.LevelWarn, "operations came to no outcome", "operations", len(commands), "error", err)
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
// the one that reads does not. Reading stops while there is too much.
type submissions struct {
	mu      sync.Mutex
	less    sync.Cond // less waits than did
	waiting []*batch
	bytes   int // of those that wait and those that are being submitted
	busy    bool
	spare   *batch
}

// maxWaitingBytes bounds what waits to be submitted. A client with an operation
// in every slot stays below.
const maxWaitingBytes = 32 << 20

// enqueue adds a batch, waits for room, and returns an empty one.
func (s *submissions) enqueue(b *batch) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.less.L = &s.mu
	s.waiting = append(s.waiting, b)
	for s.bytes += b.bytes; s.busy && s.bytes > maxWaitingBytes; {
		s.less.Wait()
	}
	next := s.spare
	s.spare = nil
	if next == nil {
		next = &batch{}
	}
	return next
}

// start reports whether the caller is to start a goroutine that submits.
func (s *submissions) start() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || len(s.waiting) == 0 {
		return false
	}
	s.busy = true
	return true
}

// next returns the batches to submit next, which are one for the node; none if
// nothing waits: then whoever submits is to end.
func (s *submissions) next() []*batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	commands, n := 0, 0
	for n < len(s.waiting) && (n == 0 || commands+len(s.waiting[n].commands) <= maxBatchCommands) {
		commands += len(s.waiting[n].commands)
		n++
	}
	next := s.waiting[:n:n]
	if s.waiting = s.waiting[n:]; len(s.waiting) == 0 {
		s.waiting = nil
	}
	s.busy = n > 0
	return next
}

// done takes batches back that were submitted, one of them to be used again.
func (s *submissions) done(batches []*batch, reusable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range batches {
		s.bytes -= b.bytes
	}
	if reusable {
		s.spare = batches[0]
		s.spare.reset()
	}
	s.less.Signal()
}

// submitPatience is how long a batch may take where the node waits for disk or
// network. Then the client is told that the outcome is not known, and asks again.
const submitPatience = 10 * time.Second

// submitAll submits what waits, and writes the answers, until nothing waits.
func (c *conversation) submitAll(ctx context.Context) {
	var together []lock.Command
	for batches := c.submitting.next(); len(batches) > 0; batches = c.submitting.next() {
		commands := batches[0].commands
		if len(batches) > 1 {
			together = together[:0]
			for _, b := range batches {
				together = append(together, b.commands...)
			}
			commands = together
		}
		ctx, cancel := context.WithTimeout(ctx, submitPatience)
		reusable := c.submit(ctx, commands)
		cancel()
		if !reusable {
			together = nil
		}
		c.submitting.done(batches, reusable)
		c.flush()
	}
}
