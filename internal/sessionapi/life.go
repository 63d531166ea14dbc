package sessionapi

import (
	"sync"
	"time"

	"github.com/ldlm-io/ldlm/internal/clock"
)

// life is what is known of a client's signs of life: how long ago the last
// message was read that was confirmed, and the keep-alive that waits for its
// confirmation.
//
// A client is given up after half its ttl without a keep-alive, but not before
// its connection was looked at in vain: the process may have stood still with
// keep-alives unread. So the last stretch before the end, grace, must pass on
// time; else it is granted again.
type life struct {
	mu sync.Mutex // guards what follows; held for a few assignments, or one Confirm
	// confirmed is when that message was read.
	confirmed clock.Instant
	// number and read are of the newest keep-alive that is not answered yet.
	number  uint64
	read    clock.Instant
	pending bool
	// farewell: the client has asked for the end of its session.
	farewell bool
	// gone: the node is told of the end. Nothing is confirmed any more, so that
	// what it is told of the client's silence stays true.
	gone bool

	over  bool
	timer *time.Timer
	// armed is what the timer was set to, armedAt when.
	armed   time.Duration
	armedAt clock.Instant
	looks   sync.WaitGroup // looks under way
}

const (
	// stallLimit is how late a look may be before it counts as a sign that the
	// process stood still.
	stallLimit = 500 * time.Millisecond
	// mostGrace bounds grace, which is an eighth of the ttl.
	mostGrace = 250 * time.Millisecond
)

// begin notes when the session was attached: no older connection has confirmed
// anything that was read later.
func (l *life) begin(attached clock.Instant, ttl time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirmed, l.armed = attached, ttl/2-graceOf(ttl)
}

func graceOf(ttl time.Duration) time.Duration { return min(ttl/8, mostGrace) }

// watch has look called when the client may have fallen silent.
func (l *life) watch(look func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.armedAt = clock.Now()
	l.timer = time.AfterFunc(l.armed, func() {
		if l.startLook() {
			defer l.looks.Done()
			look()
		}
	})
}

func (l *life) startLook() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	l.looks.Add(1)
	return true
}

// look reports whether the client is to be given up; if not, it sets the time
// of the next look.
func (l *life) look(ttl time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	now := clock.Now()
	limit, grace := ttl/2, graceOf(ttl)
	silent := now.Sub(l.confirmed)
	onTime := now.Sub(l.armedAt) < l.armed+stallLimit
	switch {
	case silent < limit-grace:
		l.arm(limit-grace-silent, now)
	case silent >= limit && l.armed <= grace && onTime:
		return true
	default:
		l.arm(grace, now)
	}
	return false
}

func (l *life) arm(d time.Duration, now clock.Instant) {
	l.armed, l.armedAt = d, now
	l.timer.Reset(d)
}

// end ends the looks; wait waits for the one under way, if there is one.
func (l *life) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

func (l *life) wait() { l.looks.Wait() }

// heard notes a keep-alive. Of several that came together the newest is answered.
func (l *life) heard(number uint64, read clock.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number, l.read, l.pending = number, read, true
}

// lastHeard returns how long ago the newest sign of life was read.
func (l *life) lastHeard() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := clock.Now()
	heard := now.Sub(l.confirmed)
	if l.pending {
		heard = min(heard, now.Sub(l.read))
	}
	return heard
}

// unanswered reports whether a keep-alive waits for its answer.
func (l *life) unanswered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending
}

// answer takes the keep-alive that waits for its answer, and asks confirm
// whether it may be confirmed. Nothing comes between that and its being noted.
func (l *life) answer(confirm func() (time.Duration, bool)) (number uint64, valid time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.pending {
		return 0, 0, false
	}
	l.pending = false
	if l.gone {
		return 0, 0, false
	}
	if valid, ok = confirm(); ok {
		l.confirmed = l.read
	}
	return l.number, valid, ok
}

// leave keeps everything from being confirmed from now on, and returns how long
// ago the last confirmed message was read.
func (l *life) leave() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	return clock.Since(l.confirmed)
}

// silent is how long ago the last confirmed message was read.
func (l *life) silent() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return clock.Since(l.confirmed)
}

// close notes that the client has asked for the end of its session.
func (l *life) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.farewell = true
}

func (l *life) closing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.farewell
}
