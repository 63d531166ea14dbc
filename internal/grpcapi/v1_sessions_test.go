package grpcapi_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
)

// tcpClient is a client whose connection can be got at.
type tcpClient struct {
	*client
	tcp *net.TCPConn
}

func dialTCP(t *testing.T, addr string) *tcpClient {
	t.Helper()
	c := &tcpClient{}
	conn := connect(t, "passthrough:///"+addr, grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		if c.tcp != nil {
			return nil, fmt.Errorf("no second connection")
		}
		var d net.Dialer
		dialed, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			c.tcp = dialed.(*net.TCPConn)
		}
		return dialed, err
	}))
	c.client = &client{ldlmv1.NewLDLMClient(conn), conn, t}
	return c
}

// TestConnectionEnds: whatever ends the connection ends the session, at once.
func TestConnectionEnds(t *testing.T) {
	for name, end := range map[string]func(*tcpClient) error{
		"in order": func(c *tcpClient) error { return c.conn.Close() },
		"FIN":      func(c *tcpClient) error { return c.tcp.Close() },
		"half":     func(c *tcpClient) error { return c.tcp.CloseWrite() },
		"RST": func(c *tcpClient) error {
			if err := c.tcp.SetLinger(0); err != nil {
				return err
			}
			return c.tcp.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			addr := h.listen()
			dying, other := dialTCP(t, addr), clientAt(t, addr)
			for i := range 20 {
				dying.take(fmt.Sprint("held", i))
			}
			dying.takeFor("timed", 1000)
			dying.takeOf("two", 2)
			twice := dying.takeOf("two", 2)
			dying.release("two", twice)
			busy := other.take("busy")
			dying.start(want("busy"))
			h.until("busy", waiters(1))
			next := other.start(want("held7"))
			h.until("held7", waiters(1))
			if err := end(dying); err != nil {
				t.Fatal(err)
			}
			if r, err := next.wait(); err != nil || !r.Locked {
				t.Fatalf("the next waiter: %v, %v", r, err)
			}
			h.until("busy", waiters(0))
			for _, name := range []string{"held0", "held19", "timed", "two"} {
				h.until(name, unheld)
			}
			if got := h.counts(); got.Sessions != 1 || got.Holds != 2 || got.Waiters != 0 {
				t.Errorf("left are %+v; want the other session with its two locks", got)
			}
			other.release("busy", busy)
		})
	}
}

// TestWhatEndedBeforeIsNotTouched: the end of a connection does not concern
// locks that were unlocked or expired, even if others hold them now.
func TestWhatEndedBeforeIsNotTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		a, b := h.client(), h.client()
		a.release("unlocked", a.take("unlocked"))
		a.takeFor("expired", 1)
		<-time.After(2 * time.Second)
		unlocked, expired := b.takeFor("unlocked", 60), b.takeFor("expired", 60)
		a.close()
		synctest.Wait()
		if got := h.counts().Sessions; got != 1 {
			t.Fatalf("%d sessions, want one", got)
		}
		for name, key := range map[string]string{"unlocked": unlocked, "expired": expired} {
			if r := b.renew(name, key, 30); !r.Locked {
				t.Errorf("%s is not held any more: %v", name, r)
			}
		}
		// Nor are their timers: 30 s it is.
		<-time.After(29 * time.Second)
		if got := h.counts().Holds; got != 2 {
			t.Errorf("%d holds after 29 s, want 2", got)
		}
		<-time.After(2 * time.Second)
		if got := h.counts().Holds; got != 0 {
			t.Errorf("%d holds after 31 s, want none", got)
		}
	})
}

func TestSessionsDoNotSurviveReconnection(t *testing.T) {
	h := open(t)
	a := h.client()
	key := a.take("l")
	a.close()
	b := h.client()
	if r := b.granted(b.Lock(t.Context(), want("l"))); r == key {
		t.Error("the key is that of the first connection")
	}
}

// TestOneConnectionIsOneSession: however many clients share it; and a
// connection that asks for nothing has none.
func TestOneConnectionIsOneSession(t *testing.T) {
	h := open(t)
	conn := h.dial()
	conn.Connect()
	a, b := ldlmv1.NewLDLMClient(conn), ldlmv1.NewLDLMClient(conn)
	if got := h.counts().Sessions; got != 0 {
		t.Errorf("%d sessions before the first call", got)
	}
	var all sync.WaitGroup
	for i := range 20 {
		c := []ldlmv1.LDLMClient{a, b}[i%2]
		all.Go(func() {
			if r, err := c.TryLock(t.Context(), try(fmt.Sprint(i))); err != nil || !r.Locked {
				t.Errorf("lock %d: %v, %v", i, r, err)
			}
		})
	}
	all.Wait()
	if got := h.counts(); got.Sessions != 1 || got.Holds != 20 {
		t.Errorf("%d sessions with %d holds, want 1 with 20", got.Sessions, got.Holds)
	}
}

