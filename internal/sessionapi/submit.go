package sessionapi

import (
	"context"
	"errors"
	"sync"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// ask takes an operation in. What is not known here, or is refused while the
// server drains, is answered without asking the table.
func (c *conversation) ask(op *ldlmv2.Op) {
	acquires := op.Acquire != nil || op.AcquireAll != nil
	switch {
	case acquires && c.server.draining.Load():
		c.answer(op.GetSlot(), op.GetSeq(), NewStatus(ldlmv2.Code_CODE_UNAVAILABLE,
			"the server is shutting down and grants nothing any more; ask again under the same slot and seq, elsewhere or later"))
	case c.batch.add(c.caller, op):
	default:
		c.refuse(op)
		c.batch.addOccupying(c.caller, op)
	}
}

// refuse notes with what an operation is to be answered that cannot be carried out.
func (c *conversation) refuse(op *ldlmv2.Op) {
	s := NewStatus(ldlmv2.Code_CODE_UNSUPPORTED, "this server does not know the operation; it needs a newer one, or the operation says nothing")
	if bodies(op) > 1 {
		s = invalidField("ops", 0, "an operation asks for exactly one thing; send several operations, in slots of their own")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusals == nil {
		c.refusals = map[ref]*ldlmv2.Status{}
	}
	c.refusals[ref{op.GetSlot(), op.GetSeq()}] = s
}

// submit has the node carry a batch out. It reports whether the batch may be
// used again; else the node may still look at it.
func (c *conversation) submit(ctx context.Context, b *batch) bool {
	err := c.link.Submit(ctx, b.commands)
	if err == nil {
		return true
	}
	select {
	case <-c.link.Ended(): // which is said instead
		return false
	default:
	}
	c.log.Warn("operations came to no outcome", "operations", len(b.refs), "error", err)
	s := statusOfError(err)
	for _, r := range b.refs {
		if r.slot == closeSlot {
			c.flush()
			c.end(s)
			break
		}
		c.answer(r.slot, r.seq, s)
	}
	return errors.Is(err, ErrRefused)
}

// submissions are the batches that wait for a goroutine that submits, where
// the one that reads does not. Reading stops while there is too much.
type submissions struct {
	mu      sync.Mutex
	less    sync.Cond // less waits than did
	waiting []*batch
	bytes   int // of those that wait and the one that is being submitted
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

// next returns the batch to submit next, after one that was done; nil if there
// is none: then whoever submits is to end.
func (s *submissions) next(done *batch, reusable bool) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done != nil {
		s.bytes -= done.bytes
		if reusable {
			done.reset()
			s.spare = done
		}
		s.less.Signal()
	}
	if len(s.waiting) == 0 {
		s.waiting, s.busy = nil, false
		return nil
	}
	b := s.waiting[0]
	s.waiting = s.waiting[1:]
	return b
}

// submitPatience is how long a batch may take where the node waits for disk or
// network. Then the client is told that the outcome is not known, and asks again.
const submitPatience = 10 * time.Second

// submitAll submits what waits, batch by batch, and writes the answers.
func (c *conversation) submitAll(ctx context.Context) {
	for b := c.submitting.next(nil, false); b != nil; {
		ctx, cancel := context.WithTimeout(ctx, submitPatience)
		reusable := c.submit(ctx, b)
		cancel()
		c.flush()
		b = c.submitting.next(b, reusable)
	}
}
