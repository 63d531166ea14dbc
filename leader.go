package ldlm

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/clock"
)

// noteLeader remembers who leads, and who else there is, as the server at an
// address tells.
func (c *Client) noteLeader(m *ldlmv2.Leader, at address) {
	leader := toldLeader(m)
	if m.GetSelf() {
		leader = at
	}
	var members []address
	for _, text := range m.GetMembers() {
		if a, err := parseAddress(text); err == nil {
			members = append(members, a)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leader, c.members = leader, members
}

// toldLeader is where the leader is: nowhere if there is none, if it is the
// server that tells, or if that does not know.
func toldLeader(m *ldlmv2.Leader) address {
	if m.GetSelf() || !m.GetKnown() {
		return address{}
	}
	a, err := parseAddress(m.GetAddress())
	if err != nil {
		return address{}
	}
	return a
}

// doubtLeader has an address tried in its turn and no longer first: a session
// came to nothing there.
func (c *Client) doubtLeader(a address) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leader == a {
		c.leader = address{}
	}
}

// prove notes that a session of this client stood at an address.
func (c *Client) prove(a address) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.proved, a) {
		c.proved = append(c.proved, a)
	}
}

// isProved reports whether it is one of our servers that listens at an address:
// the user said so, or a session stood there. Where servers are by their own
// account may be something else for us, such as a server of this machine.
func (c *Client) isProved(a address) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.addresses, a) || slices.Contains(c.proved, a)
}

// route returns the addresses to try, each once: the leader's first, then those
// that were given to Dial, then what servers told of each other; the one to
// avoid last.
func (c *Client) route(avoid address) []address {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []address
	add := func(a address) {
		if a.text != "" && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	add(c.leader)
	for _, a := range c.addresses {
		add(a)
	}
	for _, a := range c.members {
		add(a)
	}
	if i := slices.Index(all, avoid); i >= 0 {
		all = append(slices.Delete(all, i, i+1), avoid)
	}
	return all
}

const (
	// minMoveAfter is how long a session stays where it is after it was told of
	// a leader elsewhere: what is over soon need not move, and a leader may not
	// lead for long.
	minMoveAfter = time.Second
	// moveWithin spreads the moves of all the clients that were told at the
	// same time.
	moveWithin = 9 * time.Second
)

// maxDoublings bounds how much longer a session stays each time that it went
// on in vain: up to some minutes.
const maxDoublings = 6

// vain counts the moves in a row to an address that came to nothing: no session
// stood there, or not for long. Each was a break in the service, and where the
// session went back to it was told of the same leader again.
type vain struct {
	at    address
	times int
}

// noteMove notes what came of a move to an address. mu is held.
func (s *session) noteMove(to address, lasted bool) {
	switch {
	case lasted && s.vain.at == to:
		s.vain = vain{}
	case lasted:
	case s.vain.at == to:
		s.vain.times = min(s.vain.times+1, maxDoublings)
	default:
		s.vain = vain{at: to, times: 1}
	}
}

// moveDelay is how long the session stays where it is before it moves to an
// address. mu is held.
func (s *session) moveDelay(to address) time.Duration {
	d := minMoveAfter + rand.N(moveWithin) //nolint:gosec // nobody gains by guessing it
	if s.vain.at == to {
		d <<= s.vain.times
	}
	return d
}

// move is the plan of a link to go on to the leader. The zero move is none.
type move struct {
	to    address
	since clock.Instant // when it was told
	delay time.Duration
	order uint64 // of the newest call by then
}

// planMove has the session go on to who leads, unless that is where the link
// is. At another member each step takes longer. Who came over a socket of this
// machine stays: what is said there may not be meant for a network, nor may the
// way to it be encrypted. So does a session that ends with its connection: each
// change of that is a risk. mu is held.
func (s *session) planMove(l *link, m *ldlmv2.Leader) {
	l.leader, l.move = toldLeader(m), move{}
	if l.address.network == "unix" || s.client.config.closeOnEnd {
		return
	}
	if l.leader != (address{}) && l.leader != l.address {
		s.moveLater(l)
	}
}

// moveLater has the session go on to the leader from a link, some time later. mu is held.
func (s *session) moveLater(l *link) {
	l.move = move{to: l.leader, since: clock.Now(), delay: s.moveDelay(l.leader), order: s.order}
	s.lookNow()
}

// lookAtMove goes on to the leader when it is time. Who asks for nothing meanwhile gains
// nothing by that, and would cost the log an entry: it stays for that long again.
func (s *session) lookAtMove() time.Duration {
	l := s.link
	if l == nil || l.move.to == (address{}) {
		return never
	}
	if due := l.move.delay - s.client.since(l.move.since); due > 0 {
		return due
	}
	if l.move.order == s.order {
		s.moveLater(l)
		return l.move.delay
	}
	to := l.move.to
	l.move = move{}
	s.client.spawn(func() { s.moveOver(l, to) })
	return never
}

var errMoved = errors.New("the session goes on to the leader")

// moveOver takes the session from a link to another address. It connects there
// before it leaves.
func (s *session) moveOver(from *link, to address) {
	ctx, cancel := s.bounded()
	c, err := s.client.carry(ctx, to)
	cancel()
	switch {
	case s.ctx.Err() != nil:
		if err == nil {
			c.Close()
		}
		return
	case err != nil:
		s.logger.Info("ldlm: the leader is not reached from here; the session stays", "session", s.number, "address", to.text, "error", err)
		s.movedInVain(from, to)
		return
	case !s.isLed(from, to):
		c.Close()
		return
	}
	ctx, cancel = s.bounded()
	defer cancel()
	if err := s.try(ctx, c, to, from); err != nil && !errors.Is(err, errNotWanted) && s.ctx.Err() == nil {
		s.logger.Info("ldlm: no session at the leader", "session", s.number, "address", to.text, "error", err)
		s.movedInVain(from, to)
		s.connect(to)
	}
}

// isLed reports whether the session is still where it was, and was told of no other
// leader meanwhile.
func (s *session) isLed(from *link, to address) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isLedLocked(from, to)
}

func (s *session) isLedLocked(from *link, to address) bool {
	return s.link == from && from.leader == to
}

// movedInVain notes that no session stood where it was to go. If it is still where it
// was, where it is served as well, it goes there later.
func (s *session) movedInVain(from *link, to address) {
	s.client.doubtLeader(to)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteMove(to, false)
	if s.isLedLocked(from, to) {
		s.moveLater(from)
	}
}
