package sessionapi_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// password is the one that is asked for.
func password(p string) *auth.Gate {
	return auth.NewGate(auth.GateConfig{Passwords: auth.NewPasswords(p)})
}

func TestWhoIsSentAway(t *testing.T) {
	tests := []struct {
		name  string
		frame *ldlmv2.ClientFrame
		hello func(h *ldlmv2.Hello)
		code  ldlmv2.Code
		field string
		limit int64
		says  string
	}{
		{name: "operations before hello", frame: &ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(0, 1, "x", 0)}},
			code: ldlmv2.Code_CODE_PROTOCOL, says: "hello"},
		{name: "an empty frame", frame: &ldlmv2.ClientFrame{}, code: ldlmv2.Code_CODE_PROTOCOL},
		{name: "no version", hello: func(h *ldlmv2.Hello) { h.Version = 0 }, code: ldlmv2.Code_CODE_UNSUPPORTED, field: "version", limit: 2},
		{name: "an old version", hello: func(h *ldlmv2.Hello) { h.Version = 1 }, code: ldlmv2.Code_CODE_UNSUPPORTED, field: "version", limit: 2, says: "newer client"},
		{name: "no password", hello: func(h *ldlmv2.Hello) { h.Credential = "" }, code: ldlmv2.Code_CODE_UNAUTHENTICATED, field: "credential"},
		{name: "a wrong password", hello: func(h *ldlmv2.Hello) { h.Credential = "Sesam" }, code: ldlmv2.Code_CODE_UNAUTHENTICATED, field: "credential"},
		{name: "no secret", hello: func(h *ldlmv2.Hello) { h.Secret = nil }, code: ldlmv2.Code_CODE_INVALID, field: "secret", limit: 64},
		{name: "a short secret", hello: func(h *ldlmv2.Hello) { h.Secret = make([]byte, 15) }, code: ldlmv2.Code_CODE_INVALID, field: "secret", limit: 64},
		{name: "a long secret", hello: func(h *ldlmv2.Hello) { h.Secret = make([]byte, 65) }, code: ldlmv2.Code_CODE_INVALID, field: "secret", limit: 64},
		{name: "an end of stream of the future", hello: func(h *ldlmv2.Hello) { h.OnEndOfStream = 3 }, code: ldlmv2.Code_CODE_INVALID, field: "on_end_of_stream"},
		{name: "a negative ttl", hello: func(h *ldlmv2.Hello) { h.TtlUs = -1 }, code: ldlmv2.Code_CODE_INVALID, field: "ttl_us", limit: 2_000_000},
		{name: "a short ttl", hello: func(h *ldlmv2.Hello) { h.TtlUs = 1_999_999 }, code: ldlmv2.Code_CODE_INVALID, field: "ttl_us", limit: 2_000_000},
		{name: "a long ttl", hello: func(h *ldlmv2.Hello) { h.TtlUs = 60_000_001 }, code: ldlmv2.Code_CODE_INVALID, field: "ttl_us", limit: 60_000_000},
		{name: "an endless ttl", hello: func(h *ldlmv2.Hello) { h.TtlUs = 1<<63 - 1 }, code: ldlmv2.Code_CODE_INVALID, field: "ttl_us", limit: 60_000_000},
		{name: "a long value", hello: func(h *ldlmv2.Hello) { h.Value = make([]byte, 4097) }, code: ldlmv2.Code_CODE_INVALID, field: "value", limit: 4096},
		{name: "a long text", hello: func(h *ldlmv2.Hello) { h.Client.Host = strings.Repeat("h", 1025) }, code: ldlmv2.Code_CODE_INVALID, field: "client", limit: 1024},
		{name: "an unknown session", hello: func(h *ldlmv2.Hello) { h.Session = 77 }, code: ldlmv2.Code_CODE_SESSION_LOST, says: "open a new one"},
		{name: "too large a hello", hello: func(h *ldlmv2.Hello) { h.Value = make([]byte, 200_000) }, code: ldlmv2.Code_CODE_PROTOCOL, limit: 128 << 10},
		{name: "not UTF-8", hello: func(h *ldlmv2.Hello) { h.Client.User = "\xff" }, code: ldlmv2.Code_CODE_PROTOCOL, field: "hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, sessionapi.Config{Gate: password("sesam")}, func(t *testing.T, w *world) {
				c := w.dial()
				f := tt.frame
				if f == nil {
					h := c.hello()
					h.Credential = "sesam"
					tt.hello(h)
					f = &ldlmv2.ClientFrame{Hello: h}
				}
				go c.conn.WriteClient(f) // fails if it is cut before all of it is read
				s := c.end()
				if s.GetCode() != tt.code || s.GetField() != tt.field || s.GetLimit() != tt.limit {
					t.Errorf("sent away with %v, want %v, field %q, limit %d", s, tt.code, tt.field, tt.limit)
				}
				if s.GetEnding() == ldlmv2.Ending_ENDING_UNSPECIFIED || len(s.GetMessage()) < 10 || !strings.Contains(s.GetMessage(), tt.says) {
					t.Errorf("sent away with the words %q, ending %v", s.GetMessage(), s.GetEnding())
				}
				if err := <-c.served; err == nil {
					t.Error("Serve says that all went well")
				}
				if got := w.node.Counts().Sessions; got != 0 {
					t.Errorf("%d sessions were opened", got)
				}
			})
		})
	}
}

