package ldlm

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/clock"
)

// phase is the state of a session, from the client's side.
type phase uint8

const (
	opening  phase = iota // no server has answered yet
	attached              // it stands on a link
	detached              // the link failed; another one is being made
	ended                 // it was lost, closed, or never came to stand
)

// session is the party that holds and waits, on the client's side. It outlives
// connections, but not the loss of belief in it: then it is over, with all that
// it held, and the client opens another one when it next needs one.
//
// Belief: what a server answered to the newest hello or keep-alive says for how
// long the session is good, counted from before that was sent. When that time
// is over by this machine's clock, the session is lost, whatever is still under
// way, and nothing that arrives later changes it.
//
// Goroutines: supervise looks at deadlines; connect, while there is no link,
// makes one; moveOver makes one to the leader; each link has two. All of them are tasks of the client and end
// with the session.
type session struct {
	client *Client
	logger *slog.Logger
	secret [secretBytes]byte
	// ctx ends with the session.
	ctx    context.Context
	cancel context.CancelFunc
	// ready is closed when the session stands for the first time, or has
	// ended before; stood says which.
	ready chan struct{}
	// wake has supervise look at its deadlines anew; room for one.
	wake chan struct{}
	// calls are kept for use again.
	calls sync.Pool

	mu    sync.Mutex // guards everything below; never held while anything blocks
	phase phase
	stood bool
	// err is why the session has ended.
	err    error
	number uint64
	// link is the present connection, trying one whose hello is not answered
	// yet. old ones have sent a hello too: they are kept open, unheard, until a
	// newer one stands or the locks are lost, because with
	// WithReleaseOnDisconnect the end of a connection can end the session.
	link, trying *link
	old          []*link
	// falls counts the links in a row that stood, but not for long.
	falls int
	vain  vain
	// trouble is why there is no link, once there was one; nil while there is.
	trouble error

	// sentAt and goodFor are the belief: when the newest message was sent that
	// was answered, and how long the answer is good for.
	sentAt  clock.Instant
	goodFor time.Duration
	// warned says that this belief is in jeopardy and that it was told.
	warned bool
	beat   heartbeat

	slots slots
	// slotFreed is closed and replaced when a slot becomes free that somebody
	// waits for; nil if nobody does.
	slotFreed chan struct{}
	// owed are holds to release for which there was no slot yet.
	owed  []*Lock
	order uint64
	// holds are the locks by token.
	holds map[uint64]*Lock
	// early are notices of holds that are not held yet: with much to tell, a
	// notice can come a frame before the answer that brings the grant. Empty
	// while no call is under way.
	early  map[uint64]*ldlmv2.Lost
	leases leaseQueue
	// retry says when deferred calls are asked again; zero if there are none.
	retry retry
}

const secretBytes = 32

// remaining is how long the session may still be believed in. mu is held.
func (s *session) remaining() time.Duration {
	return s.goodFor - s.client.since(s.sentAt)
}

// overdue reports whether the session is lost by the clock. mu is held.
func (s *session) overdue() bool {
	return s.phase != opening && s.phase != ended && s.remaining() <= 0
}

// begin gives a call a slot and sends it; without a link it is sent when there
// is one. If it falls to the caller to read the answer, that is there when begin
// returns, unless it takes long. errNoSlot if there is no slot for it.
func (s *session) begin(ca *call) error {
	s.mu.Lock()
	if err := s.enter(ca); err != nil {
		s.mu.Unlock()
		return err
	}
	d := s.takeDuty()
	s.mu.Unlock()
	d.do(ca)
	return nil
}

var errNoSlot = errors.New("all slots are in use")

// enter gives a call a slot and posts it. mu is held.
func (s *session) enter(ca *call) error {
	if s.phase == ended {
		return s.err
	}
	if !s.slots.take(ca) {
		return errNoSlot
	}
	s.order++
	ca.order = s.order
	s.post(ca)
	return nil
}

// cancelOp is all that a cancel says beside slot and seq.
var cancelOp = &ldlmv2.Cancel{}

// post sends a call, or what is left of it, over the present link. mu is held.
func (s *session) post(ca *call) {
	if s.link == nil {
		return
	}
	ca.deferred = false
	if ca.canceling {
		s.link.post(&ldlmv2.Op{Slot: ca.op.Slot, Seq: ca.op.Seq, Cancel: cancelOp})
		return
	}
	if ca.stamped {
		now := clock.Now()
		if ca.sent.IsZero() {
			ca.sent = now
		}
		s.shortenLease(ca, now)
	}
	s.link.post(&ca.op)
}

// shortenLease is for a call that is sent and may be a renewal to a shorter
// lease. When it is sent again it may be carried out only then, after a longer
// one that was sent later and answered. mu is held.
func (s *session) shortenLease(ca *call, now clock.Instant) {
	l := ca.lock
	if ca.op.Renew == nil || l == nil || l.state != held || l.lease.length == 0 {
		return
	}
	before := l.lease
	l.lease.shorten(now, fromMicros(ca.op.Renew.GetLeaseUs()))
	if l.lease.from != before.from {
		s.leases.plan(l, s.client)
		s.lookNow()
	}
}

