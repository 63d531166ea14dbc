package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// handler is a [Handler] of functions.
type handler struct {
	readable, attend func()
	leaves           func() bool // some; nil leaves nothing
	over             chan error
}

func (h *handler) Readable() bool {
	if h.readable != nil {
		h.readable()
	}
	return h.leaves != nil && h.leaves()
}

func (h *handler) Attend() {
	if h.attend != nil {
		h.attend()
	}
}

func (h *handler) Over(err error) { h.over <- err }

func newHandler() *handler { return &handler{over: make(chan error, 2)} }

// newPoller starts a poller for a test.
func newPoller(t *testing.T) *Poller {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("no pollers on this system")
	}
	p := NewPoller(true, func() {})
	t.Cleanup(p.Close)
	return p
}

// echoes has a handler answer each keep-alive with its number.
func (h *handler) echoes(c *Conn) {
	var f ldlmv2.ClientFrame
	h.readable = func() {
		for c.Buffered() {
			if c.ReadClient(&f) != nil {
				_ = c.Close()
				return
			}
			_ = c.WriteServer(&ldlmv2.ServerFrame{KeepAlive: &ldlmv2.KeepAlive{Number: f.GetKeepAlive().GetNumber()}})
		}
	}
}

// adopt has a poller serve the server's end of a new connection.
func adopt(t *testing.T, p *Poller, writeTimeout time.Duration, prepare func(*handler, *Conn)) (*net.TCPConn, *Conn, *handler) {
	t.Helper()
	client, server := tcpPair(t)
	c, h := NewConn(server, writeTimeout), newHandler()
	prepare(h, c)
	if !p.Adopt(c, h) {
		t.Fatal("not adopted")
	}
	return client, c, h
}

func TestPollerServesMany(t *testing.T) {
	p := newPoller(t)
	var work sync.WaitGroup
	for i := range uint64(20) {
		client, _, h := adopt(t, p, time.Minute, func(h *handler, c *Conn) { h.echoes(c) })
		work.Go(func() {
			if err := talk(client, i); err != nil {
				t.Error(err)
			}
			_ = client.Close()
			if err := <-h.over; !errors.Is(err, io.EOF) {
				t.Errorf("over: %v", err)
			}
		})
	}
	work.Wait()
}

// talk sends keep-alives in pieces that do not end with frames, and reads their
// echoes.
func talk(client net.Conn, seed uint64) error {
	const n = 200
	r := rand.New(rand.NewPCG(seed, 0))
	var all []byte
	for i := range uint64(n) {
		all = append(all, frameOf(keepAlive(i))...)
	}
	sent := make(chan error, 1)
	go func() {
		for len(all) > 0 {
			k := min(len(all), 1+r.IntN(40))
			if _, err := client.Write(all[:k]); err != nil {
				sent <- err
				return
			}
			all = all[k:]
		}
		sent <- nil
	}()
	c := NewConn(client, 0)
	var f ldlmv2.ServerFrame
	for i := range uint64(n) {
		if err := c.ReadServer(&f); err != nil {
			return err
		}
		if got := f.GetKeepAlive().GetNumber(); got != i {
			return fmt.Errorf("echo %d, want %d", got, i)
		}
	}
	return <-sent
}

// rests has a handler echo, and rest each time that it did.
func (h *handler) rests(c *Conn, rest time.Duration) (heard *atomic.Int64) {
	h.echoes(c)
	heard = new(atomic.Int64)
	echo := h.readable
	h.readable = func() {
		if !c.Buffered() {
			return
		}
		heard.Add(1)
		echo()
		c.Rest(rest)
	}
	return heard
}

// While a connection rests nothing of it is read, others are served, and that it is
// broken is noticed.
func TestPollerLeavesOneToRest(t *testing.T) {
	p := newPoller(t)
	var heard *atomic.Int64
	client, _, h := adopt(t, p, time.Minute, func(h *handler, c *Conn) { heard = h.rests(c, time.Hour) })
	other, _, _ := adopt(t, p, time.Minute, func(h *handler, c *Conn) { h.echoes(c) })
	if _, err := client.Write(frameOf(keepAlive(1))); err != nil {
		t.Fatal(err)
	}
	if err := NewConn(client, 0).ReadServer(new(ldlmv2.ServerFrame)); err != nil {
		t.Fatal(err)
	}
	before := heard.Load()
	if _, err := client.Write(frameOf(keepAlive(2))); err != nil {
		t.Fatal(err)
	}
	if err := talk(other, 1); err != nil {
		t.Fatal(err)
	}
	if after := heard.Load(); after != before {
		t.Errorf("it was read %d times while it rests", after-before)
	}
	if err := client.SetLinger(0); err != nil { // so closing breaks it
		t.Fatal(err)
	}
	_ = client.Close()
	<-h.over
	if after := heard.Load(); after != before {
		t.Errorf("what it had sent was read %d times when it was broken", after-before)
	}
}

