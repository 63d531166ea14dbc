package sim

import (
	"fmt"
	"slices"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// client is a machine with a program on it that takes locks: over a session,
// or with the first protocol.
type client struct {
	w       *world
	number  int
	machine *machine
	onEnd   lock.OnEnd
	ttl     span
	// session is the present one; earlier ones are kept for the observer where
	// a client that breaks a rule may believe in them again.
	session *session
	earlier []*session
	tasks   []*task
	// caller is the connection of a client of the first protocol.
	v1     bool
	caller *v1Caller
	// down says that the process is dead, or was not started yet.
	down bool
	// severed is when a connection was broken last without a word.
	severed instant
}

func (c *client) name() string { return c.machine.name }

func newClient(w *world, number int, v1 bool) *client {
	c := &client{w: w, number: number, v1: v1, ttl: w.plan.ttl, down: true}
	c.machine = newMachine(w, fmt.Sprintf("client %d", number))
	if !v1 && w.happens(w.plan.endWithConnection) {
		c.onEnd = lock.OnEndClose
	}
	return c
}

// start begins a process: its program does several things at once.
func (c *client) start() {
	c.down = false
	c.tasks = nil
	for i := range c.w.plan.tasks {
		c.tasks = append(c.tasks, &task{c: c, number: i})
	}
	if c.v1 {
		c.caller = newV1Caller(c)
	} else {
		c.open()
	}
	for _, t := range c.tasks {
		t.rest()
	}
}

// open opens a new session.
func (c *client) open() {
	if c.session != nil && c.w.broken.Revives {
		c.earlier = append(c.earlier, c.session)
	}
	s := &session{client: c, ttl: c.ttl, onEnd: c.onEnd}
	for i := range 4 {
		s.secret[i] = byte(c.w.chance.IntN(256))
	}
	s.secret[4] = 1
	c.session = s
	s.connect()
}

// crash ends the process. Its machine ends the connections, unless it went down too.
func (c *client) crash(machineToo bool) {
	c.w.note(c.name(), "crashes, with its machine %v", machineToo)
	plugs := c.plugs()
	c.machine.die()
	c.down = true
	for _, p := range plugs {
		if machineToo {
			p.cable.breakSilently(true, true)
		} else {
			p.close()
		}
	}
	c.session, c.earlier, c.caller = nil, nil, nil
}

// running reports whether the process that has the session runs, or is halted.
func (c *client) running(s *session) bool {
	if c.down {
		return false
	}
	return c.session == s || slices.Contains(c.earlier, s)
}

// sessionStands lets the program go on that waited for a session.
func (c *client) sessionStands(s *session) {
	if s != c.session {
		return
	}
	for _, t := range c.tasks {
		t.mayGoOn()
	}
}

// sessionEnded gives up what the program did and opens a new session later.
func (c *client) sessionEnded(s *session) {
	for _, h := range append([]*hold(nil), s.holds...) {
		h.end("its session is over")
	}
	for _, t := range c.tasks {
		t.rest()
	}
	c.machine.after(c.w.between(100*millisecond, second), func() {
		if c.session == s {
			c.open()
		}
	})
}
