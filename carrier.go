package ldlm

import (
	"context"
	"crypto/tls"
	"net"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// carrier carries the frames of one connection of a session.
type carrier interface {
	// Send sends frames, each with its length before it. One at a time.
	Send(frames []byte) error
	// Receive waits for the next frame. What f had before is used again.
	Receive(f *ldlmv2.ServerFrame) error
	// PeerEnded reports whether it was the other side that ended the
	// connection, once Send or Receive has failed.
	PeerEnded() bool
	// Close ends the connection; Send and Receive return. It may be called at
	// any time.
	Close()
}

// carry connects to an address.
func (c *Client) carry(ctx context.Context, a address) (carrier, error) {
	if c.config.overGRPC {
		return c.carryOverGRPC(ctx, a)
	}
	conn, err := c.config.connect(ctx, a)
	if err != nil {
		return nil, err
	}
	if c.config.tls != nil {
		if conn, err = c.config.encrypt(ctx, conn, a, wire.ALPN); err != nil {
			return nil, err
		}
	}
	return plain{wire.NewClientConn(conn, writeTimeout)}, nil
}

// encrypt begins TLS on a connection, which it closes if that fails.
func (c *config) encrypt(ctx context.Context, conn net.Conn, a address, protocol string) (net.Conn, error) {
	t := c.tls.Clone()
	t.NextProtos = []string{protocol}
	if t.ServerName == "" {
		t.ServerName = a.host
	}
	encrypted := tls.Client(conn, t)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return encrypted, nil
}
