package sessionapi

import (
	"errors"
	"sync"
	"time"
)

// relay has one goroutine at a time read a connection whose node may have to wait for disk or
// network. Whoever reads submits by itself, and is back as a rule before the client says more:
// so a request costs no change of goroutines. If the node holds it for long, another one goes
// on reading, so that keep-alives are answered; whoever was held goes away when it is back.
type relay struct {
	start func() // starts another one; it does not wait

	mu    sync.Mutex // guards what follows; held for a few assignments
	turn  uint64     // counts those who have read
	held  bool       // whoever reads is held by the node
	since time.Time
	timer *time.Timer // one for all times: to set one for each, and to stop it, costs more
	set   bool
	over  bool
	ended chan struct{} // closed when reading is over
	err   error         // why
}

// relayAfter is how long whoever reads may be held.
const relayAfter = 50 * time.Millisecond

// errRelieved is why a goroutine reads no more: another one does.
var errRelieved = errors.New("another goroutine reads by now")

func newRelay(start func()) *relay { return &relay{start: start, ended: make(chan struct{})} }

// begin notes that whoever reads is about to be held by the node. The caller gives the number
// back with end.
func (r *relay) begin() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.since = true, time.Now()
	switch {
	case r.set:
	case r.timer == nil:
		r.timer = time.AfterFunc(relayAfter, r.look)
	default:
		r.timer.Reset(relayAfter)
	}
	r.set = true
	return r.turn
}

// end notes that the caller is back; false if another one reads by now.
func (r *relay) end(turn uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if turn != r.turn {
		return false
	}
	r.held = false
	return true
}

// look has another one read if the present one is held for long.
func (r *relay) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set = false
	if r.over || !r.held {
		return
	}
	if left := relayAfter - time.Since(r.since); left > 0 {
		r.set = true
		r.timer.Reset(left)
		return
	}
	r.turn++
	r.held = false
	r.start()
}

// finish ends the reading, for whoever reads.
func (r *relay) finish(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over, r.err = true, why
	if r.timer != nil {
		r.timer.Stop()
	}
	close(r.ended)
}
