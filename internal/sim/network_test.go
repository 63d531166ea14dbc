package sim

// frame is what travels on a connection. It is not changed once it was sent.
type frame any

// fin is the frame that ends a connection.
type fin struct{}

// cable is a connection between a client and a server. As TCP does, it delivers
// frames in their order and whole, or not at all: what is lost is everything
// from some frame on. It can break without either side being told.
type cable struct {
	w      *world
	number int
	// near is the client's end, far the server's.
	near, far *plug
}

// plug is one end of a cable.
type plug struct {
	cable *cable
	other *plug
	host  *machine
	life  int // of the process that has it
	// receive and hangup are told of frames and of the end by the other side.
	receive func(frame)
	hangup  func()

	inbox []packet
	last  instant // the latest arrival planned
	cut   bool    // nothing arrives any more
	// closed says that this side has closed it, or has been told of its end.
	closed bool
}

type packet struct {
	frame frame
	at    instant
}

// dialTimeout is how long a client waits for a connection.
const dialTimeout = second

// dial connects a client's process to the server. done is told the client's
// end, or nil.
func (w *world) dial(from *machine, done func(*plug)) {
	life := from.life
	answer := func(p *plug) {
		from.after(0, func() { done(p) })
	}
	if w.now < from.cutOffUntil {
		from.after(dialTimeout, func() { done(nil) })
		return
	}
	w.in(w.latency(), func() {
		if from.life != life {
			return
		}
		if w.member.down {
			answer(nil)
			return
		}
		answer(w.connect(from, w.member.machine))
	})
}

// connect makes a cable between the present processes of two machines.
func (w *world) connect(client, server *machine) *plug {
	w.cables++
	c := &cable{w: w, number: w.cables}
	c.near = &plug{cable: c, host: client, life: client.life}
	c.far = &plug{cable: c, host: server, life: server.life}
	c.near.other, c.far.other = c.far, c.near
	w.member.accept(c.far)
	return c.near
}

func (w *world) latency() span { return w.between(100*microsecond, 2*millisecond) }

// latency is how long a frame takes; now and then it has to be sent again.
func (c *cable) latency() span {
	w := c.w
	d := w.latency()
	if w.happens(w.plan.late) {
		d += w.between(0, w.plan.lateMost)
		c.near.host.trouble(d)
	}
	return d
}

// send sends a frame to the other end.
func (p *plug) send(f frame) {
	q, w := p.other, p.cable.w
	if p.closed || q.cut {
		return
	}
	at := w.now.add(p.cable.latency())
	at = max(at, q.last, p.cable.near.host.cutOffUntil)
	q.last = at
	q.inbox = append(q.inbox, packet{f, at})
	w.at(at, q.arrive)
}

// arrive hands over what has arrived by now.
func (p *plug) arrive() {
	if p.host.life == p.life && p.host.halted {
		p.host.overdue = append(p.host.overdue, p.arrive)
		return
	}
	for len(p.inbox) > 0 && p.inbox[0].at <= p.cable.w.now && p.open() {
		f := p.inbox[0].frame
		p.inbox = p.inbox[1:]
		if _, end := f.(fin); end {
			p.closed = true
			p.hangup()
			return
		}
		p.receive(f)
	}
}

// open reports whether this side has neither closed the connection nor seen
// its end.
func (p *plug) open() bool { return !p.closed && p.host.life == p.life }

// close ends the connection from this side. The other is told unless the cable
// is broken.
func (p *plug) close() {
	if !p.closed {
		p.send(fin{})
		p.closed = true
	}
}

// breakSilently makes the connection lose everything from now on, in one direction or
// in both, and tells nobody.
func (c *cable) breakSilently(toServer, toClient bool) {
	c.far.cut, c.near.cut = c.far.cut || toServer, c.near.cut || toClient
	for _, p := range [...]*plug{c.far, c.near} {
		if p.cut {
			p.inbox = nil
		}
	}
}

// reset has something between the two ends end the connection: both are told,
// and what was under way is lost.
func (c *cable) reset() {
	for _, p := range [...]*plug{c.near, c.far} {
		if p.cut || p.closed {
			continue
		}
		p.inbox = nil
		p.other.send(fin{})
		p.cut = true
	}
}

// whole reports whether both ends still think that they are connected, and are.
func (c *cable) whole() bool {
	return c.near.open() && c.far.open() && !c.near.cut && !c.far.cut
}
