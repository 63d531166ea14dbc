package raftlog

import (
	"fmt"
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
	disk     *disk
	op, path string

	mu    sync.Mutex
	timer *time.Timer
	looks int
	over  bool
}

// attempt begins to count the time of an operation; end must be called when that is done.
func (d *disk) attempt(op, path string) *attempt {
	a := &attempt{disk: d, op: op, path: path}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer = time.AfterFunc(d.deadline/attemptLooks, a.look)
	return a
}

// look is called while the operation runs, and fails the disk when it is called for the
// last time.
func (a *attempt) look() {
	if a.spent() {
		a.disk.fail(fmt.Errorf("%s %s: not done after %v, the disk hangs", a.op, a.path, a.disk.deadline))
	}
}

// spent counts a look, and reports whether it was the last one.
func (a *attempt) spent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return false
	}
	a.looks++
	a.over = a.looks == attemptLooks
	if !a.over {
		a.timer.Reset(a.disk.deadline / attemptLooks)
	}
	return a.over
}

// end ends it.
func (a *attempt) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	a.timer.Stop()
}
