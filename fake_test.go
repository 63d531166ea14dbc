package ldlm

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/clock"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// fakeServer is a server that does what a test tells it, frame by frame. Only
// keep-alives it answers by itself, unless told not to.
type fakeServer struct {
	t        *testing.T
	accepted chan *fakeConn

	mu       sync.Mutex
	refuse   error                                           // of dialling
	obstruct func(ctx context.Context, address string) error // of dialling, which waits for it
	conns    []*fakeConn
	dialled  []string
}

// What the fake server says of time, for a ttl of 10 s.
const (
	testTTL     = 10 * time.Second
	testGoodFor = 8928571 * time.Microsecond
	testBeat    = 2 * time.Second
)

func newFakeServer(t *testing.T) *fakeServer {
	f := &fakeServer{t: t, accepted: make(chan *fakeConn, 64)}
	t.Cleanup(f.close)
	return f
}

func (f *fakeServer) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = errors.New("fake server is closed")
	for _, c := range f.conns {
		c.raw.Close()
	}
}

// setRefuse has dialling fail, or work again with nil.
func (f *fakeServer) setRefuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = err
}

// obstructed has the way to an address be as a function says.
func (f *fakeServer) obstructed(address string, way func(context.Context) error) {
	f.obstruct = func(ctx context.Context, a string) error {
		if a != address {
			return nil
		}
		return way(ctx)
	}
}

func (f *fakeServer) dial(ctx context.Context, address string) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dialled = append(f.dialled, address)
	if obstruct := f.obstruct; obstruct != nil {
		f.mu.Unlock()
		err := obstruct(ctx, address)
		f.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
	if f.refuse != nil {
		return nil, f.refuse
	}
	near, far := net.Pipe()
	c := &fakeConn{
		t: f.t, raw: far, frames: make(chan *ldlmv2.ClientFrame, 1024), out: make(chan []byte, 1024),
		gone: make(chan struct{}), beats: true, goodFor: testGoodFor,
	}
	f.conns = append(f.conns, c)
	go c.read()
	go c.write()
	f.accepted <- c
	return near, nil
}

// dials returns the addresses that were dialled since it was last asked.
func (f *fakeServer) dials() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.dialled
	f.dialled = nil
	return d
}

// client returns a client of the server that is closed with the test.
func (f *fakeServer) client(opts ...DialOption) *Client {
	f.t.Helper()
	c, err := Dial("one,two", append([]DialOption{WithDialer(f.dial)}, opts...)...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		f.close() // so that closing the client need not wait for answers
		c.Close()
	})
	return c
}

// accept returns the next connection.
func (f *fakeServer) accept() *fakeConn {
	f.t.Helper()
	return f.acceptWithin(time.Minute)
}

func (f *fakeServer) acceptWithin(d time.Duration) *fakeConn {
	f.t.Helper()
	select {
	case c := <-f.accepted:
		return c
	case <-time.After(d):
		f.t.Fatal("no connection came")
		return nil
	}
}

// open accepts a connection and welcomes a new session.
func (f *fakeServer) open() *fakeConn {
	f.t.Helper()
	c := f.accept()
	if h := c.hello(); h.GetSession() != 0 {
		f.t.Fatalf("hello asks to resume session %d, want a new one", h.GetSession())
	}
	c.welcome()
	return c
}

// resume accepts a connection and welcomes the session back with those tokens.
func (f *fakeServer) resume(tokens ...uint64) *fakeConn {
	f.t.Helper()
	c := f.accept()
	if h := c.hello(); h.GetSession() != testSession {
		f.t.Fatalf("hello asks for session %d, want %d", h.GetSession(), testSession)
	}
	c.welcomeBack(tokens...)
	return c
}

const testSession = 7

// fakeConn is one connection to the fake server.
type fakeConn struct {
	t       *testing.T
	raw     net.Conn
	frames  chan *ldlmv2.ClientFrame // closed at the end of the connection
	out     chan []byte              // written by a goroutine of its own
	gone    chan struct{}            // closed at the end of the connection
	pending []*ldlmv2.Op

	mu      sync.Mutex
	beats   bool // answer keep-alives
	goodFor time.Duration
	// seen are the keep-alives that came.
	seen []uint64
}

