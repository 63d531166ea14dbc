package ldlm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/clock"
)

const (
	// openPatience bounds an attempt to open a session at one address.
	openPatience = 5 * time.Second
	// minResumePatience is the least time that an attempt to resume gets; it
	// gets half of what is left of the session, but at most openPatience.
	minResumePatience = 250 * time.Millisecond

	protocolVersion = 2
)

// connect makes a link for a session that has none. A session that does not
// stand yet gets one round over all addresses; a session that may be resumed
// as many as its time allows.
func (s *session) connect(avoid address) {
	for failures := 0; ; failures++ {
		err := s.connectOnce(avoid)
		switch {
		case err == nil || s.ctx.Err() != nil:
			return
		case s.isOpening():
			s.client.noteFailure()
			s.end(openError(err), ReasonUnconfirmed)
			return
		case sleep(s.ctx, s.pause(failures)) != nil:
			return
		}
		avoid = address{}
	}
}

// pause is how long to wait after so many failures before the last one: of a
// session that has little time left, little.
func (s *session) pause(failures int) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(backoff(failures), max(firstBackoff, s.remaining()/4))
}

// openError is the error of a session that could not be opened.
func openError(err error) error {
	var e *Error
	if isPermanent(err) && errors.As(err, &e) {
		return e
	}
	return &Error{Op: "open session", kind: ErrUnavailable, cause: err}
}

// connectOnce tries each address once, the one to avoid last.
func (s *session) connectOnce(avoid address) error {
	var errs []error
	for _, a := range s.client.route(avoid) {
		err := s.attempt(a)
		if err == nil {
			return nil
		}
		if s.ctx.Err() != nil {
			return err
		}
		s.logger.Info("ldlm: no session here", "address", a.text, "error", err)
		if s.isOpening() && isPermanent(err) {
			return err
		}
		err = fmt.Errorf("%s: %w", a.text, err)
		s.noteTrouble(err)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// noteTrouble notes why there is no link.
func (s *session) noteTrouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = err
}

func (s *session) isOpening() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == opening
}

// attempt connects to an address and waits until the session stands there.
func (s *session) attempt(a address) error {
	ctx, cancel := s.bounded()
	defer cancel()
	c, err := s.client.carry(ctx, a)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		return err
	}
	return s.try(ctx, c, a, nil)
}

// bounded is the context of an attempt to have the session stand somewhere.
func (s *session) bounded() (context.Context, context.CancelFunc) {
	patience := s.attemptPatience()
	return context.WithTimeoutCause(s.ctx, patience, fmt.Errorf("no answer within %s", patience))
}

func (s *session) attemptPatience() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == opening {
		return openPatience
	}
	return min(openPatience, max(minResumePatience, s.remaining()/2))
}

// errNotWanted is for a connection that is not needed any more.
var errNotWanted = errors.New("the session has ended, or found another connection")

// try says hello on a connection and waits until the session stands there. from
// is the link that it leaves for that; nil if it has none.
func (s *session) try(ctx context.Context, c carrier, a address, from *link) error {
	l := newLink(s, c, a)
	if !s.greet(l, from) {
		c.Close()
		return errNotWanted
	}
	var err error
	select {
	case <-l.standing:
	case <-l.down:
		err = l.err
	case <-ctx.Done():
		s.abandon(l)
		err = context.Cause(ctx)
	}
	select {
	case <-l.standing: // what has become of it since then is looked after elsewhere
		return nil
	default:
		return err
	}
}

