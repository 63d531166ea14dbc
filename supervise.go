package ldlm

import (
	"errors"
	"math"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/clock"
)

// never is longer than anything.
const never = time.Duration(math.MaxInt64)

// lookEvery is how often the clock is looked at while something is held or
// waited for: timers stand still while the machine sleeps, and fire too late
// after it woke up.
const lookEvery = time.Second

// maxUnanswered is how many keep-alives in a row may be without an answer when
// the next one is due: then the session is resumed elsewhere. A host that is gone
// without a word is known to be gone by nothing else; and whoever must stop its work
// before the session is over begins to when about half of its time has passed.
const maxUnanswered = 1

var errNoAnswer = errors.New("keep-alives were not answered")

// heartbeat is the state of a session's keep-alives on one link.
type heartbeat struct {
	every time.Duration
	// last is when the newest one, or hello, was sent.
	last   clock.Instant
	number uint64 // of the newest one; grows over all links
	// unanswered are those sent after the last answered one, oldest first.
	unanswered []beat
}

type beat struct {
	number uint64
	sent   clock.Instant
}

// minBeatEvery keeps a server's odd answer from making the client busy.
const minBeatEvery = 10 * time.Millisecond

func (h *heartbeat) restart(every time.Duration, sent clock.Instant) {
	h.every, h.last = max(every, minBeatEvery), sent
	h.unanswered = h.unanswered[:0]
}

// answered returns when the keep-alive of this number was sent, and forgets it
// and all before it; false if it is not one that waits for its answer.
func (h *heartbeat) answered(number uint64) (clock.Instant, bool) {
	for i, b := range h.unanswered {
		if b.number == number {
			h.unanswered = append(h.unanswered[:0], h.unanswered[i+1:]...)
			return b.sent, true
		}
	}
	return clock.Instant{}, false
}

// believe notes that the session is good for a time from when a message was
// sent. mu is held.
func (s *session) believe(sent clock.Instant, goodFor time.Duration) {
	s.sentAt, s.goodFor, s.warned = sent, goodFor, false
}

func (s *session) readKeepAlive(k *ldlmv2.KeepAlive) {
	if sent, ok := s.beat.answered(k.GetNumber()); ok {
		s.believe(sent, fromMicros(k.GetValidForUs()))
	}
}

// supervise looks at the deadlines of a session that stands until it is over.
func (s *session) supervise() {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
		t.Reset(s.look())
	}
}

// look does what is due, and returns how long to wait until the next look.
func (s *session) look() time.Duration {
	s.mu.Lock()
	if s.overdue() {
		s.mu.Unlock()
		s.end(errSessionLost, ReasonUnconfirmed)
		return lookEvery
	}
	var r received
	next := min(s.lookAtJeopardy(), s.lookAtBeat(&r), s.lookAtLeases(&r), s.lookAtRetry(), s.lookAtMove())
	if len(s.holds) > 0 || s.slots.busy > 0 {
		next = min(next, lookEvery)
	}
	l := s.link
	if l != nil {
		l.handOver()
	}
	s.mu.Unlock()
	s.conclude(l, &r)
	return max(next, 0)
}

// lookAtJeopardy warns after two thirds of the time that the session is good
// for, and returns when to look again: then, or when it is lost.
func (s *session) lookAtJeopardy() time.Duration {
	left := s.remaining()
	warning := left - s.goodFor/3
	if warning > 0 {
		return warning
	}
	if !s.warned {
		s.warned = true
		s.logger.Warn("ldlm: session in jeopardy", "session", s.number, "left", left, "holds", len(s.holds))
		if hook := s.client.config.hooks.OnJeopardy; hook != nil {
			s.client.tell(func() { hook(left) })
		}
	}
	return left
}

// lookAtBeat sends a keep-alive when one is due, or gives the link up.
func (s *session) lookAtBeat(r *received) time.Duration {
	if s.link == nil {
		return never
	}
	h := &s.beat
	if due := h.every - s.client.since(h.last); due > 0 {
		return due
	}
	if len(h.unanswered) >= maxUnanswered {
		r.err = errNoAnswer
		return h.every
	}
	h.number++
	h.last = clock.Now()
	h.unanswered = append(h.unanswered, beat{h.number, h.last})
	s.link.append(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: h.number}})
	return h.every
}

// retry says when calls are asked again that a server refused for the moment,
// or whose outcome it did not know.
type retry struct {
	since  clock.Instant // when the wait began; zero if nothing waits
	delay  time.Duration
	number int // of retries in a row
}

func (r *retry) schedule() {
	if r.since.IsZero() {
		r.since, r.delay = clock.Now(), backoff(r.number)
		r.number++
	}
}

// lookAtRetry asks deferred calls again when their time has come.
func (s *session) lookAtRetry() time.Duration {
	if s.retry.since.IsZero() {
		return never
	}
	if due := s.retry.delay - s.client.since(s.retry.since); due > 0 {
		return due
	}
	s.retry.since = clock.Instant{}
	for _, ca := range s.slots.underWay() {
		if ca.deferred {
			s.post(ca)
		}
	}
	return never
}
