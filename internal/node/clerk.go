package node

import (
	"sync"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// clerk keeps the commands that nobody waits for but that must reach their
// outcome, whatever it is: detaches, and cancellations in doubt.
type clerk struct {
	more chan struct{} // room for one

	mu    sync.Mutex
	queue []lock.Command
}

func newClerk() *clerk { return &clerk{more: make(chan struct{}, 1)} }

// add hands in a command. It must be one that may be carried out twice.
func (c *clerk) add(command lock.Command) {
	c.mu.Lock()
	c.queue = append(c.queue, command)
	c.mu.Unlock()
	signal(c.more)
}

// next takes the oldest commands, few enough for one entry: the end of a
// session costs as much as the session has.
func (c *clerk) next() []lock.Command {
	const most = 64
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.queue), most)
	batch := c.queue[:n:n]
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil
	}
	return batch
}

// runClerk proposes what the clerk has, again and again until it is known to be
// done, in the order in which it came.
func (n *Node) runClerk() {
	for {
		select {
		case <-n.clerk.more:
		case <-n.ctx.Done():
			return
		}
		for commands := n.clerk.next(); len(commands) > 0; commands = n.clerk.next() {
			if !n.insist(commands) {
				return
			}
		}
	}
}

// insist proposes commands until they are carried out; false if the node ends first.
func (n *Node) insist(commands []lock.Command) bool {
	for r := (retry{}); ; {
		if err := n.propose(n.ctx, newBatch(commands...)); err == nil {
			return true
		}
		if !r.pause(n.ctx, n) {
			return false
		}
	}
}
