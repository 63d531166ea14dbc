package baton

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"

	"github.com/ldlm-io/ldlm/internal/load"
)

// Dial connects to the server at an address, host:port. A connection that is shared is
// for many workers, and one goroutine reads for all of them; any other is for one
// worker, who reads himself. To lock is to wait for the baton, whatever the name.
func Dial(ctx context.Context, address string, shared bool) (load.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if !shared {
		return &alone{conn: conn, message: make([]byte, messageBytes)}, nil
	}
	c := &together{conn: conn}
	c.tasks.Go(c.receive)
	return c, nil
}

// alone is a connection for one worker.
type alone struct {
	conn    net.Conn
	message []byte
}

// Lock waits for the baton. It does not look at ctx: closing the connection ends it.
func (c *alone) Lock(context.Context, string) (load.Hold, error) { return c, c.exchange(want) }

// Release passes it on.
func (c *alone) Release(context.Context) error { return c.exchange(pass) }

// Close ends the connection.
func (c *alone) Close() error { return c.conn.Close() }

// exchange sends a message and waits for the answer.
func (c *alone) exchange(k kind) error {
	c.message = appendMessage(c.message[:0], k, 0)
	if _, err := c.conn.Write(c.message); err != nil {
		return err
	}
	_, err := io.ReadFull(c.conn, c.message)
	return err
}

// together is a connection for many workers.
type together struct {
	conn  net.Conn
	tasks sync.WaitGroup

	mu      sync.Mutex // held while writing; guards what follows
	out     []byte
	workers []*worker
	idle    []*worker
	ended   error // why no more answers come
}

// worker is one who waits for the baton, or has it.
type worker struct {
	conn   *together
	number uint32
	told   chan error // room for one
}

// Lock waits for the baton. It does not look at ctx: closing the connection ends it.
func (c *together) Lock(context.Context, string) (load.Hold, error) {
	w := c.worker()
	return w, w.exchange(want)
}

// Release passes it on.
func (w *worker) Release(context.Context) error {
	err := w.exchange(pass)
	w.conn.mu.Lock()
	defer w.conn.mu.Unlock()
	w.conn.idle = append(w.conn.idle, w)
	return err
}

// Close ends the connection.
func (c *together) Close() error {
	err := c.conn.Close()
	c.tasks.Wait()
	return err
}

// worker returns one that is idle.
func (c *together) worker() *worker {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.idle); n > 0 {
		w := c.idle[n-1]
		c.idle = c.idle[:n-1]
		return w
	}
	w := &worker{conn: c, number: uint32(len(c.workers)), told: make(chan error, 1)}
	c.workers = append(c.workers, w)
	return w
}

// exchange sends a message and waits for the answer.
func (w *worker) exchange(k kind) error {
	if err := w.conn.send(k, w.number); err != nil {
		return err
	}
	return <-w.told
}

func (c *together) send(k kind, worker uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	c.out = appendMessage(c.out[:0], k, worker)
	_, err := c.conn.Write(c.out)
	return err
}

// receive tells workers what is for them, until no more comes.
func (c *together) receive() {
	in := bufio.NewReaderSize(c.conn, bufferBytes)
	message := make([]byte, messageBytes)
	for {
		if _, err := io.ReadFull(in, message); err != nil {
			c.end(err)
			return
		}
		_, number := readMessage(message)
		c.mu.Lock()
		w := c.workers[number]
		c.mu.Unlock()
		w.told <- nil // has room: one answer for each message
	}
}

// end tells everybody, now and later, that no more answers come.
func (c *together) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = err
	for _, w := range c.workers {
		select {
		case w.told <- err:
		default: // the answer is there
		}
	}
}
