package sessionapi_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// script is a connection whose other side says what it has to say, and goes.
type script struct {
	net.Conn
	says  *bytes.Reader
	heard bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)       { return s.says.Read(b) }
func (s *script) Write(b []byte) (int, error)      { return s.heard.Write(b) }
func (s *script) Close() error                     { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// FuzzConversation holds a conversation with a client that says anything, after
// a hello or instead of one. Whatever it says, the server answers in frames or
// says why not, and goes on serving others.
func FuzzConversation(f *testing.F) {
	op := func(ops ...*ldlmv2.Op) []byte { return frame(&ldlmv2.ClientFrame{Ops: ops}) }
	hello := frame(&ldlmv2.ClientFrame{Hello: (&client{secret: make([]byte, 16)}).hello()})
	bye := frame(&ldlmv2.ClientFrame{Close: &ldlmv2.CloseSession{}})
	f.Add(true, op(acquire(0, 1, "x", 0)))
	f.Add(true, op(everyOp()...))
	f.Add(true, append(op(acquire(0, 1, "x", 0), acquire(1, 1, "x", waitForever)), bye...))
	f.Add(true, append(frame(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 1}}), hello...))
	f.Add(true, []byte{0, 0, 0, 9, 1, 2})
	f.Add(false, hello)
	f.Add(false, append(append([]byte{}, hello...), op(&ldlmv2.Op{Slot: 1, Seq: 1, Cancel: &ldlmv2.Cancel{}})...))
	f.Add(false, []byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, greets bool, says []byte) {
		n, err := node.Open(node.Config{}, memory.Open)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		s := sessionapi.New(sessionapi.Config{Node: below{n}, Immediate: true})
		defer s.Close()
		if greets {
			says = append(append([]byte{}, hello...), says...)
		}
		conn := &script{says: bytes.NewReader(says)}
		_ = s.Serve(t.Context(), sessionapi.Plain(wire.NewConn(conn, 0)))
		heard := wire.NewConn(&script{says: bytes.NewReader(conn.heard.Bytes())}, 0)
		for err == nil {
			err = heard.ReadServer(new(ldlmv2.ServerFrame))
		}
		if err != io.EOF {
			t.Errorf("what the server said cannot be read: %v", err)
		}
		other := &script{says: bytes.NewReader(append(frame(&ldlmv2.ClientFrame{Hello: (&client{secret: make([]byte, 17)}).hello()}), op(acquire(0, 1, "of the other", 0))...))}
		if err := s.Serve(t.Context(), sessionapi.Plain(wire.NewConn(other, 0))); err != io.EOF {
			t.Errorf("another client's conversation ended with %v", err)
		}
	})
}
