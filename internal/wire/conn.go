package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// Conn is a connection that carries frames. One goroutine at a time may read,
// any number may write, and any may close.
type Conn struct {
	conn net.Conn
	in   reader // owned by the goroutine that reads
	// ended says which side ended the connection, once one did; finished that
	// this side has said its last words.
	ended    atomic.Int32
	finished atomic.Bool
	// closed: Close was called. polled is set once a [Poller] serves it.
	closed atomic.Bool
	polled atomic.Pointer[polled]

	writeTimeout time.Duration

	// turn is had while writing, so that frames stay whole.
	turn turn
	// preface goes before the first frame; guarded by turn, as all that follows.
	preface string
	out     []byte
	// deadline is the write deadline that is set.
	deadline time.Time
	// broken is the error of a write: part of a frame may be out, so nothing
	// may follow.
	broken error
	// farewell is how long reading goes on after Finish.
	farewell time.Duration
}

// turn is a mutex that may be held for long: whoever waits for it waits on a
// channel, which fake time does not take for being busy.
type turn chan struct{}

func newTurn() turn      { return make(turn, 1) }
func (t turn) take()     { t <- struct{}{} }
func (t turn) giveBack() { <-t }

// Who ended a connection.
const (
	nobody int32 = iota
	peer
	us
)

// keptOut is the largest buffer for writing that is kept between frames.
const keptOut = 16 << 10

// NewConn returns the server's end of a connection whose preface was read.
// A write that the other side does not take for writeTimeout, or up to twice as
// long, ends the connection; 0 waits for ever.
func NewConn(c net.Conn, writeTimeout time.Duration) *Conn {
	return &Conn{
		conn: c, in: reader{src: c, limit: MaxFrameBytes}, writeTimeout: writeTimeout, turn: newTurn(),
	}
}

// NewClientConn returns the client's end of a fresh connection. The preface
// goes out with the first frame. writeTimeout is as in [NewConn].
func NewClientConn(c net.Conn, writeTimeout time.Duration) *Conn {
	conn := NewConn(c, writeTimeout)
	conn.preface = Preface
	return conn
}

// LimitRead sets the largest frame to read, in bytes; at first it is
// [MaxFrameBytes]. It is for the goroutine that reads.
func (c *Conn) LimitRead(n int) { c.in.limit = n }

// ReadClient reads a frame into f, which is used again as [DecodeClient] says.
// io.EOF means that the other side ended the connection between two frames.
// After a time-out of the read deadline reading may go on; after a
// [*FrameError] it may not.
func (c *Conn) ReadClient(f *ldlmv2.ClientFrame) error {
	b, err := c.next()
	if err != nil {
		return err
	}
	return DecodeClient(b, f)
}

// ReadServer is [Conn.ReadClient] for the client's end.
func (c *Conn) ReadServer(f *ldlmv2.ServerFrame) error {
	b, err := c.next()
	if err != nil {
		return err
	}
	return DecodeServer(b, f)
}

// next returns the next frame; after Finish it reads and forgets everything.
func (c *Conn) next() ([]byte, error) {
	if c.finished.Load() {
		return nil, c.note(c.in.discard())
	}
	b, err := c.in.next()
	if err != nil {
		return nil, c.note(err)
	}
	return b, nil
}

// Buffered reports whether the next read returns at once, because a whole frame
// is there already. It is for the goroutine that reads.
func (c *Conn) Buffered() bool {
	n, err := c.in.ready()
	return n >= 0 || err != nil
}

// WriteServer writes a frame.
func (c *Conn) WriteServer(f *ldlmv2.ServerFrame) error {
	c.turn.take()
	defer c.turn.giveBack()
	return c.writeFrame(func(b []byte) []byte { return AppendServer(b, f) })
}

// WriteClient writes a frame.
func (c *Conn) WriteClient(f *ldlmv2.ClientFrame) error {
	c.turn.take()
	defer c.turn.giveBack()
	return c.writeFrame(func(b []byte) []byte { return AppendClient(b, f) })
}

// WriteFrames writes bytes that are whole frames with their lengths.
func (c *Conn) WriteFrames(b []byte) error {
	c.turn.take()
	defer c.turn.giveBack()
	if c.preface == "" {
		return c.write(b)
	}
	b = append([]byte(c.preface), b...)
	c.preface = ""
	return c.write(b)
}

// writeFrame writes what appendFrame appends, with its length. The caller has the turn.
func (c *Conn) writeFrame(appendFrame func([]byte) []byte) error {
	at := len(c.preface)
	b := append(c.out[:0], c.preface...)
	b = appendFrame(append(b, 0, 0, 0, 0))
	if c.out = b; cap(b) > keptOut {
		c.out = nil
	}
	n := len(b) - at - lengthBytes
	if n > MaxFrameBytes {
		return &FrameError{Problem: "larger than allowed", Limit: MaxFrameBytes}
	}
	binary.BigEndian.PutUint32(b[at:], uint32(n))
	c.preface = ""
	return c.write(b)
}

func (c *Conn) write(b []byte) error {
	if c.broken != nil {
		return c.broken
	}
	var err error
	if p := c.polled.Load(); p != nil {
		err = p.write(b)
	} else {
		c.armWrite()
		_, err = c.conn.Write(b)
	}
	if err != nil {
		c.broken = c.note(err)
	}
	return c.broken
}

// armWrite sees to it that a write deadline of at least writeTimeout is set. It
// sets twice as much, so that it need not set it for each write.
func (c *Conn) armWrite() {
	if c.writeTimeout == 0 {
		return
	}
	if now := time.Now(); c.deadline.Sub(now) < c.writeTimeout {
		c.deadline = now.Add(2 * c.writeTimeout)
		_ = c.conn.SetWriteDeadline(c.deadline) // fails on closed connections only, as the write will
	}
}

// SetReadDeadline sets the time at which reading gives up for now.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// RemoteAddr returns the address of the other side.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// PeerEnded reports whether the other side ended the connection, by closing it
// or by dying: its kernel said so. It is false while the connection stands, if
// this side closed it first, and after a time-out, which may mean no more than a
// broken network.
func (c *Conn) PeerEnded() bool { return c.ended.Load() == peer }

// Close ends the connection. Whatever waits in reading or writing returns.
func (c *Conn) Close() error {
	c.ended.CompareAndSwap(nobody, us)
	c.closed.Store(true)
	if p := c.polled.Load(); p != nil {
		p.close()
		return nil
	}
	return c.conn.Close()
}

// Finish ends the writing. It is the way to close a connection when the other
// side is to read the last words: closing with unread input would have the
// kernel throw them away. Whoever reads goes on until that fails, and calls
// Close then: it fails when the other side closes too, or after patience. What
// comes until then is forgotten.
func (c *Conn) Finish(patience time.Duration) error {
	c.ended.CompareAndSwap(nobody, us)
	c.finished.Store(true)
	c.turn.take()
	defer c.turn.giveBack()
	if c.broken == nil {
		c.broken = net.ErrClosed
	}
	if p := c.polled.Load(); p != nil {
		c.farewell = patience
		p.finish()
		return nil
	}
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return c.conn.Close()
	}
	return c.conn.SetReadDeadline(time.Now().Add(patience))
}

// note keeps in mind who ended the connection if err says so.
func (c *Conn) note(err error) error {
	if endedByPeer(err) {
		c.ended.CompareAndSwap(nobody, peer)
	}
	return err
}

func endedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, errReset)
}
