package sessionapi

import (
	"math"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// batch is what goes to the node in one piece: the commands of all operations
// that had been read. Its memory is used again once they are carried out.
type batch struct {
	commands []lock.Command
	// bytes is about what the commands keep alive, frames how many were read.
	bytes, frames int

	acquires   stock[lock.Acquire]
	releases   stock[lock.Release]
	renewals   stock[lock.Renew]
	downgrades stock[lock.Downgrade]
	values     stock[lock.SetValue]
	cancels    stock[lock.Cancel]
}

// ref names an operation.
type ref struct {
	slot uint32
	seq  uint64
}

// closeSlot and closeSeq mark the command that closes the session: no operation
// of a sound client has them, for there are not so many slots.
const (
	closeSlot = math.MaxUint32
	closeSeq  = math.MaxUint64
)

// Bounds of one batch: while it is carried out, nobody else is served, and
// until it is, it takes memory. The operation that exceeds one is the last.
const (
	maxBatchCommands = 1024
	maxBatchBytes    = 1 << 20
	maxBatchFrames   = 1024
)

// maxTurnCommands bounds it where many share a goroutine: each of them can take so much
// at a time while all others wait.
const maxTurnCommands = 128

func (b *batch) full() bool {
	return len(b.commands) >= maxBatchCommands || b.bytes >= maxBatchBytes || b.frames >= maxBatchFrames
}

// reset makes the batch empty. Its commands are used again; what they pointed
// to is let go of.
func (b *batch) reset() {
	const kept = 256 // commands; larger bursts are rare
	if len(b.commands) > kept {
		*b = batch{}
		return
	}
	clear(b.commands)
	b.commands, b.bytes, b.frames = b.commands[:0], 0, 0
	b.acquires.reset(emptyAcquire)
	b.releases.reset(empty)
	b.renewals.reset(empty)
	b.downgrades.reset(empty)
	b.values.reset(empty)
	b.cancels.reset(empty)
}

func empty[T any](c *T) {
	var zero T
	*c = zero
}

// emptyAcquire keeps the room for a few items.
func emptyAcquire(c *lock.Acquire) {
	const kept = 4
	items := c.Items
	if cap(items) > kept {
		items = nil
	}
	clear(items)
	*c = lock.Acquire{Items: items[:0]}
}

// stock has commands of one kind to be used again.
type stock[T any] struct {
	items []*T
	used  int
}

func (s *stock[T]) next() *T {
	if s.used == len(s.items) {
		s.items = append(s.items, new(T))
	}
	s.used++
	return s.items[s.used-1]
}

func (s *stock[T]) reset(empty func(*T)) {
	for _, c := range s.items[:s.used] {
		empty(c)
	}
	s.used = 0
}

// add appends the command of an operation. It reports false if the operation
// is none that is known here.
func (b *batch) add(caller lock.Caller, op *ldlmv2.Op) bool {
	caller.Slot, caller.Seq = op.GetSlot(), op.GetSeq()
	command := b.command(caller, op)
	if command == nil || bodies(op) != 1 {
		return false
	}
	b.append(command, op)
	return true
}

func (b *batch) append(command lock.Command, op *ldlmv2.Op) {
	b.commands = append(b.commands, command)
	b.bytes += sizeOf(op)
}

// callerOf returns the caller of a command that a batch can have.
func callerOf(c lock.Command) *lock.Caller {
	switch c := c.(type) {
	case *lock.Acquire:
		return &c.Caller
	case *lock.Release:
		return &c.Caller
	case *lock.Renew:
		return &c.Caller
	case *lock.Cancel:
		return &c.Caller
	case *lock.Downgrade:
		return &c.Caller
	case *lock.SetValue:
		return &c.Caller
	case *lock.Close:
		return &c.Caller
	default:
		panic("sessionapi: a command that no operation becomes")
	}
}

// command reads an operation into a command.
func (b *batch) command(caller lock.Caller, op *ldlmv2.Op) lock.Command {
	switch {
	case op.Acquire != nil:
		c := b.acquires.next()
		c.Caller = caller
		ReadAcquire(c, op.Acquire)
		return c
	case op.Release != nil:
		c := b.releases.next()
		c.Caller = caller
		ReadRelease(c, op.Release)
		return c
	case op.Renew != nil:
		c := b.renewals.next()
		c.Caller = caller
		ReadRenew(c, op.Renew)
		return c
	case op.Cancel != nil:
		c := b.cancels.next()
		c.Caller = caller
		return c
	case op.AcquireAll != nil:
		c := b.acquires.next()
		c.Caller = caller
		ReadAcquireAll(c, op.AcquireAll)
		return c
	case op.Downgrade != nil:
		c := b.downgrades.next()
		c.Caller = caller
		ReadDowngrade(c, op.Downgrade)
		return c
	case op.SetValue != nil:
		c := b.values.next()
		c.Caller = caller
		ReadSetValue(c, op.SetValue)
		return c
	default:
		return nil
	}
}

// addOccupying appends a command for an operation that cannot be carried out:
// one that changes nothing, and that the table refuses with NotFound. So its
// slot remembers that the seq was used, and the client may go on with the next.
func (b *batch) addOccupying(caller lock.Caller, op *ldlmv2.Op) {
	caller.Slot, caller.Seq = op.GetSlot(), op.GetSeq()
	c := b.renewals.next()
	*c = lock.Renew{Caller: caller}
	b.append(c, op)
}

// addCancel appends the command that cancels an operation instead of carrying it out.
func (b *batch) addCancel(caller lock.Caller, op *ldlmv2.Op) {
	caller.Slot, caller.Seq = op.GetSlot(), op.GetSeq()
	c := b.cancels.next()
	c.Caller = caller
	b.append(c, op)
}

// addClose appends the command that ends the session.
func (b *batch) addClose(caller lock.Caller) {
	caller.Slot, caller.Seq = closeSlot, closeSeq
	b.commands = append(b.commands, &lock.Close{Caller: caller})
}

// bodies counts what an operation asks for; it must be one thing.
func bodies(op *ldlmv2.Op) int {
	n := 0
	for _, there := range [...]bool{
		op.Acquire != nil, op.AcquireAll != nil, op.Release != nil, op.Renew != nil,
		op.Downgrade != nil, op.SetValue != nil, op.Cancel != nil,
	} {
		if there {
			n++
		}
	}
	return n
}

// sizeOf is about how many bytes the command of an operation keeps alive.
func sizeOf(op *ldlmv2.Op) int {
	const command = 256
	n := command + len(op.Acquire.GetName()) + len(op.Release.GetName()) + len(op.Renew.GetName()) +
		len(op.Downgrade.GetName()) + len(op.SetValue.GetName()) + len(op.SetValue.GetValue()) +
		sizeOfNote(op.Acquire.GetNote())
	if op.AcquireAll != nil {
		n += sizeOfNote(op.AcquireAll.GetNote())
		for _, it := range op.AcquireAll.GetItems() {
			n += command/4 + len(it.GetName())
		}
	}
	return n
}

func sizeOfNote(m *ldlmv2.Note) int {
	if m == nil {
		return 0
	}
	n := len(m.GetReason()) + len(m.GetValue())
	for k, v := range m.GetLabels() {
		n += 64 + len(k) + len(v)
	}
	return n
}
