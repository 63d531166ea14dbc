package ldlm

import (
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// writeTimeout is how long a server may refuse to take what is written to it.
const writeTimeout = 5 * time.Second

// plain carries frames straight on a connection.
type plain struct{ conn *wire.Conn }

func (p plain) Send(frames []byte) error            { return p.conn.WriteFrames(frames) }
func (p plain) Receive(f *ldlmv2.ServerFrame) error { return p.conn.ReadServer(f) }
func (p plain) PeerEnded() bool                     { return p.conn.PeerEnded() }
func (p plain) Close()                              { _ = p.conn.Close() }

// Interrupt has Receive fail until Resume.
func (p plain) Interrupt() bool { return p.conn.SetReadDeadline(time.Unix(1, 0)) == nil }

// Resume has Receive wait again.
func (p plain) Resume() bool { return p.conn.SetReadDeadline(time.Time{}) == nil }
