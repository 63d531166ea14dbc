package grpcapi_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/node"
)

// freezable is a client's end of a connection that can be made to stand still.
type freezable struct {
	net.Conn
	mu sync.Mutex
	// deaf and dumb are closed when reads and writes go on again; nil while they do.
	deaf, dumb chan struct{}
}

// freeze makes reads stand still, and writes too if all is set, until the
// returned function is called.
func (f *freezable) freeze(all bool) (thaw func()) {
	ice := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deaf = ice
	if all {
		f.dumb = ice
	}
	return func() { close(ice) }
}

func (f *freezable) ice() (deaf, dumb chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.deaf, f.dumb
}

func (f *freezable) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if deaf, _ := f.ice(); deaf != nil {
		<-deaf
		return 0, io.ErrClosedPipe
	}
	return n, err
}

func (f *freezable) Write(b []byte) (int, error) {
	if _, dumb := f.ice(); dumb != nil {
		<-dumb
	}
	return f.Conn.Write(b)
}

// freezableClient is a client that can be made to stand still; it connects once.
func (h *house) freezableClient() (*client, *freezable) {
	h.t.Helper()
	f := &freezable{}
	c := connect(h.t, "passthrough:///house", grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		if f.Conn != nil {
			return nil, errors.New("no second connection")
		}
		var err error
		f.Conn, err = h.pipe.DialContext(ctx)
		return f, err
	}))
	return &client{ldlmv1.NewLDLMClient(c), c, h.t}, f
}

func keepalive(interval, timeout time.Duration) func(*node.Config, *grpcapi.Config) {
	return func(_ *node.Config, c *grpcapi.Config) { c.KeepaliveInterval, c.KeepaliveTimeout = interval, timeout }
}

// TestFrozenClient: one that answers no pings is dropped, and its locks go on.
func TestFrozenClient(t *testing.T) {
	for _, test := range []struct {
		interval, timeout time.Duration
		earliest, latest  time.Duration
	}{
		{time.Second, time.Second, 1500 * time.Millisecond, 2100 * time.Millisecond},
		{time.Millisecond, time.Second, 1500 * time.Millisecond, 2100 * time.Millisecond}, // acts as 1 s
		{0, 0, 60 * time.Second, 70100 * time.Millisecond},                                // 1 min, 10 s
	} {
		synctest.Test(t, func(t *testing.T) {
			h := open(t, keepalive(test.interval, test.timeout))
			a, ice := h.freezableClient()
			a.take("l")
			b := h.client()
			p := b.start(want("l"))
			synctest.Wait()
			defer ice.freeze(true)()
			r, err := p.wait()
			if err != nil || !r.Locked {
				t.Fatalf("the next waiter: %v, %v", r, err)
			}
			if p.after < test.earliest || p.after > test.latest {
				t.Errorf("keep-alive of %v and %v: the lock passed on after %v, want %v to %v",
					test.interval, test.timeout, p.after, test.earliest, test.latest)
			}
		})
	}
}

// TestQuietConnectionsLive: for hours, on answers to pings alone.
func TestQuietConnectionsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		c := h.client()
		key := c.take("l")
		<-time.After(time.Hour)
		c.release("l", key)
		if got := h.counts().Sessions; got != 1 {
			t.Errorf("%d sessions, want the one", got)
		}
	})
}

// TestDeafClient sends and never reads: it is cut off, and harms nobody.
func TestDeafClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		a, ice := h.freezableClient()
		a.take("l")
		defer ice.freeze(false)()
		b := h.client()
		next := b.start(want("l"))
		synctest.Wait()
		for range 3000 {
			go func() { _, _ = a.TryLock(t.Context(), try(strings.Repeat("l", 40))) }()
		}
		synctest.Wait()
		b.release("other", b.take("other"))
		if r, err := next.wait(); err != nil || !r.Locked {
			t.Errorf("the next waiter: %v, %v", r, err)
		}
		if next.after > 11*time.Second {
			t.Errorf("the deaf client was cut off after %v, want some 10 s", next.after)
		}
	})
}

// A frame of HTTP/2 is three bytes of length, type, flags and stream, and so
// many bytes.
const (
	frameSettings = 0x4
	framePing     = 0x6
	preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

func frame(typ, flags byte, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body))<<8|uint32(typ))
	return append(append(b, flags, 0, 0, 0, 0), body...)
}

// rawConn is a connection without a client behind it. What the server sends is
// read all the time.
type rawConn struct {
	net.Conn
	received chan struct{} // closed at the end of what the server sends
	data     []byte        // all of it, then
}

func (h *house) raw() *rawConn {
	h.t.Helper()
	c, err := h.pipe.Dial()
	if err != nil {
		h.t.Fatal(err)
	}
	r := &rawConn{Conn: c, received: make(chan struct{})}
	go func() {
		defer close(r.received)
		r.data, _ = io.ReadAll(c)
	}()
	return r
}

func (r *rawConn) closedBy() bool {
	select {
	case <-r.received:
		return true
	default:
		return false
	}
}

func (r *rawConn) send(t *testing.T, b []byte) {
	t.Helper()
	if _, err := r.Write(b); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func TestClientPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		hello := append([]byte(preface), frame(frameSettings, 0, nil)...)
		polite := h.raw()
		polite.send(t, hello)
		ping := frame(framePing, 0, make([]byte, 8))
		for range 30 {
			<-time.After(10*time.Second + time.Millisecond)
			polite.send(t, ping)
		}
		synctest.Wait()
		if polite.closedBy() {
			t.Error("a client that pings every 10 s without calls was cut off")
		}
		rude := h.raw()
		rude.send(t, hello)
		for range 4 {
			<-time.After(5 * time.Second)
			if !rude.closedBy() {
				_, _ = rude.Write(ping)
			}
		}
		<-rude.received
		if goAway := bytes.Index(rude.data, []byte("too_many_pings")); goAway < 0 {
			t.Errorf("a client that pings every 5 s was not told so: %q", rude.data)
		}
		_ = polite.Close()
	})
}

// TestSilentAndForeignConnections: who does not say HTTP/2 in time is cut off.
func TestSilentAndForeignConnections(t *testing.T) {
	for name, said := range map[string]string{
		"nothing":           "",
		"half a preface":    preface[:10],
		"no settings":       preface,
		"half the settings": preface + "\x00\x00\x06\x04",
		"HTTP/1.1":          "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"anything":          strings.Repeat("\xff", 100),
	} {
		synctest.Test(t, func(t *testing.T) {
			h := open(t)
			c := h.raw()
			if said != "" {
				c.send(t, []byte(said))
			}
			begun := time.Now()
			<-c.received
			if got := time.Since(begun); got > 10*time.Second {
				t.Errorf("%s: cut off after %v, want 10 s at most", name, got)
			}
			other := h.client()
			other.release("l", other.take("l"))
			_ = c.Close()
		})
	}
}

// TestMetadataHasALimit: a call with more fails by itself, one with less is served.
func TestMetadataHasALimit(t *testing.T) {
	h := open(t)
	c := h.client()
	c.take("l")
	call := func(bytes int) error {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x", strings.Repeat("y", bytes))
		_, err := c.TryLock(ctx, try("m"))
		return err
	}
	if err := call(60 << 10); err != nil {
		t.Errorf("60 KiB of metadata: %v", err)
	}
	if err := call(70 << 10); err == nil {
		t.Error("70 KiB of metadata were taken")
	}
	if got := h.counts(); got.Sessions != 1 || got.Holds != 2 {
		t.Errorf("left are %+v; want one session with two locks", got)
	}
}