// greet sends hello on a new link and starts its goroutines; nothing that comes
// over the link before it counts from now on. It reports false if the session
// is over, or not on that link.
func (s *session) greet(l, from *link) bool {
	hello := s.client.hello(s.secret[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == ended || s.link != from {
		return false
	}
	if from != nil {
		l.moved = true
		s.noteFall(from)
		s.setAside(from, errMoved)
		s.link, s.phase, s.trouble = nil, detached, errMoved
	}
	hello.Session = s.number
	s.trying = l
	l.sent = clock.Now()
	l.append(&ldlmv2.ClientFrame{Hello: hello})
	l.seal() // hello is a frame of its own: what follows may need the answer
	s.client.spawn(l.runReads)
	s.client.spawn(l.runWrites)
	l.handOver()
	return true
}

// hello is what the client says first.
func (c *Client) hello(secret []byte) *ldlmv2.Hello {
	h := &ldlmv2.Hello{
		Version:       protocolVersion,
		Credential:    c.config.password,
		Client:        toClientInfo(&c.config.info),
		Secret:        secret,
		TtlUs:         c.config.ttl.Microseconds(),
		OnEndOfStream: ldlmv2.OnEndOfStream_ON_END_OF_STREAM_KEEP,
		Value:         c.config.value,
	}
	if c.config.closeOnEnd {
		h.OnEndOfStream = ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE
	}
	return h
}

// abandon stops listening to a link whose hello was not answered in time.
func (s *session) abandon(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trying == l {
		s.trying = nil
		s.old = append(s.old, l)
	}
}

// stand puts the session on a link whose hello is answered. Calls under way are
// sent again with the slots and numbers that they have, in their old order. mu
// is held.
func (s *session) stand(l *link) {
	w := l.welcome
	if s.phase == opening {
		s.number = w.GetSession()
		s.stood = true
		close(s.ready)
		s.client.noteSuccess()
		s.client.spawn(s.supervise)
	}
	s.phase, s.link, s.trying, s.trouble = attached, l, nil, nil
	s.client.prove(l.address)
	s.slots.max, s.slots.maxWaiting = slotLimits(w)
	s.beat.restart(fromMicros(w.GetKeepAliveEveryUs()), l.sent)
	s.believe(l.sent, fromMicros(w.GetValidForUs()))
	s.retireOld()
	calls := s.slots.underWay()
	slices.SortFunc(calls, func(a, b *call) int { return cmp.Compare(a.order, b.order) })
	for _, ca := range calls {
		s.post(ca)
	}
	s.retry = retry{}
	close(l.standing)
	s.lookNow()
	l.logger.Info("ldlm: session stands", "session", s.number, "resumed", w.GetResumed(), "calls", len(calls))
}

// retireOld closes the links that the present one replaces. But where the end of
// a connection can end the session those stay on which no word came after hello:
// that may still be on its way, or unread, and would come after this link's, with
// the end behind it. mu is held.
func (s *session) retireOld() {
	old := s.old
	s.old = nil
	if s.client.config.closeOnEnd {
		unheard := func(l *link) bool { return l.welcome == nil && !l.heard }
		for _, l := range old {
			if unheard(l) {
				s.old = append(s.old, l)
			}
		}
		old = slices.DeleteFunc(old, unheard)
	}
	if len(old) == 0 {
		return
	}
	s.client.spawn(func() {
		for _, l := range old {
			l.close()
		}
	})
}

const (
	defaultSlots        = 65_536
	defaultWaitingSlots = 61_440
	// maxSlots bounds what a client makes use of, whatever a server offers.
	maxSlots = 1 << 20
)

// slotLimits are the server's limits on slots, with defaults for what it does
// not say.
func slotLimits(w *ldlmv2.Welcome) (most, waiting int) {
	most, waiting = int(min(w.GetMaxSlots(), maxSlots)), int(min(w.GetMaxWaitingSlots(), maxSlots))
	if most == 0 {
		most = defaultSlots
	}
	if waiting == 0 {
		waiting = defaultWaitingSlots
	}
	return most, min(waiting, most)
}

// linkBroke is called when the connection of a link ended or failed.
//
// With WithReleaseOnDisconnect the server ends the session if it believes that
// this client ended the connection. Unless it was the server that did, it may
// believe so: then the locks are lost at once. A write that took too long ends
// no connection.
func (s *session) linkBroke(l *link, err error) {
	ended := !l.carrier.PeerEnded() && !errors.Is(err, os.ErrDeadlineExceeded)
	if s.client.config.closeOnEnd && ended && s.mayLiveBy(l) {
		s.logger.Warn("ldlm: connection broke; its session ends with it", "error", err)
		s.end(errSessionLost, ReasonSessionClosed)
		return
	}
	s.linkFailed(l, err)
}

// mayLiveBy reports whether the server may take the end of a link for that of
// the session: it stands on it; or the server may think so, because a hello went
// out on it and none was answered since.
func (s *session) mayLiveBy(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.phase {
	case attached:
		return s.link == l
	case detached:
		return !l.closed && (s.trying == l || slices.Contains(s.old, l))
	default:
		return false
	}
}

// linkFailed is called when the session can go on no more with a link. If it
// stood on it, another link is made.
func (s *session) linkFailed(l *link, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case l.farewell:
		l.farewell, l.err = false, err
		close(l.down)
	case l.closed || l != s.trying && l != s.link:
		l.heard = true
	case l == s.trying:
		s.setAside(l, err)
		s.trying = nil
	default:
		s.setAside(l, err)
		s.link, s.phase = nil, detached
		s.trouble = fmt.Errorf("%s: %w", l.address.text, err)
		l.logger.Warn("ldlm: connection failed; resuming", "session", s.number, "left", s.remaining(), "error", err)
		s.client.doubtLeader(l.address)
		s.noteFall(l)
		falls := s.falls
		s.client.spawn(func() {
			if falls < 2 || sleep(s.ctx, s.pause(falls-2)) == nil {
				s.connect(l.address)
			}
		})
	}
}

// shortLife is how soon a link must fail to be one of those that a server, or
// something on the way, lets stand and then cuts.
const shortLife = time.Second

// noteFall counts the links in a row that stood, but not for long. mu is held.
func (s *session) noteFall(l *link) {
	lasted := s.client.since(l.sent) >= shortLife
	if lasted {
		s.falls = 0
	} else {
		s.falls++
	}
	if l.moved {
		s.noteMove(l.address, lasted)
	}
}

// setAside notes why a link is heard no more. It stays open for now. mu is held.
func (s *session) setAside(l *link, err error) {
	s.old = append(s.old, l)
	l.err = err
	close(l.down)
}
