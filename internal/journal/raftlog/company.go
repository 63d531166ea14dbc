package raftlog

import (
	"runtime"
	"time"
)

// company is how many proposals there are at once, lately. Where an entry has a long way,
// to other members, those who were told of one and come again should share the next: a
// proposal that comes a moment too late waits for that way twice, and each entry costs every
// member its work. The zero company is not kept: nobody waits for anybody. It is guarded by
// the queue.
type company struct {
	kept bool
	most int // that were there at once, waiting or in flight, since the newest entry was closed
	last int // the same when that one was closed
	// vain counts the waits in vain, doubled each time, and rest is how many entries are
	// closed without one: callers that are far away do not come as soon as that.
	vain, rest int
}

// seen notes how many are there.
func (c *company) seen(n int) { c.most = max(c.most, n) }

// turn notes that an entry is closed.
func (c *company) turn() { c.last, c.most = c.most, 0 }

// awaited reports whether more can be expected than are there.
func (c *company) awaited(n int) bool { return c.kept && n < c.last }

// begin reports whether to wait for them.
func (c *company) begin(n int) bool {
	if !c.awaited(n) {
		return false
	}
	if c.rest > 0 {
		c.rest--
		return false
	}
	return true
}

// end notes whether they came.
func (c *company) end(came bool) {
	if came {
		c.vain = 0
		return
	}
	const most, free = 64, 4
	c.vain = min(2*c.vain+1, most)
	c.rest = c.vain / free
}

// A gathering ends after so long, and after so many looks: the first counts where looks
// are slow, the second where time stands still.
const (
	gatherTime  = 150 * time.Microsecond
	gatherLooks = 2000
)

// present counts the proposals that wait or are in flight, but for patient ones. It is
// called with mu held.
func (q *queue) present() int {
	n := q.pressing
	for _, e := range q.flying {
		n += e.pressing
	}
	return n
}

// gather waits a moment for those who are expected. It looks again and again: a timer would
// come much later.
func (q *queue) gather() {
	q.mu.Lock()
	wait := q.company.begin(q.present())
	q.mu.Unlock()
	if !wait {
		return
	}
	came := false
	begun := time.Now()
	for looks := 0; !came && looks < gatherLooks && time.Since(begun) < gatherTime; looks++ {
		runtime.Gosched()
		q.mu.Lock()
		came = !q.company.awaited(q.present())
		q.mu.Unlock()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.company.end(came)
}
