package wire

import (
	"errors"
	"sync"
	"time"
)

// Handler is told what happens on a connection that a [Poller] serves, by the
// poller's goroutine, one call at a time. None of its methods may wait: all other
// connections of the poller wait with it.
//
// While the other side does not take what was written, nothing is read from it
// and neither Readable nor Attend is called, so that what gathers for it is bounded
// by what it may have outstanding, and by what one call answers.
type Handler interface {
	// Readable says that something has come. What is buffered is to be read, and
	// no more: see [Conn.Buffered]. A handler that leaves some of it, to let others
	// have their turn, says so, and is called again in turn with all that did. Nothing
	// else is read meanwhile.
	Readable() (unread bool)
	// Attend says that [Conn.Rouse] was called since the last call, or [Conn.Close],
	// which ends the connection right after; what is written then is sent.
	Attend()
	// Over is the last call. The connection is closed; err is what reading or
	// writing has ended with, io.EOF if the other side did between two frames.
	Over(err error)
}

// Poller serves many connections in one goroutine: it waits for all of them at
// once, reads what has come, once for each, and lets their handlers answer. A
// connection that is quiet costs neither a goroutine nor a buffer. Who asks for much at
// once waits in line, and between two turns of that line all others are served. It is what a
// loop over epoll is to other servers; the runtime's own needs, for each time that
// something comes, a change of goroutines and a read in vain.
//
// While one event follows the other closely the poller does not sleep in between,
// see [pace]. All methods are safe for concurrent use.
type Poller struct {
	system poll // the system's part, which see
	// handled is called when what has come is handled, as NewPoller says.
	handled func()

	// buf is what connections are read into, one after the other.
	buf  []byte
	done chan struct{} // closed when the goroutine has ended
	pace pace
	// line are the connections whose handlers have left something; the goroutine's.
	line []*polled

	mu sync.Mutex // guards what follows; held for a few assignments
	// conns are the connections, by descriptor.
	conns map[int]*polled
	// roused are those that are to be looked at without an event, awake those that have
	// rested and are to stand in line.
	roused, awake []*polled
	// running: the goroutine was started; it is once there is something to wait for.
	// sleeping says that it has to be woken up.
	running, sleeping, closed bool
}

// NewPoller returns a poller, whose goroutine begins with the first connection.
// Without spin it sleeps whenever nothing has come, as is right where there is just
// one processor. It calls handled each time that all handlers have been told what has
// come, before it has any of them attend, and before it sleeps.
func NewPoller(spin bool, handled func()) *Poller {
	return &Poller{done: make(chan struct{}), conns: map[int]*polled{}, pace: pace{may: spin}, handled: handled}
}

// start starts the goroutine, if there is none yet. It reports false if there is
// still none: the poller is closed, or the system has no more descriptors for now.
func (p *Poller) start() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running {
		return true
	}
	if p.closed || p.system.open() != nil {
		return false
	}
	p.running, p.buf = true, make([]byte, mostBuffer)
	go p.run()
	return true
}

// Close ends the goroutine, after it has closed all connections that are left.
func (p *Poller) Close() {
	p.mu.Lock()
	p.closed = true
	running := p.running
	p.mu.Unlock()
	if running {
		p.wake()
		<-p.done
	}
}

// Adopt has the poller serve a connection from now on, of which one frame at least
// was read. It reports false, and changes nothing, if that cannot be, as with TLS, on
// systems that have no epoll, where descriptors have run out and after [Conn.Finish]:
// then the connection goes on as ever. From then on nobody else reads, and writes do
// not wait.
func (p *Poller) Adopt(c *Conn, h Handler) bool {
	fd, ok := p.system.descriptor(c.conn)
	if !ok {
		return false
	}
	if !p.start() {
		p.system.release(fd)
		return false
	}
	pc := &polled{poller: p, conn: c, fd: fd, handler: h, unread: c.Buffered()}
	c.turn.take() // who writes from now on finds it polled
	defer c.turn.giveBack()
	if c.finished.Load() || !p.take(pc) {
		p.system.release(fd)
		return false
	}
	c.polled.Store(pc)
	_ = c.conn.Close() // fd is a copy; the runtime must not wait for the old one any more
	if c.closed.Load() {
		pc.close()
	}
	p.rouse(pc) // for what was read before
	return true
}

