package grpcapi

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// Sessions holds the conversations of the session protocol. A
// *sessionapi.Server is one.
type Sessions interface {
	// Serve holds the conversation with one client, from hello to the end of
	// the connection, which it closes.
	Serve(ctx context.Context, c sessionapi.Carrier) error
	// LastHeard returns how long ago the client last gave a sign of life, on the
	// connection of that number of a session; false if it cannot know.
	LastHeard(session lock.SessionNumber, number uint64) (time.Duration, bool)
	// Leader returns who leads.
	Leader() *ldlmv2.Leader
}

// Session carries the frames of the session protocol. The password may come as
// metadata or in hello.
//
// The stream ends when its handler returns, and only that ends a send that the
// client does not take. So the conversation is on a goroutine of its own, and the
// handler waits for the word that nothing more is to be said.
func (v *v2) Session(stream grpc.BidiStreamingServer[ldlmv2.ClientFrame, ldlmv2.ServerFrame]) error {
	if v.conversations == nil {
		return errorOf(sessionapi.NewStatus(ldlmv2.Code_CODE_UNSUPPORTED, "this server has no sessions over gRPC streams"))
	}
	ctx := stream.Context()
	c := &carrier{stream: stream, conn: connectionOf(ctx), gate: v.gate, closed: make(chan struct{})}
	if c.conn == nil {
		return errNoConnection
	}
	if given := metadata.ValueFromIncomingContext(ctx, credentialKey); len(given) > 0 {
		admitted, err := v.admit(ctx)
		if err != nil {
			return err
		}
		c.pass = auth.PassOf(admitted)
	}
	v.tasks.Go(func() { _ = v.conversations.Serve(ctx, c) }) // logged where it is known whose it was
	<-c.closed
	return c.status()
}

// carrier carries the frames of one conversation in a stream.
type carrier struct {
	stream   grpc.ServerStream
	conn     *connection
	gate     *auth.Gate
	pass     *auth.Pass // of the credential in metadata; nil without one
	received received
	// peerClosed is set when the client has closed its half of the stream.
	peerClosed atomic.Bool
	// last is the last word that was sent.
	last atomic.Pointer[ldlmv2.Status]
	// patience runs while a frame is being sent; made by the first one.
	patience *time.Timer

	closing sync.Once
	closed  chan struct{}
	byPeer  bool // set before closed is closed
}

// Receive waits for the next frame.
func (c *carrier) Receive(f *ldlmv2.ClientFrame) error {
	c.received = received{frame: f}
	err := c.stream.RecvMsg(&c.received)
	if errors.Is(err, io.EOF) {
		c.peerClosed.Store(true)
	}
	if err == nil {
		err = c.received.err
	}
	return err
}

// Introduce implements [sessionapi.Introducer].
func (c *carrier) Introduce(v *auth.Visitor) *auth.Pass {
	v.Certificate, v.Memory = c.conn.certificate(), &c.conn.memory
	return c.pass
}

// Enter implements [sessionapi.Placer].
func (c *carrier) Enter(p *auth.Pass) error { return c.conn.enter(c.gate, p) }

// Buffered says no: gRPC does not tell.
func (c *carrier) Buffered() bool { return false }

// LimitReceive leaves the limit that all messages have.
func (c *carrier) LimitReceive(int) {}

// Send sends a frame. A client that does not take it is cut off.
func (c *carrier) Send(f *ldlmv2.ServerFrame) error {
	select {
	case <-c.closed:
		return io.ErrClosedPipe
	default:
	}
	if f.GetEnd() != nil {
		c.last.Store(f.GetEnd())
	}
	if f.GetWelcome() != nil {
		c.conn.letIn()
	}
	if c.patience == nil {
		c.patience = time.AfterFunc(writeTimeout, c.Close)
	} else {
		c.patience.Reset(writeTimeout)
	}
	defer c.patience.Stop()
	return c.stream.SendMsg(f)
}

// Finish ends the stream; what was sent arrives before its end does.
func (c *carrier) Finish() { c.Close() }

// Close ends the stream.
func (c *carrier) Close() {
	c.closing.Do(func() {
		c.byPeer = c.endedByPeer()
		close(c.closed)
	})
}

// PeerEnded reports whether the client ended the stream or its connection.
func (c *carrier) PeerEnded() bool {
	select {
	case <-c.closed:
		return c.byPeer
	default:
		return c.endedByPeer()
	}
}

// endedByPeer is PeerEnded as long as this side has not closed the stream. A
// client closes its half, resets the stream, or ends the connection; a deadline
// of the call is a time-out.
func (c *carrier) endedByPeer() bool {
	switch {
	case c.peerClosed.Load():
		return true
	case c.conn.isEnded():
		return c.conn.byPeer.Load()
	default:
		return errors.Is(c.stream.Context().Err(), context.Canceled)
	}
}

// Remote is the address of the client.
func (c *carrier) Remote() string { return c.conn.remote() }

// Transport is the name of the carrier.
func (c *carrier) Transport() string { return transportName }

// status is how the stream ends: as the last word said.
func (c *carrier) status() error {
	last := c.last.Load()
	switch {
	case last.GetCode() == ldlmv2.Code_CODE_OK, last == nil && c.byPeer:
		return nil
	case last == nil:
		return unavailable("the server has closed the stream; resume the session")
	default:
		return errorOf(last)
	}
}
