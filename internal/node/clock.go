package node

import (
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// clock gathers the time that the next entry will carry. It is guarded by
// Node.mu and is told what time it is, so that it can be tested without waiting.
type clock struct {
	limit time.Duration // the most that one look adds while there are deadlines

	running  bool          // a lead has begun
	last     time.Time     // of the last look
	gathered time.Duration // not stamped yet
	bounded  bool          // the table has had a deadline since the last look
	wakeAt   time.Time     // when the timekeeper looks next; zero if it sleeps without a timer
	applied  time.Time     // when the table's clock was last moved, here; zero: never
}

// start begins a lead: what gathered before is void.
func (c *clock) start(now time.Time) {
	*c = clock{limit: c.limit, running: true, last: now, bounded: c.bounded, applied: c.applied}
}

// skip voids what has gathered, and what has passed since the last look.
func (c *clock) skip(now time.Time) { c.last, c.gathered = now, 0 }

// look adds what has passed since the last look. With a deadline in the table,
// now or since the last look, that is bounded: nothing must come due because
// the process stood still. Without one nothing can, so all of it counts.
func (c *clock) look(now time.Time, deadline bool) {
	c.gathered += c.unseen(now, deadline)
	c.last, c.bounded = now, deadline
}

// unseen is what a look would add.
func (c *clock) unseen(now time.Time, deadline bool) time.Duration {
	passed := max(0, now.Sub(c.last))
	if c.bounded || deadline {
		passed = min(passed, c.limit)
	}
	return passed
}

// behind is how far the table's clock is behind the time, for those who read. For
// who leads it is what the next stamp would carry. Who follows does not know the
// stamp, and counts by its own clock from when it applied the last one.
func (c *clock) behind(now time.Time, leads, deadline bool) time.Duration {
	switch {
	case leads:
		return c.gathered + c.unseen(now, deadline)
	case c.applied.IsZero():
		return 0
	default:
		return max(0, now.Sub(c.applied))
	}
}

// take stamps: it returns what has gathered, in microseconds. What is less than
// one stays.
func (c *clock) take() int64 {
	us := c.gathered.Microseconds()
	c.gathered -= time.Duration(us) * time.Microsecond
	return us
}

// putBack is for the time of an entry that was refused.
func (c *clock) putBack(us int64) { c.gathered += time.Duration(us) * time.Microsecond }

// left is how much must still pass, after the last look, until a deadline that
// is so far away on the table's own clock.
func (c *clock) left(away lock.Duration) time.Duration { return timeOf(away) - c.gathered }

// every is how often the timekeeper looks while there is any deadline.
func (c *clock) every() time.Duration { return max(c.limit/4, time.Millisecond) }

// plan decides, right after a look, how long the timekeeper may sleep until a
// deadline that is so far away: 0 if it is reached.
func (c *clock) plan(away lock.Duration) time.Duration {
	wait := max(0, min(c.left(away), c.every()))
	c.wakeAt = c.last.Add(wait)
	return wait
}

// planNothing notes that the timekeeper sleeps until it is woken.
func (c *clock) planNothing() { c.wakeAt = time.Time{} }

// oversleeps reports whether the timekeeper would look too late for a deadline
// that is so far away; if so it has to be woken, once.
func (c *clock) oversleeps(away lock.Duration) bool {
	due := c.last.Add(c.left(away))
	if !c.running || !c.wakeAt.IsZero() && !due.Before(c.wakeAt) {
		return false
	}
	c.wakeAt = due
	return true
}