func noClear(_ *node.Config, c *grpcapi.Config) { c.NoClearOnDisconnect = true }

func TestNoClearOnDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, noClear)
		a, b := h.client(), h.client()
		kept, timed := a.take("kept"), a.takeFor("timed", 5)
		busy := b.take("busy")
		waiting := a.start(want("busy"))
		synctest.Wait()
		a.close()
		if _, err := waiting.wait(); err == nil {
			t.Error("the waiting call was not ended")
		}
		synctest.Wait()
		if got := h.counts(); got.Holds != 3 || got.Waiters != 0 || got.Sessions != 1 {
			t.Errorf("left are %+v; want three holds, one session and nobody waiting", got)
		}
		b.release("busy", busy)
		if !b.isFree("busy") {
			t.Error("the waiting call of the dead connection was granted")
		}
		if r := b.renew("timed", timed, 7); !r.Locked {
			t.Errorf("renew: %v", r)
		}
		<-time.After(7*time.Second + 10*time.Millisecond)
		if !b.isFree("timed") {
			t.Error("the timer of a kept grant does not count")
		}
		<-time.After(time.Hour)
		if b.isFree("kept") {
			t.Error("a kept grant was released")
		}
		b.release("kept", kept)
	})
}

// TestNobodysGrantIsGivenBack: a grant that its client never learnt of does not
// stay because grants stay.
func TestNobodysGrantIsGivenBack(t *testing.T) {
	for _, late := range []error{nil, context.Canceled} { // of which the latter is what a cancellation that came late ends with
		synctest.Test(t, func(t *testing.T) {
			m := &moody{}
			h := open(t, noClear, m.wrapping)
			a, b := h.client(), h.client()
			kept := a.take("kept")
			granted, handOver := make(chan struct{}), make(chan struct{})
			m.then = func() error {
				close(granted)
				<-handOver
				return late
			}
			call := a.start(want("l"))
			<-granted
			a.close()
			synctest.Wait()
			m.then = nil
			close(handOver)
			if r, err := call.wait(); err == nil {
				t.Errorf("a call over a closed connection: %v", r)
			}
			synctest.Wait()
			if got := h.counts(); got.Holds != 1 {
				t.Errorf("%d holds are left, want the one that its client knew of", got.Holds)
			}
			b.release("kept", kept)
		})
	}
}

// TestKilledSession: the connection of a session that ends for another reason
// is closed, which is all that tells its client.
func TestKilledSession(t *testing.T) {
	h := open(t)
	c := h.client()
	c.take("l")
	waiting := c.start(want("l"))
	h.until("l", waiters(1))
	if o, err := h.node.Call(t.Context(), &lock.Kill{Session: 1}); err != nil || o.Code != lock.OK {
		t.Fatalf("kill: %v, %v", o.Code, err)
	}
	if _, err := waiting.wait(); status.Code(err) != codes.Unavailable {
		t.Errorf("the waiting call: %v, want Unavailable", err)
	}
	c.granted(c.Lock(t.Context(), want("l"), grpc.WaitForReady(true))) // over a new connection
	if v, _, err := h.node.Lookup(t.Context(), "l"); err != nil || v.Holders[0].Session != 2 {
		t.Errorf("held by session %d, want a new one (%v)", v.Holders[0].Session, err)
	}
}

// TestCancelledCallsLeaveTheQueue: and are never granted.
func TestCancelledCallsLeaveTheQueue(t *testing.T) {
	h := open(t)
	a, b := h.client(), h.client()
	key := a.take("l")
	for range 50 {
		p := b.start(want("l"))
		h.until("l", waiters(1))
		p.cancel()
		h.until("l", waiters(0))
		if _, err := p.wait(); status.Code(err) != codes.Canceled {
			t.Fatalf("a cancelled call: %v", err)
		}
	}
	a.release("l", key)
	if !a.isFree("l") {
		t.Error("a cancelled call was granted")
	}
}