// beginPatiently is begin for calls that any free slot will do for: it waits
// for one.
func (s *session) beginPatiently(ctx context.Context, ca *call) error {
	for {
		// Made before the attempt: a slot that becomes free after it closes it.
		s.mu.Lock()
		if s.slotFreed == nil {
			s.slotFreed = make(chan struct{})
		}
		freed := s.slotFreed
		s.mu.Unlock()
		err := s.begin(ca)
		if !errors.Is(err, errNoSlot) {
			return err
		}
		select {
		case <-freed:
		case <-s.ctx.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// complete ends a call whose answer, or error, is in it. mu is held.
func (s *session) complete(ca *call) {
	s.slots.free(ca)
	if s.slots.busy == 0 {
		s.early = nil
	}
	if s.slotFreed != nil {
		close(s.slotFreed)
		s.slotFreed = nil
	}
	ca.done = true
	if n := len(s.owed); n > 0 && s.phase != ended {
		l := s.owed[n-1]
		s.owed = s.owed[:n-1]
		s.releaseInBackground(l)
	}
	if ca.background || ca.canceling {
		s.freeCall(ca)
		return
	}
	ca.signals <- signalDone
}

// releaseInBackground releases a hold that the program has done with, and does
// not wait. Without a free slot it is owed until there is one. mu is held.
func (s *session) releaseInBackground(l *Lock) {
	ca := s.newCall()
	ca.background = true
	s.askRelease(ca, l)
	err := s.enter(ca)
	switch {
	case errors.Is(err, errNoSlot):
		s.owed = append(s.owed, l)
		s.freeCall(ca)
	case err != nil:
		s.freeCall(ca) // the session has ended, and the hold with it
	case s.link != nil:
		s.link.handOver()
	}
}

// leave is for a caller that goes before the outcome is there. The call goes
// on without it: an acquire is cancelled, and the cancel decides; anything else
// is repeated until its outcome is known. It reports false if the outcome is
// there already.
func (s *session) leave(ca *call) bool {
	s.mu.Lock()
	if ca.done {
		s.mu.Unlock()
		return false
	}
	if !ca.isAcquire() {
		ca.background = true
		s.mu.Unlock()
		return true
	}
	ca.canceling = true
	s.post(ca)
	if s.link != nil {
		s.link.handOver()
	}
	s.mu.Unlock()
	return true
}

// end makes the session over: lost, closed, or never come to stand. First its
// locks end, then its calls, then its connections. Only the first end counts.
func (s *session) end(err error, reason EndReason) {
	s.mu.Lock()
	if s.phase == ended {
		s.mu.Unlock()
		return
	}
	links := s.finish(err)
	locks := s.endHolds(reason)
	s.mu.Unlock()

	s.client.forget(s) // before anybody is told and asks again
	s.logger.Warn("ldlm: session is over", "session", s.number, "locks_lost", len(locks), "error", err)
	for _, l := range locks {
		l.announceLoss()
	}
	s.failCalls(err)
	s.cancel()
	for _, l := range links {
		l.close()
	}
}

// farewellPatience bounds how long closing waits for the server to confirm.
const farewellPatience = 2 * time.Second

// shutDown ends the session by the program's will: what it holds is released.
// It waits until the server has done so; if that cannot be, the error says so,
// and the server does when the session's time is over.
func (s *session) shutDown() error {
	s.mu.Lock()
	if s.phase == ended {
		s.mu.Unlock()
		return nil
	}
	l := s.link
	if l != nil {
		l.farewell = true
		l.append(&ldlmv2.ClientFrame{Close: &ldlmv2.CloseSession{}})
		l.handOver()
		l.attendLocked()
	}
	leaves := len(s.holds) > 0 || s.slots.busy > 0
	links := s.finish(ErrClosed)
	locks := s.releaseHolds()
	s.mu.Unlock()

	for _, lock := range locks {
		lock.cancelContexts(ErrReleased)
	}
	s.failCalls(ErrClosed)
	var err error
	if !s.seeOff(l) && leaves {
		err = &Error{Op: "close", kind: ErrUnknownOutcome, cause: errNotConfirmed}
	}
	s.cancel()
	for _, l := range links {
		l.close()
	}
	return err
}

var errNotConfirmed = errors.New("the server did not confirm; locks that are still held are free after the session's ttl")

// seeOff waits until the server has said, after a farewell, that the session is
// over. It reports false if that did not come to be.
func (s *session) seeOff(l *link) bool {
	if l == nil {
		return false
	}
	t := time.NewTimer(farewellPatience)
	defer t.Stop()
	select {
	case <-l.down:
		return errors.Is(l.err, ErrClosed)
	case <-t.C:
		return false
	}
}

// finish marks the session as over and returns its links. mu is held.
func (s *session) finish(err error) []*link {
	s.phase, s.err = ended, err
	links := s.old
	for _, l := range []*link{s.link, s.trying} {
		if l != nil {
			links = append(links, l)
		}
	}
	s.link, s.trying, s.old = nil, nil, nil
	return links
}

// endHolds ends everything that is held, in the order of the grants, and
// returns it. mu is held.
func (s *session) endHolds(reason EndReason) []*Lock {
	locks := make([]*Lock, 0, len(s.holds))
	for _, l := range s.holds {
		locks = append(locks, l)
	}
	slices.SortFunc(locks, func(a, b *Lock) int {
		if a.token < b.token {
			return -1
		}
		return 1
	})
	lost := locks[:0]
	for _, l := range locks {
		if s.lose(l, reason) {
			lost = append(lost, l)
		}
	}
	return lost
}

// failCalls ends all calls of a session that is over, and the waiting for it.
func (s *session) failCalls(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stood {
		close(s.ready)
	}
	for _, ca := range s.slots.underWay() {
		ca.err = err
		s.complete(ca)
	}
}

// lookNow has supervise look at its deadlines.
func (s *session) lookNow() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