func TestPasswordLetsIn(t *testing.T) {
	for name, p := range map[string]*auth.Gate{"asked for": password("sesam"), "not asked for": password(""), "none": nil} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, sessionapi.Config{Gate: p}, func(t *testing.T, w *world) {
				w.dial().open(func(h *ldlmv2.Hello) { h.Credential = "sesam" })
			})
		})
	}
}

func TestANewerClientGetsOurVersion(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		welcome := w.dial().open(func(h *ldlmv2.Hello) { h.Version, h.Features = 9, []string{"telepathy"} })
		if welcome.GetVersion() != 2 || len(welcome.GetFeatures()) != 0 {
			t.Errorf("welcome %v", welcome)
		}
	})
}

func TestWhatIsKnownOfAClient(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open(func(h *ldlmv2.Hello) {
			h.Client.Remote, h.Client.Transport, h.TtlUs, h.Value = "made up", "made up", 5_000_000, []byte("v")
		})
		v, _ := w.view(c.session)
		if i := v.Info; i.Program != "test" || i.PID != 7 || i.Remote != "pipe" || i.Transport != "plain" || i.Labels[0].Key != "a" {
			t.Errorf("known: %+v", i)
		}
		if v.TTL != 5_000_000 || string(v.Value) != "v" || !v.Attached {
			t.Errorf("session: %+v", v)
		}
	})
}

func TestWhoSaysNothingIsClosed(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		start := time.Now()
		if f, ok := <-c.frames; ok {
			t.Errorf("a frame came: %v", f)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("closed after %v, want 10s", took)
		}
		if err := <-c.served; err == nil {
			t.Error("Serve says that all went well")
		}
	})
}

func TestHalfAHelloIsNotEnough(t *testing.T) {
	inWorld(t, sessionapi.Config{HelloWithin: time.Second}, func(t *testing.T, w *world) {
		c := w.dial()
		_, _ = c.raw.Write(binary.BigEndian.AppendUint32(nil, 100))
		start := time.Now()
		<-c.served
		if took := time.Since(start); took != time.Second {
			t.Errorf("closed after %v, want 1s", took)
		}
	})
}

func TestAFloodOfTheSilentClosesTheOldest(t *testing.T) {
	inWorld(t, sessionapi.Config{MaxSilent: 2}, func(t *testing.T, w *world) {
		speaking := w.dial()
		speaking.open()
		var silent []*client
		for range 4 {
			silent = append(silent, w.dial())
			synctest.Wait()
		}
		start := time.Now()
		<-silent[0].served
		<-silent[1].served
		if took := time.Since(start); took != 0 {
			t.Errorf("the oldest were closed after %v, want at once", took)
		}
		silent[2].secret = []byte("yet another secret")
		silent[2].open()
		speaking.gets(ok, acquire(0, 1, "x", 0))
	})
}

func TestWhoGoesBeforeHello(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.conn.Close()
		if err := <-c.served; err != io.EOF {
			t.Errorf("Serve returned %v, want %v", err, io.EOF)
		}
	})
}

func TestTheServersEndIsTheEnd(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		silent, speaking := w.dial(), w.dial()
		speaking.open()
		synctest.Wait()
		w.server.Close()
		<-silent.served
		<-speaking.served
		late := w.dial()
		if err := <-late.served; err != sessionapi.ErrClosed {
			t.Errorf("who came later got %v, want %v", err, sessionapi.ErrClosed)
		}
		synctest.Wait()
		if v, _ := w.view(speaking.session); v.Attached {
			t.Error("the session is still attached")
		}
	})
}

func TestTheContextsEndIsTheEnd(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		near, far := net.Pipe()
		served := make(chan error)
		go func() { served <- w.server.Serve(ctx, sessionapi.Plain(wire.NewConn(far, 0))) }()
		cancel()
		<-served
		if _, err := near.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the client reads %v, want %v", err, io.EOF)
		}
	})
}

func TestAClientOfAUnixSocket(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if got := sessionapi.Plain(wire.NewConn(far, 0)).Remote(); got != "unix" {
		t.Errorf("it comes from %q, want unix", got)
	}
}

// accepting is a listener of connections in memory.
type accepting chan *wire.Conn

func (a accepting) Accept() (*wire.Conn, error) {
	c, ok := <-a
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func TestServingAListener(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		l := make(accepting)
		done := make(chan error)
		go func() { done <- w.server.ServeListener(t.Context(), l) }()
		near, far := net.Pipe()
		l <- wire.NewConn(far, writeTimeout)
		conn := wire.NewConn(near, 0)
		if err := conn.WriteClient(&ldlmv2.ClientFrame{Hello: (&client{secret: make([]byte, 16)}).hello()}); err != nil {
			t.Fatal(err)
		}
		var f ldlmv2.ServerFrame
		if err := conn.ReadServer(&f); err != nil || f.GetWelcome() == nil {
			t.Errorf("read %v, %v", &f, err)
		}
		close(l)
		if err := <-done; err != nil {
			t.Errorf("at the end of the listener: %v", err)
		}
		conn.Close()
	})
}

func TestServingAListenerAfterTheEnd(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		w.server.Close()
		l := make(accepting, 1)
		near, far := net.Pipe()
		l <- wire.NewConn(far, writeTimeout)
		if err := w.server.ServeListener(t.Context(), l); err != nil {
			t.Error(err)
		}
		if _, err := near.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the client reads %v, want %v", err, io.EOF)
		}
	})
}
