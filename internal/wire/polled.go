package wire

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// polled is a connection that a [Poller] serves. All that reads belongs to the
// poller's goroutine.
type polled struct {
	poller  *Poller
	conn    *Conn
	fd      int
	handler Handler

	closing atomic.Bool
	// Guarded by the poller's mutex: that it is to be looked at, and that it is not
	// there any more.
	roused, gone bool
	// Owned by the poller's goroutine. ended: over was called. unread: the handler has
	// left some of what was read, or there was some before.
	ended, unread bool
	// rest is asked for by the handler; resting runs while the connection rests, and
	// puts it in line.
	rest    time.Duration
	resting *time.Timer

	// Guarded by the connection's turn, as fd is for writing:

	// waiting: it stands in the poller's line, or rests, and nothing is read meanwhile.
	// Only the poller's goroutine changes it, and looks at it as it likes.
	waiting bool
	// asked is what the system was asked to tell.
	asked interest

	// backlog is what the other side has not taken yet. While there is some,
	// reading rests and patience runs.
	backlog []byte
	// behind: there is a backlog. It is read without the turn too.
	behind   atomic.Bool
	patience *time.Timer
	// released: the descriptor is closed, and may be somebody else's by now.
	released bool
}

// Rouse has a poller's handler called soon. It does nothing for a connection that
// has none.
func (c *Conn) Rouse() {
	if p := c.polled.Load(); p != nil {
		p.poller.rouse(p)
	}
}

// Rest has a poller leave the connection unread for a while; it is for its handler, in
// Readable, and does nothing where the handler is another's.
func (c *Conn) Rest(d time.Duration) {
	if p := c.polled.Load(); p != nil {
		p.rest = d
	}
}

// close has the poller end the connection.
func (p *polled) close() {
	p.closing.Store(true)
	p.poller.rouse(p)
}

// serve does what an event asks for.
func (p *polled) serve(e event) {
	if p.ended {
		return
	}
	wasBehind, behind, err := p.catchUp(e)
	switch {
	case err != nil:
		p.over(err)
	case behind:
	case wasBehind:
		p.tell()
	case p.resting != nil:
		p.abandon() // for nothing but its end is told meanwhile
	case !e.readable(), p.waiting:
	default:
		p.read()
	}
}

// attend looks after a connection that was roused.
func (p *polled) attend() {
	switch {
	case p.ended:
	case p.closing.Load():
		if !p.conn.finished.Load() && !p.isBehind() {
			p.handler.Attend() // what was to be told before is not to be lost
		}
		p.over(net.ErrClosed)
	case p.isBehind():
	default:
		p.tell()
	}
}

// tell has the handler look at what was not an event. What it had left gets its turn.
func (p *polled) tell() {
	if p.conn.finished.Load() {
		return
	}
	p.handler.Attend()
	if p.unread && !p.waiting {
		p.goOn(true)
	}
}

// takeTurn has the handler go on with what it has left.
func (p *polled) takeTurn() {
	switch {
	case p.ended:
	case p.conn.finished.Load():
		p.goOn(false)
	default:
		if p.isBehind() {
			_, _ = p.stand(false) // it comes back when it has caught up
			return
		}
		p.goOn(p.handler.Readable())
	}
}

// goOn goes on with reading, or stands in line if something is unread, after a rest if
// the handler wants one.
func (p *polled) goOn(unread bool) {
	p.unread = unread
	rests := p.rest > 0
	if !unread && !p.waiting && !rests {
		return
	}
	stands, err := p.stand(unread || rests)
	switch {
	case err != nil:
		p.over(err)
	case stands && rests:
		p.resting = time.AfterFunc(p.rest, func() { p.poller.rested(p) })
	case stands:
		p.poller.line = append(p.poller.line, p)
	}
	p.rest = 0
}

// abandon ends a connection that is broken while it rests. What it has sent is forgotten,
// which happens to broken connections anyhow: else to break it would be a way around rests.
func (p *polled) abandon() {
	for {
		if _, err := descriptor(p.fd).Read(p.poller.buf); err != nil {
			p.over(err)
			return
		}
	}
}

// stand says whether the connection stands in line, or is about to. Behind, it does not.
func (p *polled) stand(in bool) (stands bool, err error) {
	p.conn.turn.take()
	defer p.conn.turn.giveBack()
	p.waiting = in && len(p.backlog) == 0
	return p.waiting, p.ask()
}

// interest is what the system is asked to tell of a connection.
type interest uint8

const (
	toRead interest = iota
	toWrite
	noInterest
)