func (c *fakeConn) read() {
	defer close(c.frames)
	defer close(c.gone)
	preface := make([]byte, len(wire.Preface))
	if _, err := io.ReadFull(c.raw, preface); err != nil || string(preface) != wire.Preface {
		return
	}
	for {
		var head [4]byte
		if _, err := io.ReadFull(c.raw, head[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(head[:])
		if n > wire.MaxFrameBytes {
			c.t.Errorf("a frame of %d bytes came", n)
			return
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(c.raw, b); err != nil {
			return
		}
		f := new(ldlmv2.ClientFrame)
		if err := wire.DecodeClient(b, f); err != nil {
			return
		}
		c.beat(f)
		if f.Hello != nil || f.Close != nil || len(f.Ops) > 0 {
			c.frames <- f
		}
	}
}

// beat answers a keep-alive, if that is wanted.
func (c *fakeConn) beat(f *ldlmv2.ClientFrame) {
	if f.KeepAlive == nil {
		return
	}
	c.mu.Lock()
	c.seen = append(c.seen, f.KeepAlive.GetNumber())
	answer, goodFor := c.beats, c.goodFor
	c.mu.Unlock()
	if answer {
		c.confirm(f.KeepAlive.GetNumber(), goodFor)
	}
}

func (c *fakeConn) setBeats(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beats = on
}

func (c *fakeConn) beatsSeen() []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]uint64(nil), c.seen...)
}

func (c *fakeConn) confirm(number uint64, goodFor time.Duration) {
	c.send(&ldlmv2.ServerFrame{KeepAlive: &ldlmv2.KeepAlive{Number: number, ValidForUs: goodFor.Microseconds()}})
}

// frame returns the next frame that says more than keep-alive.
func (c *fakeConn) frame() *ldlmv2.ClientFrame {
	c.t.Helper()
	select {
	case f, ok := <-c.frames:
		if !ok {
			c.t.Fatal("the connection has ended, want a frame")
		}
		return f
	case <-time.After(time.Minute):
		c.t.Fatal("no frame came")
		return nil
	}
}

func (c *fakeConn) hello() *ldlmv2.Hello {
	c.t.Helper()
	f := c.frame()
	if f.Hello == nil {
		c.t.Fatalf("first frame is %v, want hello", f)
	}
	return f.Hello
}

// op returns the next operation.
func (c *fakeConn) op() *ldlmv2.Op {
	c.t.Helper()
	for len(c.pending) == 0 {
		c.pending = c.frame().Ops
	}
	op := c.pending[0]
	c.pending = c.pending[1:]
	return op
}

func (c *fakeConn) send(f *ldlmv2.ServerFrame) {
	b := wire.AppendServer(make([]byte, 4), f)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	c.out <- b
}

func (c *fakeConn) write() {
	for {
		select {
		case b := <-c.out:
			c.raw.Write(b) // whether it comes through is the test's question
		case <-c.gone:
			return
		}
	}
}

// isGone reports whether the connection has ended.
func (c *fakeConn) isGone() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

func (c *fakeConn) welcome() { c.sendWelcome(false) }

func (c *fakeConn) sendWelcome(resumed bool) {
	c.send(&ldlmv2.ServerFrame{Welcome: &ldlmv2.Welcome{
		Version: 2, Session: testSession, Attach: 1, TtlUs: testTTL.Microseconds(),
		ValidForUs: testGoodFor.Microseconds(), KeepAliveEveryUs: testBeat.Microseconds(), Resumed: resumed,
		MaxSlots: 16, MaxWaitingSlots: 8,
	}})
}

func (c *fakeConn) welcomeBack(tokens ...uint64) {
	c.sendWelcome(true)
	c.send(&ldlmv2.ServerFrame{Alive: &ldlmv2.Alive{Tokens: tokens, Last: true}})
}

func (c *fakeConn) answer(op *ldlmv2.Op, code ldlmv2.Code, change ...func(*ldlmv2.Answer)) {
	a := &ldlmv2.Answer{Slot: op.GetSlot(), Seq: op.GetSeq(), Code: code}
	if code != ldlmv2.Code_CODE_OK && code != ldlmv2.Code_CODE_QUEUED {
		a.Status = &ldlmv2.Status{Code: code, Ending: ldlmv2.Ending_ENDING_REFUSED}
	}
	for _, f := range change {
		f(a)
	}
	c.send(&ldlmv2.ServerFrame{Answers: []*ldlmv2.Answer{a}})
}

// grant answers an acquire.
func (c *fakeConn) grant(op *ldlmv2.Op, token uint64) {
	c.answer(op, ldlmv2.Code_CODE_OK, func(a *ldlmv2.Answer) {
		a.Token, a.Fence, a.AtOnce, a.Key = token, token, true, make([]byte, 16)
	})
}

func (c *fakeConn) ok(op *ldlmv2.Op) { c.answer(op, ldlmv2.Code_CODE_OK) }

// pass lets fake time go by.
func pass(d time.Duration) { <-time.After(d) }

// suspendable returns a function that has the client's machine sleep: its clock
// goes on by so much, and no timer fires.
func suspendable(c *Client) func(time.Duration) {
	var slept time.Duration
	var at clock.Instant
	c.since = func(i clock.Instant) time.Duration {
		if slept > 0 && at.Sub(i) >= 0 {
			return clock.Since(i) + slept
		}
		return clock.Since(i)
	}
	return func(d time.Duration) {
		synctest.Wait() // so that nobody looks at the clock meanwhile
		slept, at = d, clock.Now()
	}
}