// A poller does not wait for those who rest, and who has rested goes on.
func TestPollerGoesOnAfterRests(t *testing.T) {
	p := newPoller(t)
	client, _, h := adopt(t, p, time.Minute, func(h *handler, c *Conn) { h.rests(c, time.Millisecond) })
	if err := talk(client, 1); err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
	if err := <-h.over; !errors.Is(err, io.EOF) {
		t.Errorf("over: %v", err)
	}
	resting, _, h := adopt(t, p, time.Minute, func(h *handler, c *Conn) { h.rests(c, time.Hour) })
	if err := NewClientConn(resting, 0).WriteFrames(frameOf(keepAlive(1))); err != nil {
		t.Fatal(err)
	}
	p.Close()
	<-h.over
}

// A frame that is larger than what is read at a time comes whole.
func TestPollerLargeFrames(t *testing.T) {
	p := newPoller(t)
	got := make(chan int, 1)
	client, _, _ := adopt(t, p, time.Minute, func(h *handler, c *Conn) {
		h.readable = func() {
			var f ldlmv2.ClientFrame
			for c.Buffered() {
				if err := c.ReadClient(&f); err != nil {
					t.Error(err)
				}
				got <- len(f.GetHello().GetValue())
			}
		}
	})
	for _, size := range []int{10, 3 * mostBuffer, 0, MaxFrameBytes - 100} {
		b := frameOf(&ldlmv2.ClientFrame{Hello: &ldlmv2.Hello{Value: bytes.Repeat([]byte{1}, size)}})
		if _, err := client.Write(b); err != nil {
			t.Fatal(err)
		}
		if n := <-got; n != size {
			t.Errorf("%d bytes, want %d", n, size)
		}
	}
}

// What was read before a connection was handed over is not forgotten.
func TestPollerTakesWhatIsBuffered(t *testing.T) {
	p := newPoller(t)
	client, server := tcpPair(t)
	if _, err := client.Write(append(frameOf(keepAlive(1)), frameOf(keepAlive(2))...)); err != nil {
		t.Fatal(err)
	}
	c, h := NewConn(server, time.Minute), newHandler()
	var f ldlmv2.ClientFrame
	if err := c.ReadClient(&f); err != nil {
		t.Fatal(err)
	}
	h.echoes(c)
	if !p.Adopt(c, h) {
		t.Fatal("not adopted")
	}
	var answer ldlmv2.ServerFrame
	if err := NewConn(client, 0).ReadServer(&answer); err != nil || answer.GetKeepAlive().GetNumber() != 2 {
		t.Errorf("%v, %v", &answer, err)
	}
}