// ask asks for what is of interest now. The caller has the turn.
func (p *polled) ask() error {
	want := toRead
	switch {
	case len(p.backlog) > 0:
		want = toWrite
	case p.waiting:
		want = noInterest
	}
	if want == p.asked || p.released {
		return nil
	}
	p.asked = want
	return p.poller.system.ask(p.fd, want)
}

// read reads once and has that handled.
func (p *polled) read() {
	if p.conn.finished.Load() {
		p.discard()
		return
	}
	in := &p.conn.in
	lent := in.r == in.w
	if lent {
		in.buf, in.r, in.w = p.poller.buf, 0, 0
	}
	err := in.fillFrom(descriptor(p.fd))
	if err == nil {
		p.goOn(p.handler.Readable())
	}
	if lent {
		in.giveBack()
	}
	if err != nil && !errors.Is(err, errNothing) {
		p.over(err)
	}
}

// discard forgets what comes after the last words.
func (p *polled) discard() {
	if _, err := descriptor(p.fd).Read(p.poller.buf); err != nil && !errors.Is(err, errNothing) {
		p.over(err)
	}
}

// over ends it, once.
func (p *polled) over(err error) {
	if p.ended {
		return
	}
	p.ended = true
	p.poller.remove(p)
	c := p.conn
	c.turn.take()
	p.poller.system.release(p.fd)
	p.released = true
	if p.patience != nil {
		p.patience.Stop()
	}
	if p.resting != nil {
		p.resting.Stop()
	}
	if p.backlog = nil; c.broken == nil {
		c.broken = net.ErrClosed
	}
	c.turn.giveBack()
	p.handler.Over(c.note(err))
}

func (p *polled) isBehind() bool { return p.behind.Load() }

// write writes what the other side takes at once and keeps the rest. The caller
// has the connection's turn.
func (p *polled) write(b []byte) error {
	if len(p.backlog) == 0 {
		n, err := descriptor(p.fd).Write(b)
		if err != nil && !errors.Is(err, errNothing) {
			return err
		}
		if n == len(b) {
			return nil
		}
		b = b[n:]
		p.wait(p.conn.writeTimeout)
	}
	p.backlog = append(p.backlog, b...)
	p.behind.Store(true)
	return p.ask()
}

// wait closes the connection if nothing changes for long. The caller has the turn.
func (p *polled) wait(patience time.Duration) {
	switch {
	case patience == 0:
	case p.patience == nil:
		p.patience = time.AfterFunc(patience, func() { _ = p.conn.Close() })
	default:
		p.patience.Reset(patience)
	}
}

// catchUp writes what had to wait, if the event says that it can be.
func (p *polled) catchUp(e event) (wasBehind, behind bool, err error) {
	if !p.isBehind() {
		return false, false, nil
	}
	p.conn.turn.take()
	defer p.conn.turn.giveBack()
	if !e.writable() {
		return true, true, nil
	}
	n, err := descriptor(p.fd).Write(p.backlog)
	if err != nil && !errors.Is(err, errNothing) {
		return true, true, err
	}
	if p.backlog = p.backlog[n:]; len(p.backlog) > 0 {
		if n > 0 && !p.conn.finished.Load() { // nobody's last words take for ever
			p.wait(p.conn.writeTimeout)
		}
		return true, true, nil
	}
	p.backlog = nil
	p.behind.Store(false)
	if p.patience != nil {
		p.patience.Stop()
	}
	if p.conn.finished.Load() {
		p.finish()
	}
	return true, false, p.ask()
}

// finish ends the writing. The caller has the turn.
func (p *polled) finish() {
	if p.released || len(p.backlog) > 0 {
		return // it is over, or will be finished when that is out
	}
	p.poller.system.endWriting(p.fd)
	p.wait(p.conn.farewell)
}

// fillFrom is fill for a source of its own.
func (rd *reader) fillFrom(src io.Reader) error {
	if rd.w == len(rd.buf) {
		rd.makeRoom()
	}
	n, err := src.Read(rd.buf[rd.w:])
	rd.w += n
	if err == io.EOF && rd.r < rd.w {
		return io.ErrUnexpectedEOF
	}
	return err
}

// giveBack gives a lent buffer back; what has not been taken is copied, with room for
// more unless a whole frame is there.
func (rd *reader) giveBack() {
	rest := rd.buf[rd.r:rd.w]
	size := len(rest)
	if n, _ := rd.ready(); n < 0 {
		size = max(leastBuffer, 2*size)
	}
	rd.buf, rd.r, rd.w = nil, 0, 0
	if len(rest) > 0 {
		rd.buf = make([]byte, size)
		rd.w = copy(rd.buf, rest)
	}
}
