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
	// ended: over was called. Owned by the poller's goroutine.
	ended bool

	// Guarded by the connection's turn, as fd is for writing:

	// backlog is what the other side has not taken yet. While there is some,
	// reading rests and patience runs.
	backlog  []byte
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
	case !e.readable():
	case !p.conn.finished.Load() && p.conn.Buffered():
		p.tell() // of what the handler has left
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

// tell has the handler look at what was read before, and at what was not an event.
func (p *polled) tell() {
	if !p.conn.finished.Load() && p.conn.Buffered() {
		if p.handler.Readable(); p.isBehind() {
			return
		}
	}
	if !p.conn.finished.Load() {
		p.handler.Attend()
	}
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
		p.handler.Readable()
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
	if p.backlog = nil; c.broken == nil {
		c.broken = net.ErrClosed
	}
	c.turn.giveBack()
	p.handler.Over(c.note(err))
}

func (p *polled) isBehind() bool {
	p.conn.turn.take()
	defer p.conn.turn.giveBack()
	return len(p.backlog) > 0
}

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
		if err := p.poller.system.rest(p.fd, true); err != nil {
			return err
		}
		p.wait(p.conn.writeTimeout)
	}
	p.backlog = append(p.backlog, b...)
	return nil
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
	p.conn.turn.take()
	defer p.conn.turn.giveBack()
	if len(p.backlog) == 0 {
		return false, false, nil
	}
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
	if p.patience != nil {
		p.patience.Stop()
	}
	if p.conn.finished.Load() {
		p.finish()
	}
	return true, false, p.poller.system.rest(p.fd, false)
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

// giveBack gives a lent buffer back; what has not been taken is copied.
func (rd *reader) giveBack() {
	rest := rd.buf[rd.r:rd.w]
	rd.buf, rd.r, rd.w = nil, 0, 0
	if len(rest) > 0 {
		rd.buf = make([]byte, max(leastBuffer, 2*len(rest)))
		rd.w = copy(rd.buf, rest)
	}
}