// Who does not read is not read from; nothing is lost when it reads again.
func TestPollerBacklog(t *testing.T) {
	p := newPoller(t)
	const size, many = 64 << 10, 200
	read := make(chan uint64, many)
	attended := make(chan struct{}, 100)
	client, c, _ := adopt(t, p, time.Minute, func(h *handler, c *Conn) {
		h.attend = func() { attended <- struct{}{} }
		var f ldlmv2.ClientFrame
		h.readable = func() {
			for c.Buffered() {
				_ = c.ReadClient(&f)
				read <- f.GetKeepAlive().GetNumber()
			}
		}
	})
	<-attended // at first
	for i := range uint64(many) {
		err := c.WriteServer(&ldlmv2.ServerFrame{
			KeepAlive: &ldlmv2.KeepAlive{Number: i}, End: &ldlmv2.Status{Message: string(make([]byte, size))},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c.Rouse()
	if _, err := client.Write(frameOf(keepAlive(7))); err != nil {
		t.Fatal(err)
	}
	// Another connection's turn comes after these.
	other, _, _ := adopt(t, p, time.Minute, func(h *handler, c *Conn) { h.echoes(c) })
	if err := talk(other, 1); err != nil {
		t.Fatal(err)
	}
	select {
	case <-read:
		t.Error("read from a connection that takes nothing")
	case <-attended:
		t.Error("attended to a connection that takes nothing")
	default:
	}
	in := NewConn(client, 0)
	var f ldlmv2.ServerFrame
	for i := range uint64(many) {
		if err := in.ReadServer(&f); err != nil || f.GetKeepAlive().GetNumber() != i {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	if n := <-read; n != 7 {
		t.Errorf("read %d", n)
	}
	<-attended
}

func TestPollerGivesUpWhoTakesNothing(t *testing.T) {
	p := newPoller(t)
	_, c, h := adopt(t, p, 10*time.Millisecond, func(*handler, *Conn) {})
	var err error
	for err == nil {
		err = c.WriteFrames(make([]byte, 1<<20))
	}
	if err := <-h.over; !errors.Is(err, net.ErrClosed) {
		t.Errorf("over: %v", err)
	}
	if c.PeerEnded() {
		t.Error("the other side is said to have ended it")
	}
}

// The last words get out, also behind a backlog, and what comes after is forgotten.
func TestPollerFinish(t *testing.T) {
	for _, before := range []int{0, 10 << 20} {
		p := newPoller(t)
		client, c, h := adopt(t, p, time.Minute, func(h *handler, c *Conn) {
			h.readable = func() { t.Error("readable after the end") }
		})
		if err := c.WriteFrames(make([]byte, before)); err != nil {
			t.Fatal(err)
		}
		if err := c.WriteFrames([]byte("bye")); err != nil {
			t.Fatal(err)
		}
		_ = c.Finish(time.Minute)
		if _, err := client.Write(frameOf(keepAlive(1))); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(client)
		if err != nil || len(all) != before+3 || string(all[before:]) != "bye" {
			t.Errorf("%d bytes, %v", len(all), err)
		}
		_ = client.Close()
		<-h.over
		if c.PeerEnded() {
			t.Error("the other side is said to have ended it")
		}
		if err := c.WriteFrames([]byte("more")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("written after the end: %v", err)
		}
	}
}

func TestPollerFinishHasAnEnd(t *testing.T) {
	p := newPoller(t)
	_, c, h := adopt(t, p, time.Minute, func(*handler, *Conn) {})
	_ = c.Finish(time.Millisecond)
	<-h.over
}

func TestPollerWhoEnds(t *testing.T) {
	p := newPoller(t)
	for name, end := range map[string]func(client *net.TCPConn, c *Conn){
		"FIN":  func(client *net.TCPConn, _ *Conn) { _ = client.Close() },
		"RST":  func(client *net.TCPConn, _ *Conn) { _ = client.SetLinger(0); _ = client.Close() },
		"half": func(client *net.TCPConn, _ *Conn) { _, _ = client.Write([]byte{0, 0}); _ = client.Close() },
		"us":   func(_ *net.TCPConn, c *Conn) { _ = c.Close(); _ = c.Close() },
	} {
		client, c, h := adopt(t, p, time.Minute, func(h *handler, c *Conn) { h.echoes(c) })
		end(client, c)
		err := <-h.over
		if got, want := c.PeerEnded(), name != "us"; got != want {
			t.Errorf("%s: ended by the other side: %v, error %v", name, got, err)
		}
		c.Rouse() // of nobody
		_ = c.Close()
	}
}

func TestPollerClose(t *testing.T) {
	p := newPoller(t)
	client, _, h := adopt(t, p, time.Minute, func(h *handler, c *Conn) { h.echoes(c) })
	p.Close()
	if err := <-h.over; !errors.Is(err, errPollerClosed) {
		t.Errorf("over: %v", err)
	}
	if _, err := io.ReadAll(client); err != nil {
		t.Error(err)
	}
	_, server := tcpPair(t)
	c := NewConn(server, time.Minute)
	if p.Adopt(c, newHandler()) {
		t.Error("a closed poller adopts")
	}
	if err := c.WriteFrames([]byte{1}); err != nil { // goes on as ever
		t.Error(err)
	}
}

// A connection that was closed while it was handed over ends.
func TestPollerAdoptsClosed(t *testing.T) {
	p := newPoller(t)
	for range 50 {
		_, server := tcpPair(t)
		c, h := NewConn(server, time.Minute), newHandler()
		closed := make(chan struct{})
		go func() { defer close(closed); _ = c.Close() }()
		if p.Adopt(c, h) {
			<-h.over
		}
		<-closed
	}
}

func TestPollerNotForEverything(t *testing.T) {
	p := newPoller(t)
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if p.Adopt(NewConn(near, 0), newHandler()) {
		t.Error("adopted a pipe")
	}
}

// A handler may be roused by another one's turn, and by its own.
func TestPollerRouse(t *testing.T) {
	p := newPoller(t)
	attended := make(chan int, 100)
	_, second, _ := adopt(t, p, time.Minute, func(h *handler, c *Conn) {
		h.attend = func() { attended <- 2 }
	})
	_, first, _ := adopt(t, p, time.Minute, func(h *handler, c *Conn) {
		h.attend = func() { attended <- 1; second.Rouse() }
	})
	for range 3 {
		first.Rouse()
		for n := 0; n != 1; n = <-attended {
		}
		for n := 0; n != 2; n = <-attended {
		}
	}
}

func TestPace(t *testing.T) {
	p := pace{may: true}
	now := time.Now()
	if p.spins(now) {
		t.Error("spins before any short sleep")
	}
	for range spinsAfter {
		p.slept(spinFor / 2)
	}
	if !p.spins(time.Now().Add(time.Hour)) {
		t.Error("does not spin although sleeps are short")
	}
	if p.spins(now.Add(-time.Hour)) {
		t.Error("spins for ever")
	}
	if p.spins(time.Now().Add(time.Hour)) {
		t.Error("spins again although it was in vain")
	}
	for range spinsAfter {
		p.slept(spinFor / 2)
	}
	p.slept(time.Second)
	if p.spins(time.Now().Add(time.Hour)) {
		t.Error("spins after a long sleep")
	}
	one := pace{}
	for range spinsAfter {
		one.slept(0)
	}
	if one.spins(time.Now().Add(time.Hour)) {
		t.Error("spins on one processor")
	}
}
