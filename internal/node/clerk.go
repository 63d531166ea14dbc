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

// next takes the oldest commands, a bounded number.
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
			for len(commands) > 0 {
				few := n.fewEnough(commands)
				if !n.insist(commands[:few]) {
					return
				}
				commands = commands[few:]
			}
		}
	}
}

// fewEnough returns how many of the commands are to go into one entry, at least one:
// nobody else is served while it is applied, and the end of a session costs as much as
// the session has.
func (n *Node) fewEnough(commands []lock.Command) int {
	const burden = 4096 // holds and places in queues
	n.mu.Lock()
	defer n.mu.Unlock()
	sum := 0
	for i, c := range commands {
		if d, ok := c.(*lock.Detach); ok {
			sum += n.table.Burden(d.Session)
		}
		if sum > burden {
			return max(i, 1)
		}
	}
	return len(commands)
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
