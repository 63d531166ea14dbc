package ldlmtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// network is what lies between one client and the server.
type network struct {
	connect func(context.Context) (net.Conn, error)

	mu    sync.Mutex
	conns map[*conn]struct{}
	// whole is open while the network is cut, and closed while it is whole.
	whole chan struct{}
	drop  Op // 0: nothing
}

func newNetwork(connect func(context.Context) (net.Conn, error)) *network {
	n := &network{connect: connect, conns: map[*conn]struct{}{}, whole: make(chan struct{})}
	close(n.whole)
	return n
}

// cut has nothing pass any more.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.isCutLocked() {
		n.whole = make(chan struct{})
	}
}

// heal has new connections pass, and breaks old ones.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.isCutLocked() {
		return
	}
	for c := range n.conns {
		_ = c.Conn.Close()
	}
	close(n.whole)
}

func (n *network) isCutLocked() bool {
	select {
	case <-n.whole:
		return false
	default:
		return true
	}
}

// passage returns nil while the network is whole, else the channel that is
// closed when it is again.
func (n *network) passage() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isCutLocked() {
		return n.whole
	}
	return nil
}

func (n *network) dropNext(op Op) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop = op
}

// dial connects, once the network is whole.
func (n *network) dial(ctx context.Context, _ string) (net.Conn, error) {
	for {
		healed := n.passage()
		if healed == nil {
			break
		}
		select {
		case <-healed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	inner, err := n.connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, network: n, closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[c] = struct{}{}
	return c, nil
}

// conn is the client's end of a connection.
type conn struct {
	net.Conn
	network *network
	closed  chan struct{}
	once    sync.Once

	mu sync.Mutex
	// sent is the beginning of a frame that is not written whole yet; foreign
	// says that these are not frames.
	sent    []byte
	foreign bool
	// deaf says that a reply is to be lost: the connection ends with the next thing heard.
	deaf bool
}

// Read delivers what the server sent, unless the network is cut: then nothing
// does, not even the connection's end.
func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		healed := c.network.passage()
		switch {
		case healed == nil && c.isDeaf():
			_ = c.Conn.Close()
			return 0, net.ErrClosed
		case healed == nil:
			return n, err
		case err == nil:
			continue // lost on the way
		}
		select {
		case <-healed:
		case <-c.closed:
		}
		return 0, net.ErrClosed
	}
}

// Write takes what the client sends. While the network is cut it goes nowhere.
func (c *conn) Write(p []byte) (int, error) {
	if c.network.passage() != nil {
		return len(p), nil
	}
	c.look(p)
	return c.Conn.Write(p)
}

// Close ends the connection. While the network is cut, the server does not hear of it.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if c.network.isCutLocked() {
		return c.SetReadDeadline(time.Unix(1, 0)) // wakes Read; heal closes the rest
	}
	delete(c.network.conns, c)
	return c.Conn.Close()
}

func (c *conn) isDeaf() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deaf
}

// look finds the operation whose reply is to be lost in what the client sends.
func (c *conn) look(p []byte) {
	c.network.mu.Lock()
	drop := c.network.drop
	c.network.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.foreign {
		return
	}
	c.sent = append(c.sent, p...)
	c.sent = bytes.TrimPrefix(c.sent, []byte(wire.Preface))
	for len(c.sent) >= 4 {
		size := int(binary.BigEndian.Uint32(c.sent))
		if size > wire.MaxFrameBytes {
			c.foreign, c.sent = true, nil
			return
		}
		if len(c.sent) < 4+size {
			return
		}
		var f ldlmv2.ClientFrame
		if drop != 0 && wire.DecodeClient(c.sent[4:4+size], &f) == nil && has(&f, drop) {
			c.deaf = true
			c.network.dropNext(0)
			drop = 0
		}
		c.sent = c.sent[4+size:]
	}
}

func has(f *ldlmv2.ClientFrame, op Op) bool {
	for _, o := range f.GetOps() {
		switch {
		case op == Lock && (o.GetAcquire() != nil || o.GetAcquireAll() != nil),
			op == Unlock && o.GetRelease() != nil,
			op == Renew && o.GetRenew() != nil:
			return true
		}
	}
	return false
}
