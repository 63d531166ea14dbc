package raftlog

import (
	"slices"
	"sync"
	"time"
)

// attemptLooks is how often a running operation is looked at before the disk counts as
// hanging.
const attemptLooks = 8

// attempt is one operation on the disk that runs. Its deadline is spent look by look: a
// process that stood still for longer than that finds one look over when it goes on, and
// has the others left to learn that the operation was done meanwhile.
type attempt struct {
	op, path string
	begun    time.Time
	looks    int // guarded by the attempts
}

// attempts are the operations that run. One timer looks at all of them: to set one for
// each, and to stop it, would cost more than all else that is done for a write here.
type attempts struct {
	every time.Duration  // between two looks
	hangs func(*attempt) // is told of one that has spent its deadline

	mu    sync.Mutex
	all   []*attempt // the oldest first
	timer *time.Timer
	set   bool // the timer is
}

// begin begins to count the time of an operation; end must be called when that is done.
func (r *attempts) begin(op, path string) *attempt {
	a := &attempt{op: op, path: path, begun: time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, a)
	switch {
	case r.set: // for an earlier one: it is not stopped when that ends
	case r.timer == nil:
		r.timer = time.AfterFunc(r.every, r.look)
	default:
		r.timer.Reset(r.every)
	}
	r.set = true
	return a
}

// end ends one.
func (r *attempts) end(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = slices.DeleteFunc(r.all, func(b *attempt) bool { return a == b })
}

// look is called while operations run, and now and then when none does.
func (r *attempts) look() {
	if a := r.spent(); a != nil {
		r.hangs(a)
	}
}

// spent counts a look at each, and returns the oldest if that was its last one.
func (r *attempts) spent() *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set = len(r.all) > 0; !r.set {
		return nil
	}
	for _, a := range r.all {
		a.looks++
	}
	oldest, next := r.all[0], r.every
	left := attemptLooks*r.every - time.Since(oldest.begun)
	if left <= 0 && oldest.looks >= attemptLooks {
		r.set = false
		return oldest
	}
	if left > 0 {
		next = min(next, left)
	}
	r.timer.Reset(next)
	return nil
}

// rest ends the looks. No operation may begin any more.
func (r *attempts) rest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
}
