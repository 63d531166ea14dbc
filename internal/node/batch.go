package node

import "github.com/ldlm-io/ldlm/internal/lock"

// batch is what the node proposes: commands, and where their outcomes go.
//
// Apply fills it in under Node.mu. Whoever proposed it reads it after Propose
// has returned without error; after any other ending it belongs to the journal
// for ever, because it may be applied yet.
type batch struct {
	commands []lock.Command
	// outcomes is filled in unless the batch is a link's or came from elsewhere.
	outcomes []lock.Outcome
	// link gets the outcomes as answers in its mailbox.
	link *Link
	// parts are the batches of several links, whose commands follow each other in
	// commands; nil for a batch that is whole.
	parts []*batch
	// joins becomes the live link of the session that a command opens or resumes.
	joins *Link
	// foreign batches were decoded: nobody here waits for them.
	foreign bool
	// disowned says that whoever proposed it has given up waiting. Guarded by Node.mu.
	disowned bool

	oneCommand [1]lock.Command
	oneOutcome [1]lock.Outcome
}

// newBatch makes a batch whose outcomes the caller will read.
func newBatch(commands ...lock.Command) *batch { return &batch{commands: commands} }

// single takes a batch of one command from the pool.
func (n *Node) single(c lock.Command) *batch {
	b, _ := n.batches.Get().(*batch)
	if b == nil {
		b = &batch{}
	}
	b.oneCommand[0] = c
	b.commands, b.outcomes = b.oneCommand[:], b.oneOutcome[:0]
	return b
}

// recycle gives a batch back that was applied.
func (n *Node) recycle(b *batch) {
	*b = batch{}
	n.batches.Put(b)
}

// AppendBinary encodes the commands for an engine that keeps them.
func (b *batch) AppendBinary(p []byte) ([]byte, error) { return lock.AppendCommands(p, b.commands) }

// callerOf returns on whose behalf a command is; nil for commands that have no caller.
func callerOf(c lock.Command) *lock.Caller {
	switch c := c.(type) {
	case *lock.Acquire:
		return &c.Caller
	case *lock.Release:
		return &c.Caller
	case *lock.Renew:
		return &c.Caller
	case *lock.Downgrade:
		return &c.Caller
	case *lock.SetValue:
		return &c.Caller
	case *lock.Cancel:
		return &c.Caller
	case *lock.Close:
		return &c.Caller
	case *lock.KeepAlive:
		return &c.Caller
	default:
		return nil
	}
}
