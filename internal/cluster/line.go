package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Signs of life.
const (
	lifeEvery  = time.Second
	lifeWithin = 3 * time.Second
)

// line is a connection for questions to one member. It is made when it is needed, and made anew
// after it has broken.
type line struct {
	port          *Port
	whom, address string

	mu      sync.Mutex
	dialing *dialing // nil: nobody dials
	call    *call    // nil: there is no connection
	failed  error    // of the newest attempt
	retryAt time.Time
}

// dialing is an attempt to connect, for all who wait for it.
type dialing struct {
	done chan struct{} // closed when the others are set
	call *call
	err  error
}

// retryAfter is how long after a failure nobody dials again: everybody is told of that failure.
const retryAfter = 100 * time.Millisecond

// dialWithin bounds an attempt.
const dialWithin = 2 * time.Second

// call is one connection of a line.
type call struct {
	conn net.Conn
	out  chan frame
	done chan struct{} // closed when it has broken

	mu      sync.Mutex
	newest  uint64
	waiting map[uint64]chan []byte
	broken  error
}

var errNotAnswered = errors.New("the connection broke before the answer came")

// Ask asks a member and returns its answer. An error that wraps ErrNotAsked says that
// the question certainly did not arrive. A member without a name is whoever is at
// the address.
func (p *Port) Ask(ctx context.Context, member, address string, topic byte, question []byte) ([]byte, error) {
	if len(question)+16 > maxFrame {
		return nil, fmt.Errorf("%w: it is too large", ErrNotAsked)
	}
	c, err := p.line(member, address).connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotAsked, err)
	}
	payload := append(make([]byte, 0, 1+len(question)), topic)
	return c.ask(ctx, append(payload, question...))
}

func (p *Port) line(whom, address string) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := whom + "\x00" + address
	l := p.lines[key]
	if l == nil {
		l = &line{port: p, whom: whom, address: address}
		p.lines[key] = l
	}
	return l
}

// connect returns a connection, and makes one if there is none.
func (l *line) connect(ctx context.Context) (*call, error) {
	c, d, err := l.present() //nolint:contextcheck // an attempt serves others as well, so it is not the caller's
	if d == nil {
		return c, err
	}
	select {
	case <-d.done:
		return d.call, d.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// present returns the connection that there is, or why there can be none yet, or the
// attempt to make one.
func (l *line) present() (*call, *dialing, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.call != nil && !l.call.ended() {
		return l.call, nil, nil
	}
	l.call = nil
	if l.failed != nil && time.Now().Before(l.retryAt) {
		return nil, nil, l.failed
	}
	if l.dialing == nil {
		d := &dialing{done: make(chan struct{})}
		if !l.port.goTask(func() { l.dial(d) }) {
			return nil, nil, errClosed
		}
		l.dialing = d
	}
	return nil, l.dialing, nil
}

// dial makes a connection, whoever still waits for it.
func (l *line) dial(d *dialing) {
	limit, cancel := context.WithTimeout(l.port.ctx, dialWithin)
	defer cancel()
	conn, _, err := l.port.dial(limit, l.whom, l.address, forQuestions)
	l.mu.Lock()
	defer l.mu.Unlock()
	defer close(d.done)
	l.dialing, d.err = nil, err
	if err != nil {
		l.failed, l.retryAt = err, time.Now().Add(retryAfter)
		return
	}
	c := newCall(conn)
	l.call, d.call = c, c
	l.port.tasks.Go(c.runReader) // this is a task itself, so the port waits for them as well
	l.port.tasks.Go(c.runWriter)
}

func newCall(c net.Conn) *call {
	return &call{conn: c, out: make(chan frame, 64), done: make(chan struct{}), waiting: map[uint64]chan []byte{}}
}

func (c *call) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// ask sends a question and waits for the answer.
func (c *call) ask(ctx context.Context, question []byte) ([]byte, error) {
	answer := make(chan []byte, 1)
	c.mu.Lock()
	if c.broken != nil {
		c.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", ErrNotAsked, c.broken)
	}
	c.newest++
	number := c.newest
	c.waiting[number] = answer
	c.mu.Unlock()
	defer c.forget(number)
	select {
	case c.out <- frame{number, question}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrNotAsked, ctx.Err())
	case <-c.done:
		return nil, fmt.Errorf("%w: %w", ErrNotAsked, errNotAnswered)
	}
	select {
	case b := <-answer:
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
		select {
		case b := <-answer:
			return b, nil
		default:
			return nil, errNotAnswered
		}
	}
}

func (c *call) forget(number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, number)
}

// fail ends the connection.
func (c *call) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.broken = err
		close(c.done)
		_ = c.conn.Close() // it is broken
	}
}

func (c *call) runReader() {
	r := bufio.NewReaderSize(c.conn, 64<<10)
	for {
		if err := c.conn.SetReadDeadline(time.Now().Add(lifeWithin)); err != nil {
			c.fail(err)
			return
		}
		f, err := readFrame(r)
		if err != nil {
			c.fail(err)
			return
		}
		c.mu.Lock()
		answer := c.waiting[f.number]
		delete(c.waiting, f.number)
		c.mu.Unlock()
		if answer != nil {
			answer <- f.payload
		}
	}
}

func (c *call) runWriter() { c.fail(writeFrames(c.conn, c.out, c.done)) }

// writeFrames writes frames, with signs of life in between, until done is closed or
// the connection breaks. What is there at once goes out at once.
func writeFrames(conn net.Conn, out <-chan frame, done <-chan struct{}) error {
	w := bufio.NewWriterSize(conn, 64<<10)
	t := time.NewTicker(lifeEvery)
	defer t.Stop()
	for {
		var f frame
		select {
		case f = <-out:
		case <-t.C:
		case <-done:
			return errClosed
		}
		if err := conn.SetWriteDeadline(time.Now().Add(lifeWithin)); err != nil {
			return err
		}
		for more := true; more; {
			if err := writeFrame(w, &f); err != nil {
				return err
			}
			select {
			case f = <-out:
			default:
				more = false
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
}
