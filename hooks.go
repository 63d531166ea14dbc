package ldlm

import (
	"sync"
	"time"
)

// Hooks are called as things happen to locks. Each may be nil.
//
// OnAcquire, OnWait and OnRelease run in the goroutine that made the call, and
// delay it. OnLost and OnJeopardy run one after the other in a goroutine of the
// client, in the order of what they tell; [Client.Close] waits for them, so
// they must not call it.
type Hooks struct {
	// OnAcquire: the lock is held.
	OnAcquire func(l *Lock)
	// OnWait: the request waits in its queue. Called once for a call, also if
	// the connection breaks meanwhile.
	OnWait func(w Wait)
	// OnRelease: the program released the lock, and the server has confirmed it.
	OnRelease func(l *Lock)
	// OnLost: the lock ended against the program's will.
	OnLost func(l *Lock, err *LostError)
	// OnJeopardy: no server has confirmed the session for two thirds of the
	// time that its locks are good for; they are lost after what is left
	// unless one does.
	OnJeopardy func(left time.Duration)
}

// Wait describes a request that waits.
type Wait struct {
	// Name of the lock; of several, the first.
	Name string
	// Ahead counts the requests before it in its longest queue.
	Ahead int
	// Self says that the lock is held by the client's own session: if the
	// goroutine that waits is the one that should release it, it waits for ever.
	Self bool
}

// notices run hooks one after the other without holding up who found the
// reason for them. Their goroutine lives only while there is something to tell.
type notices struct {
	mu      sync.Mutex
	queue   []func()
	running bool
}

// tell has f run after everything told before.
func (c *Client) tell(f func()) {
	n := &c.notices
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, f)
	if !n.running {
		n.running = c.spawn(n.run)
	}
}

func (n *notices) run() {
	for {
		n.mu.Lock()
		queue := n.queue
		n.queue = nil
		n.running = len(queue) > 0
		n.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, f := range queue {
			f()
		}
	}
}
