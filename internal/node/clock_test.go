package node

import (
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// A look counts what has passed, bounded exactly while there is a deadline or
// was one since the last look.
func TestLook(t *testing.T) {
	const limit = 500 * time.Millisecond
	for _, tt := range []struct {
		name           string
		bounded, bound bool
		passed, want   time.Duration
	}{
		{"short, with a deadline", true, true, 100 * time.Millisecond, 100 * time.Millisecond},
		{"at the limit", true, true, limit, limit},
		{"stalled with a deadline", true, true, time.Hour, limit},
		{"stalled, the deadline is gone since", true, false, time.Hour, limit},
		{"stalled, a deadline appeared", false, true, time.Hour, limit},
		{"idle without any", false, false, time.Hour, time.Hour},
		{"clock back", false, false, -time.Hour, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := clock{limit: limit}
			start := time.Now()
			c.start(start)
			c.bounded = tt.bounded
			c.look(start.Add(tt.passed), tt.bound)
			if c.gathered != tt.want {
				t.Errorf("gathered %v, want %v", c.gathered, tt.want)
			}
			if c.bounded != tt.bound {
				t.Errorf("the next look is bounded: %v, want %v", c.bounded, tt.bound)
			}
		})
	}
}

// What is less than a microsecond is not lost, and what was refused goes into
// the next stamp.
func TestTakeAndPutBack(t *testing.T) {
	c := clock{limit: time.Second}
	now := time.Now()
	c.start(now)
	var total int64
	for range 1000 {
		now = now.Add(1500 * time.Nanosecond)
		c.look(now, true)
		total += c.take()
	}
	if total != 1500 {
		t.Errorf("1,000 stamps of 1.5 us carry %d us, want 1500", total)
	}
	c.look(now.Add(3*time.Microsecond), true)
	us := c.take()
	c.putBack(us)
	c.look(now.Add(5*time.Microsecond), true)
	if got := c.take(); got != 5 {
		t.Errorf("the stamp after a refused one carries %d us, want 5", got)
	}
}

// A new lead does not count what passed before it.
func TestStartVoidsWhatGathered(t *testing.T) {
	c := clock{limit: time.Second}
	now := time.Now()
	c.start(now)
	c.look(now.Add(300*time.Millisecond), true)
	c.start(now.Add(time.Hour))
	c.look(now.Add(time.Hour+time.Millisecond), true)
	if got := c.take(); got != 1000 {
		t.Errorf("the first stamp of the new lead carries %d us, want 1000", got)
	}
}

// The timekeeper sleeps until the deadline or the next look, whichever is
// first, and is woken only for what comes sooner than that.
func TestPlan(t *testing.T) {
	c := clock{limit: 400 * time.Millisecond}
	now := time.Now()
	c.start(now)
	c.look(now, true)
	if got := c.plan(10 * lock.Second); got != 100*time.Millisecond {
		t.Errorf("far deadline: sleeps %v, want a quarter of the limit", got)
	}
	if c.oversleeps(100 * lock.Millisecond) {
		t.Error("woken for a deadline at the very time of the next look")
	}
	if !c.oversleeps(50 * lock.Millisecond) {
		t.Error("not woken for a nearer deadline")
	}
	if c.oversleeps(50 * lock.Millisecond) {
		t.Error("woken twice for the same deadline")
	}
	c.gathered = 30 * time.Millisecond
	if got := c.plan(50 * lock.Millisecond); got != 20*time.Millisecond {
		t.Errorf("near deadline: sleeps %v, want what is left of it", got)
	}
	if got := c.plan(30 * lock.Millisecond); got != 0 {
		t.Errorf("reached deadline: sleeps %v, want not at all", got)
	}
	c.planNothing()
	if !c.oversleeps(lock.MaxDuration) {
		t.Error("asleep without a timer, and not woken for the first deadline")
	}
}
