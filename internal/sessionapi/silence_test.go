package sessionapi_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

func TestASilentClientIsGivenUpAtHalfItsTTL(t *testing.T) {
	for _, ttl := range []time.Duration{2 * time.Second, 10 * time.Second, 60 * time.Second} {
		t.Run(ttl.String(), func(t *testing.T) {
			inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
				c := w.dial()
				c.open(func(h *ldlmv2.Hello) { h.TtlUs = ttl.Microseconds() })
				c.gets(ok, acquire(0, 1, "x", 0))
				start := time.Now()
				s := c.end()
				if took := time.Since(start); took < ttl/2-time.Second || took > ttl/2 {
					t.Errorf("given up after %v, want %v", took, ttl/2)
				}
				if s.GetCode() != ldlmv2.Code_CODE_UNAVAILABLE || !strings.Contains(s.GetMessage(), "keep-alive") {
					t.Errorf("sent away with %v", s)
				}
				<-c.served
				synctest.Wait()
				v, there := w.view(c.session)
				if left := time.Duration(v.Left) * time.Microsecond; !there || v.Attached || left > ttl/2 || left < ttl/2-time.Second {
					t.Errorf("the session is %+v, want %v left", v, ttl/2)
				}
				<-time.After(ttl/2 + time.Second)
				if _, there := w.view(c.session); there {
					t.Error("the session outlives its ttl")
				}
			})
		})
	}
}

func TestKeepAlivesKeepASessionAlive(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		c.gets(ok, acquire(0, 1, "x", 0))
		for n := range uint64(100) {
			<-time.After(4 * time.Second)
			c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: n, ValidForUs: 1}})
			if k := c.next().GetKeepAlive(); k.GetNumber() != n || k.GetValidForUs() != 8_928_571 {
				t.Fatalf("keep-alive %d is answered by %v", n, k)
			}
		}
		c.gets(held, acquire(1, 1, "x", 0))
	})
}

func TestOperationsAreNoKeepAlives(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		start := time.Now()
		for seq := uint64(1); ; seq++ {
			<-time.After(100 * time.Millisecond)
			if c.conn.WriteClient(&ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(0, seq, "x", 0)}}) != nil {
				break
			}
		}
		if took := time.Since(start); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("given up after %v, want 5s", took)
		}
		var last *ldlmv2.ServerFrame
		for f := range c.frames {
			last = f
		}
		if last.GetEnd().GetCode() != ldlmv2.Code_CODE_UNAVAILABLE {
			t.Errorf("the last frame is %v", last)
		}
		c.conn.Close()
	})
}

// A hold that has ended before a keep-alive is confirmed is told of before that, or with it:
// the client may believe in what is left.
func TestEndsAreToldBeforeTheConfirmation(t *testing.T) {
	withFake(t, &fakeNode{submit: prompt}, sessionapi.Config{}, func(t *testing.T, c *client, l *fakeLink) {
		l.endBeforeConfirming(sessionapi.Notice{Kind: sessionapi.Lost, Name: "x", Token: 7, Reason: lock.Forced})
		c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 1}})
		told := 0
		for confirmed := false; !confirmed; {
			f := c.next()
			told += len(f.GetLost())
			confirmed = f.GetKeepAlive() != nil
		}
		if told != 1 {
			t.Errorf("%d ends are told before the confirmation, want 1", told)
		}
	})
}

func TestGivingUpDoesNotWaitForWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNode{submit: prompt, links: make(chan *fakeLink, 1), ttl: 2 * lock.Second}
		s := sessionapi.New(sessionapi.Config{Node: n, Immediate: true})
		defer s.Close()
		c := dial(t, s)
		c.open()
		l := <-n.links
		c.stopReading()
		synctest.Wait()
		l.put(sessionapi.Notice{Kind: sessionapi.Lost, Name: "x", Token: 1}) // blocks who writes
		<-time.After(1100 * time.Millisecond)
		l.mu.Lock()
		if len(l.detached) == 0 || l.detached[0] > 1100*time.Millisecond {
			t.Errorf("after half the ttl the node was told %v", l.detached)
		}
		l.mu.Unlock()
		<-c.served
	})
}

// slowToAttach is a node that takes its time to attach a session.
type slowToAttach struct {
	*fakeNode
	takes time.Duration
}

func (n slowToAttach) Attach(ctx context.Context, o *lock.Open) (sessionapi.Link, lock.Outcome, error) {
	<-time.After(n.takes)
	return n.fakeNode.Attach(ctx, o)
}

// While a session is being attached an older connection of it may go on
// confirming, so silence counts from when that was over.
func TestSilenceCountsFromTheAttachment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNode{submit: prompt, links: make(chan *fakeLink, 1), ttl: 10 * lock.Second}
		s := sessionapi.New(sessionapi.Config{Node: slowToAttach{n, 4 * time.Second}, Immediate: true})
		defer s.Close()
		c := dial(t, s)
		c.open()
		l := <-n.links
		start := time.Now()
		c.end()
		if took := time.Since(start); took < 4*time.Second || took > 5*time.Second {
			t.Errorf("given up %v after the attachment, want 5s", took)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.detached) == 0 || l.detached[0] > 5*time.Second+100*time.Millisecond {
			t.Errorf("the node was told %v of silence, want 5s", l.detached)
		}
	})
}
