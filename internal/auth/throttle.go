package auth

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Slowness says how guessing is slowed down, for each address by itself. Zero fields
// take their defaults.
type Slowness struct {
	// Free is how many refusals cost nothing. Default 10.
	Free int
	// Forget is how long it takes to forget one refusal. Default 10 s.
	Forget time.Duration
	// Step is what an attempt waits after the first refusal that is not free; each
	// further one doubles it, up to Longest. Defaults 100 ms and 5 s.
	Step, Longest time.Duration
	// Queue is how many attempts may wait at one time. Default 8.
	Queue int
	// Addresses is how many are remembered; the one that was refused longest ago is
	// forgotten for a new one. Default 4,096.
	Addresses int
}

func (s Slowness) withDefaults() Slowness {
	orInt := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	orTime := func(t *time.Duration, d time.Duration) {
		if *t == 0 {
			*t = d
		}
	}
	orInt(&s.Free, 10)
	orInt(&s.Queue, 8)
	orInt(&s.Addresses, 4096)
	orTime(&s.Forget, 10*time.Second)
	orTime(&s.Step, 100*time.Millisecond)
	orTime(&s.Longest, 5*time.Second)
	return s
}

const (
	// turnAwayFor is how long somebody waits who is not heard, if no more than mostTurnedAway
	// do: it takes less from others if who comes again at once does so less often.
	turnAwayFor    = 200 * time.Millisecond
	mostTurnedAway = 256
)

// doublings is how many refusals make attempts slower and slower; more are not
// counted, so that an address recovers.
const doublings = 8

// A throttle slows attempts down, address by address. An address that was never
// refused costs nothing. All methods are safe for concurrent use.
type throttle struct {
	slow Slowness
	// turnedAway is how many wait that are not heard.
	turnedAway atomic.Int64

	// mu guards what follows; it is held for a few assignments.
	mu    sync.Mutex
	known map[string]*list.Element // of *record
	order list.List                // the one that was refused longest ago first
}

// A record is what is remembered of an address. Its fields are guarded by mu.
type record struct {
	address string
	// refusals are those that are not forgotten yet, as of counted.
	refusals int
	counted  time.Time
	// next is when the next attempt may be made, waiting how many wait for it.
	next    time.Time
	waiting int
}

func newThrottle(s Slowness) *throttle {
	return &throttle{slow: s.withDefaults(), known: map[string]*list.Element{}}
}

// forget forgets refusals by the time that has passed.
func (t *throttle) forget(r *record, now time.Time) {
	n := int(now.Sub(r.counted) / t.slow.Forget)
	if n <= 0 {
		return
	}
	if r.refusals -= n; r.refusals <= 0 {
		r.refusals, r.counted = 0, now
		return
	}
	r.counted = r.counted.Add(time.Duration(n) * t.slow.Forget)
}

// pause is what lies between two attempts.
func (t *throttle) pause(r *record) time.Duration {
	d := t.slow.Step
	switch over := r.refusals - t.slow.Free; {
	case over <= 0:
		return 0
	default:
		for range over - 1 {
			d *= 2
		}
	}
	return min(d, t.slow.Longest)
}

// await waits until somebody at an address may make an attempt. It reports false if
// that cannot be soon, because too many wait, or ctx has ended.
func (t *throttle) await(ctx context.Context, address string) bool {
	wait, leave, ok := t.reserve(address, time.Now())
	if !ok || wait <= 0 {
		return ok
	}
	defer leave()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// turnAway keeps somebody waiting who is not heard.
func (t *throttle) turnAway(ctx context.Context) {
	defer t.turnedAway.Add(-1)
	if t.turnedAway.Add(1) <= mostTurnedAway {
		Rest(ctx, turnAwayFor)
	}
}

// reserve takes a place in the order of attempts. Whoever has to wait leaves.
func (t *throttle) reserve(address string, now time.Time) (wait time.Duration, leave func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.known[address]
	if e == nil {
		return 0, nil, true
	}
	r := e.Value.(*record)
	t.forget(r, now)
	pause := t.pause(r)
	if pause == 0 {
		return 0, nil, true
	}
	if r.waiting >= t.slow.Queue || r.next.Sub(now) > t.slow.Longest {
		return 0, nil, false
	}
	at := r.next
	if at.Before(now) {
		at = now
	}
	at = at.Add(pause)
	r.next = at
	r.waiting++
	return at.Sub(now), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		r.waiting--
	}, true
}

// refused counts a refusal.
func (t *throttle) refused(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	e := t.known[address]
	if e == nil {
		if len(t.known) >= t.slow.Addresses {
			oldest := t.order.Remove(t.order.Front()).(*record)
			delete(t.known, oldest.address)
		}
		e = t.order.PushBack(&record{address: address, counted: now})
		t.known[address] = e
	}
	r := e.Value.(*record)
	t.forget(r, now)
	r.refusals = min(r.refusals+1, t.slow.Free+doublings)
	t.order.MoveToBack(e)
}