// take enters a connection. It reports whether that worked.
func (p *Poller) take(c *polled) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.system.add(c.fd) != nil {
		return false
	}
	p.conns[c.fd] = c
	return true
}

// rouse has the goroutine look at a connection, for no event of it.
func (p *Poller) rouse(c *polled) {
	p.mu.Lock()
	if !c.roused && !c.gone {
		c.roused = true
		p.roused = append(p.roused, c)
	}
	p.mu.Unlock()
	p.wake()
}

// rested has a connection that has rested stand in line.
func (p *Poller) rested(c *polled) {
	p.mu.Lock()
	if !c.gone {
		p.awake = append(p.awake, c)
	}
	p.mu.Unlock()
	p.wake()
}

// wake sees to it that the goroutine looks around.
func (p *Poller) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sleeping {
		p.sleeping = false
		p.system.wake()
	}
}

func (p *Poller) run() {
	defer close(p.done)
	var ready []event
	var conns []*polled
	for {
		ready = p.wait(ready)
		var closed bool
		conns, closed = p.find(conns, ready)
		if closed {
			p.closeAll()
			return
		}
		for i, c := range conns {
			if c != nil {
				c.serve(ready[i])
			}
		}
		clear(conns)
		p.handled()
		p.attend()
		p.nextTurn()
		p.handled()
	}
}

// nextTurn lets one of those go on that stand in line.
func (p *Poller) nextTurn() {
	if len(p.line) == 0 {
		return
	}
	c := p.line[0]
	p.line[0] = nil
	p.line = p.line[1:]
	c.takeTurn()
}

// find returns the connections of events, and whether the poller was closed.
func (p *Poller) find(conns []*polled, ready []event) ([]*polled, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns = conns[:0]
	for _, e := range ready {
		conns = append(conns, p.conns[e.descriptor()])
	}
	return conns, p.closed
}

// attend looks after those that were roused. Those that are meanwhile come after
// what has happened to others.
func (p *Poller) attend() {
	p.mu.Lock()
	roused, awake := p.roused, p.awake
	p.roused, p.awake = nil, nil
	for _, c := range roused {
		c.roused = false
	}
	p.mu.Unlock()
	for _, c := range awake {
		c.resting = nil
	}
	p.line = append(p.line, awake...)
	for _, c := range roused {
		c.attend()
	}
}

// wait returns what has happened; nothing if somebody was roused.
func (p *Poller) wait(ready []event) []event {
	for began := time.Now(); ; {
		if ready = p.system.look(ready, false); len(ready) > 0 || len(p.line) > 0 || p.busy() {
			return ready
		}
		if !p.pace.spins(began) {
			break
		}
		p.system.yield()
	}
	if !p.mayWait() {
		return ready
	}
	began := time.Now()
	ready = p.system.look(ready, true)
	p.pace.slept(time.Since(began))
	p.mu.Lock()
	p.sleeping = false
	p.mu.Unlock()
	return ready
}

// busy reports whether there is something to do without an event.
func (p *Poller) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed || len(p.roused)+len(p.awake) > 0
}

// mayWait reports whether there is nothing to do; then the goroutine is to sleep,
// and will be woken up.
func (p *Poller) mayWait() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sleeping = !p.closed && len(p.roused)+len(p.awake) == 0
	return p.sleeping
}

// remove takes a connection out; nothing comes of it any more.
func (p *Poller) remove(c *polled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.gone = true
	delete(p.conns, c.fd)
}

func (p *Poller) closeAll() {
	p.mu.Lock()
	conns := p.conns
	p.conns, p.roused, p.awake = nil, nil, nil
	for _, c := range conns {
		c.gone = true
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.over(errPollerClosed)
	}
	p.system.close()
}

var errPollerClosed = errors.New("wire: the poller is closed")
