package grpcapi

import (
	"container/list"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// connection is one accepted connection. gRPC reads and writes it, and hands it
// to every call as the AuthInfo of the peer.
type connection struct {
	net.Conn
	// security is what the credentials inside found out; nil in plain text.
	security credentials.AuthInfo
	// writeTimeout bounds a write.
	writeTimeout time.Duration
	// writing has room for one, which a write takes; writingSince is when it
	// began, in nanoseconds of Unix time, 0 between writes.
	writing      chan struct{}
	writingSince atomic.Int64

	// memory is what it remembers of passwords that were good.
	memory auth.Memory

	// byPeer is set when the other side has ended the connection.
	byPeer atomic.Bool
	// closed is set first of all when this side closes it.
	closed atomic.Bool

	closing  sync.Once
	closeErr error
	// over is closed with the connection.
	over chan struct{}
	// resting counts the calls whose refusals are kept back.
	resting atomic.Int64

	// strangers has the connection until somebody was let in over it, which
	// known says. place is its own.
	strangers *strangers
	known     atomic.Bool
	place     *list.Element

	// mu guards what follows; it is held for a few assignments.
	mu sync.Mutex
	// ended is set when the connection is over: nothing may begin on it.
	ended bool
	// session is the session of the first protocol; nil before the first call.
	session *session
	// places are those that it has at the gate, by names of principals: one, unless
	// several come over one connection.
	places map[string]func()
	// lately is the last pass that a place was found for.
	lately atomic.Pointer[auth.Pass]
}

// AuthType names the kind of AuthInfo.
func (*connection) AuthType() string { return "ldlm connection" }

// connectionOf returns the connection that a call came over; nil if the server
// was not made by this package.
func connectionOf(ctx context.Context) *connection {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	c, _ := p.AuthInfo.(*connection)
	return c
}

// remote is where the connection comes from; "" for nil.
func (c *connection) remote() string {
	if c == nil {
		return ""
	}
	return c.RemoteAddr().String()
}

// certificate is the client's that TLS has verified, here or below; nil without one.
func (c *connection) certificate() *x509.Certificate {
	if t, ok := c.security.(credentials.TLSInfo); ok {
		if len(t.State.VerifiedChains) > 0 {
			return t.State.PeerCertificates[0]
		}
		return nil
	}
	return wire.VerifiedCertificate(c.Conn)
}

// letIn notes that somebody was let in over the connection.
func (c *connection) letIn() {
	if !c.known.Load() && c.known.CompareAndSwap(false, true) {
		c.strangers.remove(c)
	}
}

// enter counts the connection in for the owner of a pass, if it was not. It is counted
// out when it is over.
func (c *connection) enter(g *auth.Gate, p *auth.Pass) error {
	if c.lately.Load() == p {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := p.Principal().Name
	if c.places[name] == nil && !c.ended {
		leave, err := g.Enter(p, transportName, c.remote)
		if err != nil {
			return err
		}
		if c.places == nil {
			c.places = map[string]func(){}
		}
		c.places[name] = leave
	}
	c.lately.Store(p)
	return nil
}

// slowWrite is how long a write may take before nothing more is read.
const slowWrite = 20 * time.Millisecond

const (
	// mostResting is how many refusals of a connection are kept back before less is read.
	mostResting = 64
	// readPause is for how long nothing is read then. So much is read at a time that the
	// keep-alive behind ten thousand calls comes in some seconds.
	readPause = 50 * time.Millisecond
)

// rest keeps the refusal of a call back, as auth.Rest does.
func (c *connection) rest(ctx context.Context, d time.Duration) {
	if c != nil && d > 0 {
		c.resting.Add(1)
		defer c.resting.Add(-1)
	}
	auth.Rest(ctx, d)
}

// pace waits while many calls rest: who makes thousands at a time would have as many
// refused again when they all have rested, and others would wait for that.
func (c *connection) pace() {
	if c.resting.Load() < mostResting {
		return
	}
	t := time.NewTimer(readPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.over:
	}
}

// Read notes when the other side has ended the connection. From a client that
// does not take its answers nothing more is read meanwhile, for they would pile
// up here.
func (c *connection) Read(b []byte) (int, error) {
	c.pace()
	if since := c.writingSince.Load(); since != 0 && time.Now().UnixNano()-since > int64(slowWrite) {
		c.writing <- struct{}{}
		<-c.writing
	}
	n, err := c.Conn.Read(b)
	if err != nil {
		c.note(err)
	}
	return n, err
}

// Write gives up, and ends the connection, if the other side does not read.
func (c *connection) Write(b []byte) (int, error) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	now := time.Now()
	c.writingSince.Store(now.UnixNano())
	defer c.writingSince.Store(0)
	if err := c.SetWriteDeadline(now.Add(c.writeTimeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(b)
	if err != nil {
		c.note(err)
		// gRPC leaves it to its reader to find out, which a client that keeps
		// sending never lets it.
		_ = c.Close()
	}
	return n, err
}

// note remembers who ended the connection. Errors after a close of our own say
// nothing.
func (c *connection) note(err error) {
	if !c.closed.Load() && endedByPeer(err) {
		c.byPeer.Store(true)
	}
}

// Close ends the connection: for answers first, then for its session. It
// returns at once and may be called again.
func (c *connection) Close() error {
	c.closing.Do(func() {
		c.closed.Store(true)
		close(c.over)
		c.closeErr = c.Conn.Close()
		c.strangers.remove(c)
		c.mu.Lock()
		c.ended = true
		s, places := c.session, c.places
		c.places = nil
		c.mu.Unlock()
		for _, leave := range places {
			leave()
		}
		if s != nil {
			s.end()
		}
	})
	return c.closeErr
}

// forget lets the next call open a session, because this one could not be opened.
func (c *connection) forget(x *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == x {
		c.session = nil
	}
}

// isEnded reports whether the connection is over.
func (c *connection) isEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// endedByPeer reports whether an error of a connection says that the other side
// ended it: in order, by a reset, or cut off under TLS. A time-out does not.
func endedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, errReset)
}

// identity gives every accepted connection an object of its own. It wraps the
// credentials that secure the connection, if there are any.
type identity struct {
	inner        credentials.TransportCredentials
	writeTimeout time.Duration
	strangers    *strangers
}

// ServerHandshake secures a connection and wraps it.
func (i *identity) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c := &connection{Conn: raw, writeTimeout: i.writeTimeout, writing: make(chan struct{}, 1), over: make(chan struct{}), strangers: i.strangers}
	if i.inner != nil {
		var err error
		if c.Conn, c.security, err = i.inner.ServerHandshake(raw); err != nil {
			return nil, nil, err
		}
	}
	i.strangers.add(c)
	return c, c, nil
}

// ClientHandshake refuses: these are the credentials of a server.
func (*identity) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("grpcapi: these credentials are for a server")
}

// Info describes the credentials inside.
func (i *identity) Info() credentials.ProtocolInfo {
	if i.inner != nil {
		return i.inner.Info()
	}
	return credentials.ProtocolInfo{SecurityProtocol: "insecure"}
}

// Clone returns a copy.
func (i *identity) Clone() credentials.TransportCredentials {
	c := *i
	if i.inner != nil {
		c.inner = i.inner.Clone()
	}
	return &c
}

// OverrideServerName does nothing: a server has no name to check.
func (*identity) OverrideServerName(string) error { return nil }
