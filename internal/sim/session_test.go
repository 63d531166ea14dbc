package sim

import (
	"slices"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// session is a session from its client's side: what a client has to do so that
// it never believes in a lock that somebody else may have.
type session struct {
	client *client
	secret lock.SecretHash
	number lock.SessionNumber
	ttl    span
	onEnd  lock.OnEnd
	// life of the table that knows it; for the observer alone.
	life int

	// until is when belief ends by the client's clock.
	until reading
	// over says that it was lost or closed. That is final.
	over bool

	// link is the newest connection, old those before it that are still open.
	link *clientLink
	old  []*clientLink
	// dialing says that a connection is being made.
	dialing bool
	// beats numbers the keep-alives.
	beats uint64

	calls []*call // by slot; nil where it is free
	seqs  []uint64
	holds []*hold
}

// clientLink is one connection of a session.
type clientLink struct {
	s    *session
	plug *plug
	// asked is when its hello was sent, attach the number that the answer gave it.
	asked    reading
	attach   uint64
	standing bool
	sent     []sentBeat
	// unanswered counts the hello and the keep-alives since the last answer.
	unanswered int
}

// sentBeat is a keep-alive that was sent and not answered.
type sentBeat struct {
	number uint64
	at     reading
}

// now is the clock that the client counts by.
func (s *session) now() reading {
	if m := s.client.machine; s.client.w.broken.ClockStopsInSuspend {
		return m.monotonic()
	}
	return s.client.machine.boot()
}

// believes reports whether the client takes the session for its own.
func (s *session) believes() bool {
	return !s.over && s.number != 0 && s.now() < s.until && s.client.running(s)
}

// look declares the session lost when its time is over. Whatever the client
// does begins with it.
func (s *session) look() {
	if !s.over && s.number != 0 && s.now() >= s.until {
		s.lose("its time was over")
	}
}

// lose ends the session on the client's side: first the locks, then the
// session, then the connections.
func (s *session) lose(why string) {
	c := s.client
	c.w.note(c.name(), "loses session %d: %s", s.number, why)
	c.w.watch.lost(c, s)
	s.over = true
	if s.link != nil && s.link.standing {
		s.link.plug.send(goodbye{})
	}
	s.hangUp()
	c.sessionEnded(s)
}

func (s *session) hangUp() {
	if s.client.w.broken.Revives {
		return
	}
	if s.link != nil {
		s.link.plug.close()
	}
	for _, l := range s.old {
		l.plug.close()
	}
	s.link, s.old = nil, nil
}

// connect makes a new connection. The one before is kept, unheard.
func (s *session) connect() {
	if s.dialing || s.over {
		return
	}
	s.dialing = true
	c := s.client
	if s.link != nil {
		if c.w.broken.ClosesOldEarly {
			s.link.plug.close()
		}
		s.old = append(s.old, s.link)
		s.link = nil
	}
	c.w.dial(c.machine, func(p *plug) {
		s.dialing = false
		switch s.look(); {
		case p == nil && !s.over:
			s.reconnect()
		case p != nil && s.over:
			p.close()
		case p != nil:
			s.greet(p)
		}
	})
}

// reconnect is connect after a moment.
func (s *session) reconnect() {
	s.client.machine.after(s.client.w.between(10*millisecond, 300*millisecond), func() {
		if s.look(); s.link == nil || !s.link.plug.open() {
			s.connect()
		}
	})
}

// greet sends hello on a new connection. From now on nothing that is sent on
// an older one counts.
func (s *session) greet(p *plug) {
	c := s.client
	l := &clientLink{s: s, plug: p, asked: s.now(), unanswered: 1}
	s.link = l
	p.receive = func(f frame) { l.receive(f) }
	p.hangup = func() { l.hangup() }
	p.send(hello{session: s.number, secret: s.secret, ttl: s.ttl, onEnd: s.onEnd})
	c.w.note(c.name(), "says hello for session %d on cable %d", s.number, p.cable.number)
	c.machine.after(s.ttl/5, l.beat)
}

// beat sends a keep-alive, and gives the connection up when two in a row were
// not answered.
func (l *clientLink) beat() {
	s := l.s
	if s.look(); s.over || !l.plug.open() {
		return
	}
	if s.link != l && !s.client.w.broken.OldConnectionsCount {
		return
	}
	if l.unanswered >= 2 && s.link == l && !s.client.w.broken.WaitsOnDeadConnection {
		s.client.w.note(s.client.name(), "gives cable %d up", l.plug.cable.number)
		s.connect()
	}
	s.beats++
	l.sent = append(l.sent, sentBeat{s.beats, s.now()})
	l.unanswered++
	l.plug.send(keepAlive{s.beats})
	s.client.machine.after(s.ttl/5, l.beat)
}

// receive takes a frame of the member.
func (l *clientLink) receive(f frame) {
	s := l.s
	if s.look(); s.over && !s.client.w.broken.Revives {
		return
	}
	switch f := f.(type) {
	case welcome:
		l.welcome(f)
	case confirmation:
		l.confirmed(f)
	case answer:
		if s.link == l {
			l.extendByAnswer(f)
			s.answered(f)
		}
	case notice:
		s.noticed(f)
	case ended:
		if s.link == l && !s.over {
			s.lose("the member says so")
		}
	}
}

// extendByAnswer lets an answer to an operation extend the session, which only
// answers to hello and keep-alives may.
func (l *clientLink) extendByAnswer(f answer) {
	s := l.s
	if !s.client.w.broken.OperationsExtend || int(f.slot) >= len(s.calls) || s.calls[f.slot] == nil {
		return
	}
	if f.outcome.Code == lock.OK {
		s.extend(s.calls[f.slot].sent, s.client.w.margin(s.ttl))
	}
}

// welcome takes the answer to hello.
func (l *clientLink) welcome(f welcome) {
	s := l.s
	l.unanswered, l.attach = 0, f.attach
	if s.link != l {
		s.closeOld()
		return
	}
	l.standing = true
	s.number, s.ttl, s.life = f.session, f.ttl, s.client.w.journal.life
	s.extend(l.asked, f.validFor)
	s.closeOld()
	if f.alive != nil {
		s.dropMissing(f.alive)
	}
	s.askAgain()
	s.client.sessionStands(s)
}

// closeOld closes the connections that are certainly not the session's present
// one any more. Where the end of a connection ends its session, closing any
// other would let somebody else have the locks: its hello may be on the way
// still and make it the present one.
func (s *session) closeOld() {
	broken := s.client.w.broken
	if broken.OldConnectionsCount {
		return
	}
	s.old = slices.DeleteFunc(s.old, func(old *clientLink) bool {
		over := s.link != nil && 0 < old.attach && old.attach < s.link.attach
		if over = over || broken.ClosesOldBlindly; over {
			old.plug.close()
		}
		return over || !old.plug.open()
	})
}

// extend moves the end of belief.
func (s *session) extend(from reading, validFor span) {
	if s.client.w.broken.CountsFromAnswer {
		from = s.now()
	}
	s.until = max(s.until, from.add(validFor))
	if s.over && s.now() < s.until {
		s.over = false // only a client that breaks the rule comes here
		s.client.w.note(s.client.name(), "revives session %d", s.number)
	}
}

// confirmed takes the answer to a keep-alive. It counts from when that was
// sent, and only if that was before anything newer was said elsewhere.
func (l *clientLink) confirmed(f confirmation) {
	s := l.s
	for i, b := range l.sent {
		its := b.number == f.number
		if s.client.w.broken.IgnoresNumbers {
			its = i == len(l.sent)-1
		}
		if !its {
			continue
		}
		l.sent = l.sent[i+1:]
		l.unanswered = len(l.sent)
		newest := s.link == nil || s.link == l || b.at < s.link.asked
		if newest || s.client.w.broken.OldConnectionsCount {
			s.extend(b.at, f.validFor)
		}
		return
	}
}

// hangup is told that the member, or something between, ended the connection.
func (l *clientLink) hangup() {
	s := l.s
	if s.look(); s.over || s.link != l {
		return
	}
	s.reconnect()
}

// dropMissing ends the holds that the table does not have any more.
func (s *session) dropMissing(alive *lock.Alive) {
	if s.client.w.broken.IgnoresAlive {
		return
	}
	known := map[lock.Token]bool{}
	for _, t := range alive.Tokens {
		known[t] = true
	}
	for _, h := range append([]*hold(nil), s.holds...) {
		if !known[h.token] {
			h.end("it is not alive after resuming")
		}
	}
}

// noticed takes a notice. What was revoked, or is left of a grant of several
// locks, is let go: the release says so.
func (s *session) noticed(n notice) {
	for _, h := range append([]*hold(nil), s.holds...) {
		if h.token != n.token {
			continue
		}
		h.end("a notice says so")
		if !n.revoked {
			h.items = slices.DeleteFunc(slices.Clone(h.items), func(it lock.Item) bool { return it.Name == n.name })
		}
		if len(h.items) > 0 {
			s.release(h, func(lock.Outcome) {})
		}
	}
}
