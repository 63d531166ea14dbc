package grpcapi_test

import (
	"io"
	"net"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/node"
)

// TestStrangers: of connections over which nobody was let in, the oldest make
// room. Who was let in may be silent, in whatever way it came.
func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 3
		log := &diary{t: t}
		h := open(t, password("secret"), log.at, func(_ *node.Config, c *grpcapi.Config) { c.MaxStrangers = most })
		v1 := h.client()
		call := func() {
			t.Helper()
			if _, err := v1.TryLock(with(t.Context(), "secret"), try("l")); err != nil {
				t.Errorf("a client that was let in: %v", err)
			}
		}
		call()
		frame := hello(ldlmv2.OnEndOfStream_ON_END_OF_STREAM_UNSPECIFIED)
		frame.Hello.Credential = "secret"
		k := h.talk(t.Context())
		if k.say(frame).GetWelcome() == nil {
			t.Fatal("no session over a stream")
		}
		refused := h.client()
		if _, err := refused.TryLock(with(t.Context(), "guess"), try("l")); status.Code(err) != codes.Unauthenticated {
			t.Fatalf("a wrong password: %v", err)
		}
		var crowd []net.Conn
		for range most + 2 {
			crowd = append(crowd, h.idle())
			synctest.Wait()
		}
		closed := 0
		for _, c := range crowd {
			if isClosed(c) {
				closed++
			}
		}
		if closed != 2 || isClosed(crowd[len(crowd)-1]) {
			t.Errorf("%d of %d are closed, or not the oldest; the limit is %d", closed, len(crowd), most)
		}
		if lines := log.lines("WARN", "Too many connections that ask for nothing; closing the oldest ones"); len(lines) != 1 {
			t.Errorf("%d lines about it", len(lines))
		}
		call()
		if len(log.lines("INFO", "Session ended")) != 0 {
			t.Error("a session has ended")
		}
		if k.say(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 1}}).GetKeepAlive() == nil {
			t.Error("the session over a stream does not live")
		}
		k.cancel()
		for _, c := range crowd {
			c.Close()
		}
		synctest.Wait()
		// The places of those that are gone are free.
		crowd = crowd[:0]
		for range most {
			crowd = append(crowd, h.idle())
			synctest.Wait()
		}
		for i, c := range crowd {
			if isClosed(c) {
				t.Errorf("connection %d is closed though there is room", i)
			}
			c.Close()
		}
	})
}

// idle is a connection that says no more than that it speaks HTTP/2. What the
// server says is read away.
func (h *house) idle() net.Conn {
	h.t.Helper()
	c, err := h.pipe.DialContext(h.t.Context())
	if err == nil {
		_, err = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	}
	if err != nil {
		h.t.Fatal(err)
	}
	q := &quiet{Conn: c, ended: make(chan struct{})}
	go func() {
		defer close(q.ended)
		_, _ = io.Copy(io.Discard, c)
	}()
	return q
}

// quiet is a connection whose end is noticed.
type quiet struct {
	net.Conn
	ended chan struct{}
}

func isClosed(c net.Conn) bool {
	select {
	case <-c.(*quiet).ended:
		return true
	default:
		return false
	}
}
