//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// ttl of the sessions that the load opens. Their clients need no keep-alive for half
// of it.
const ttl = time.Minute

// refusedError is how a server sends a connection away.
type refusedError struct{ status *ldlmv2.Status }

func (e *refusedError) Error() string {
	return fmt.Sprintf("%s: field %q, limit %d: %s", e.status.GetCode(), e.status.GetField(), e.status.GetLimit(), e.status.GetMessage())
}

// client is a client of the native protocol that does as little as possible by itself.
type client struct {
	conn    *wire.Conn
	session uint64
	// answers by code, counted by the goroutine that reads.
	answers [32]atomic.Int64
	// refusal is the newest status that names a limit.
	refusal atomic.Pointer[ldlmv2.Status]
	reading sync.WaitGroup
}

// dial connects and opens a session that ends with its connection if onEnd says so. A
// server cuts who has said nothing for some seconds, which on a busy machine may be who
// got no processor: then it tries again.
func dial(ctx context.Context, addr string, onEnd ldlmv2.OnEndOfStream) (*client, error) {
	const attempts = 100
	for i := 1; ; i++ {
		c, err := dialOnce(ctx, addr, onEnd)
		cut := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
		if !cut || i == attempts || ctx.Err() != nil {
			return c, err
		}
	}
}

func dialOnce(ctx context.Context, addr string, onEnd ldlmv2.OnEndOfStream) (*client, error) {
	raw, err := connect(ctx, addr)
	if err != nil {
		return nil, err
	}
	c := &client{conn: wire.NewClientConn(raw, writePatience)}
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // never fails
	hello := &ldlmv2.ClientFrame{Hello: &ldlmv2.Hello{Version: 2, Secret: secret, TtlUs: ttl.Microseconds(), OnEndOfStream: onEnd}}
	var f ldlmv2.ServerFrame
	if err = c.conn.WriteClient(hello); err == nil {
		err = c.conn.ReadServer(&f)
	}
	switch {
	case err != nil:
	case f.GetEnd() != nil:
		err = &refusedError{f.GetEnd()}
	case f.GetWelcome() == nil:
		err = errors.New("the server said something else than welcome")
	default:
		c.session = f.GetWelcome().GetSession()
		return c, nil
	}
	_ = c.conn.Close()
	return nil, err
}

// writePatience is how long a server may take no question.
const writePatience = 3 * time.Second

// connect makes a connection whose end leaves nothing behind in the kernel, so that
// tens of thousands can follow each other.
func connect(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if t, ok := raw.(*net.TCPConn); ok {
		err = t.SetLinger(0)
	}
	return raw, err
}

// read counts the answers until the connection ends.
func (c *client) read() {
	c.reading.Go(func() {
		for {
			var f ldlmv2.ServerFrame
			if c.conn.ReadServer(&f) != nil {
				return
			}
			for _, a := range f.GetAnswers() {
				if code := int(a.GetCode()); code < len(c.answers) {
					c.answers[code].Add(1)
				}
				if a.GetCode() == ldlmv2.Code_CODE_LIMIT {
					c.refusal.Store(a.GetStatus())
				}
			}
		}
	})
}

// answered returns how many answers had a code.
func (c *client) answered(code ldlmv2.Code) int64 { return c.answers[code].Load() }

// acquire asks for a lock in each of n slots from first on, in one frame.
func (c *client) acquire(name string, first, n int, wait int64) error {
	f := &ldlmv2.ClientFrame{}
	for i := range n {
		f.Ops = append(f.Ops, &ldlmv2.Op{Slot: uint32(first + i), Seq: 1, Acquire: &ldlmv2.Acquire{Name: name, WaitUs: wait}})
	}
	return c.conn.WriteClient(f)
}

// close ends the connection.
func (c *client) close() {
	_ = c.conn.Close()
	c.reading.Wait()
}
