package sessionapi_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// world is a server over a node in memory, in a bubble of fake time.
type world struct {
	t      *testing.T
	node   *node.Node
	server *sessionapi.Server
}

// inWorld runs a test on fake time.
func inWorld(t *testing.T, config sessionapi.Config, test func(t *testing.T, w *world)) {
	t.Helper()
	inWorldOf(t, lock.Settings{}, config, test)
}

// inWorldOf runs a test in a world whose table has settings.
func inWorldOf(t *testing.T, settings lock.Settings, config sessionapi.Config, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, err := node.Open(node.Config{Settings: settings}, memory.Open)
		if err != nil {
			t.Fatal(err)
		}
		config.Node, config.Immediate = below{n}, true
		w := &world{t: t, node: n, server: sessionapi.New(config)}
		defer func() {
			w.server.Close()
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, w)
	})
}

// client is the other end of a connection. What the server sends gathers in frames.
type client struct {
	t      *testing.T
	raw    net.Conn
	conn   *wire.Conn
	frames chan *ldlmv2.ServerFrame // closed at the end of the connection
	served chan error               // what Serve returned
	// secret and session are for resuming.
	secret  []byte
	session uint64
}

const writeTimeout = 5 * time.Second

// dial connects a client to the server.
func (w *world) dial() *client { return dial(w.t, w.server) }

func dial(t *testing.T, s *sessionapi.Server) *client {
	near, far := net.Pipe()
	c := &client{
		t: t, raw: near, conn: wire.NewConn(near, 0), served: make(chan error, 1),
		frames: make(chan *ldlmv2.ServerFrame, 100_000), secret: []byte("0123456789abcdef"),
	}
	go func() { c.served <- s.Serve(context.Background(), sessionapi.Plain(wire.NewConn(far, writeTimeout))) }()
	go c.read()
	t.Cleanup(func() { c.conn.Close() })
	return c
}

func (c *client) read() {
	defer close(c.frames)
	for {
		f := new(ldlmv2.ServerFrame)
		if c.conn.ReadServer(f) != nil {
			return
		}
		c.frames <- f
	}
}

// stopReading makes the client one that does not read any more.
func (c *client) stopReading() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) }

func (c *client) send(f *ldlmv2.ClientFrame) {
	c.t.Helper()
	if err := c.conn.WriteClient(f); err != nil {
		c.t.Fatalf("sending %v: %v", f, err)
	}
}

// next returns the next frame that comes, within what an attentive server takes.
func (c *client) next() *ldlmv2.ServerFrame {
	c.t.Helper()
	select {
	case f, ok := <-c.frames:
		if !ok {
			c.t.Fatal("the connection has ended; a frame was expected")
		}
		return f
	case <-time.After(time.Minute):
		c.t.Fatal("no frame came")
		return nil
	}
}

// quiet checks that nothing is on its way to the client.
func (c *client) quiet() {
	c.t.Helper()
	synctest.Wait()
	select {
	case f, ok := <-c.frames:
		c.t.Fatalf("a frame came that nobody expected: %v (the connection stands: %v)", f, ok)
	default:
	}
}

func (c *client) hello() *ldlmv2.Hello {
	return &ldlmv2.Hello{
		Version: 2, Secret: c.secret, Session: c.session,
		Client: &ldlmv2.ClientInfo{Program: "test", Host: "here", Pid: 7, Labels: map[string]string{"b": "2", "a": "1"}},
	}
}

// open says hello and returns the welcome.
func (c *client) open(change ...func(*ldlmv2.Hello)) *ldlmv2.Welcome {
	c.t.Helper()
	h := c.hello()
	for _, f := range change {
		f(h)
	}
	c.send(&ldlmv2.ClientFrame{Hello: h})
	w := c.next().GetWelcome()
	if w == nil {
		c.t.Fatal("no welcome")
	}
	c.session = w.GetSession()
	return w
}

// ask sends operations in one frame.
func (c *client) ask(ops ...*ldlmv2.Op) {
	c.t.Helper()
	c.send(&ldlmv2.ClientFrame{Ops: ops})
}

// answer returns the next frame's answer, which must be its only one.
func (c *client) answer() *ldlmv2.Answer {
	c.t.Helper()
	f := c.next()
	if len(f.GetAnswers()) != 1 {
		c.t.Fatalf("a frame without exactly one answer: %v", f)
	}
	return f.GetAnswers()[0]
}

// gets asks for one thing and checks the code of the answer.
func (c *client) gets(code ldlmv2.Code, op *ldlmv2.Op) *ldlmv2.Answer {
	c.t.Helper()
	c.ask(op)
	a := c.answer()
	if a.GetCode() != code || a.GetSlot() != op.GetSlot() || a.GetSeq() != op.GetSeq() {
		c.t.Fatalf("%v is answered by %v, want %v", op, a, code)
	}
	return a
}

// end returns the last words of the connection, and checks that they are.
func (c *client) end() *ldlmv2.Status {
	c.t.Helper()
	s := c.next().GetEnd()
	if s == nil {
		c.t.Fatal("not the end")
	}
	if f, ok := <-c.frames; ok {
		c.t.Fatalf("a frame came after the end: %v", f)
	}
	c.conn.Close()
	return s
}

// cut ends the connection from the client's side and waits until that is known.
func (c *client) cut() {
	c.conn.Close()
	<-c.served
	synctest.Wait()
}

func acquire(slot uint32, seq uint64, name string, wait time.Duration) *ldlmv2.Op {
	return &ldlmv2.Op{Slot: slot, Seq: seq, Acquire: &ldlmv2.Acquire{Name: name, WaitUs: wait.Microseconds()}}
}

func release(slot uint32, seq uint64, name string, token uint64) *ldlmv2.Op {
	return &ldlmv2.Op{Slot: slot, Seq: seq, Release: &ldlmv2.Release{Name: name, Token: token}}
}

// view returns what the node has of a session, false if it has ended.
func (w *world) view(session uint64) (lock.SessionView, bool) {
	w.t.Helper()
	v, ok, err := w.node.LookupSession(context.Background(), lock.SessionNumber(session))
	if err != nil {
		w.t.Fatal(err)
	}
	return v, ok
}

const (
	ok          = ldlmv2.Code_CODE_OK
	queued      = ldlmv2.Code_CODE_QUEUED
	held        = ldlmv2.Code_CODE_HELD
	defaultTTL  = 10 * time.Second
	waitForever = -time.Microsecond
)

// keyString renders a key as people write it.
func keyString(b []byte) string { return lock.Key(b).String() }
