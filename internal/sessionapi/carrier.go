package sessionapi

import (
	"net"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// Carrier carries the frames of one connection. One goroutine at a time
// receives, one at a time sends, and the other methods may be called at any time.
type Carrier interface {
	// Receive waits for the next frame and reads it into f, which is used again
	// from frame to frame; see wire.DecodeClient. A *wire.FrameError says that
	// what came is no frame: the client is told so.
	Receive(f *ldlmv2.ClientFrame) error
	// Buffered reports whether Receive would return at once. It is called by
	// the goroutine that receives; a carrier that cannot tell says no.
	Buffered() bool
	// LimitReceive sets the size of the largest frame to be received. A carrier
	// whose messages are bounded otherwise may leave it.
	LimitReceive(bytes int)
	// Send sends a frame, of which it keeps nothing. It fails within some
	// seconds if the other side does not take what is sent.
	Send(f *ldlmv2.ServerFrame) error
	// Finish says that nothing more is sent: the client gets to read what was.
	// Receive fails soon afterwards, whatever the client does.
	Finish()
	// Close ends the connection; Receive and Send return.
	Close()
	// PeerEnded reports whether it was the client's side that ended the
	// connection, and not this one or a time-out.
	PeerEnded() bool
	// Remote is the address of the client, Transport the name of the carrier.
	Remote() string
	Transport() string
}

// lastWords is how long a client has to read what was sent last.
const lastWords = 2 * time.Second

// Plain returns the carrier of frames straight on a connection.
func Plain(c *wire.Conn) Carrier { return plain{c} }

type plain struct{ conn *wire.Conn }

func (p plain) Receive(f *ldlmv2.ClientFrame) error { return p.conn.ReadClient(f) }
func (p plain) Buffered() bool                      { return p.conn.Buffered() }
func (p plain) LimitReceive(bytes int)              { p.conn.LimitRead(bytes) }
func (p plain) Send(f *ldlmv2.ServerFrame) error    { return p.conn.WriteServer(f) }
func (p plain) Finish()                             { _ = p.conn.Finish(lastWords) }
func (p plain) Close()                              { _ = p.conn.Close() }
func (p plain) PeerEnded() bool                     { return p.conn.PeerEnded() }
func (p plain) Transport() string                   { return "plain" }

// Introduce implements [Introducer].
func (p plain) Introduce(v *auth.Visitor) *auth.Pass {
	v.Certificate = p.conn.Certificate()
	return nil
}

func (p plain) Remote() string {
	if a := p.conn.RemoteAddr(); a != nil {
		return addressOf(a)
	}
	return ""
}

// addressOf renders an address. Clients of a unix socket have none.
func addressOf(a net.Addr) string {
	if s := a.String(); s != "" && s != "@" {
		return s
	}
	return a.Network()
}
