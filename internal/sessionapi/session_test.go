package sessionapi_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
	"github.com/ldlm-io/ldlm/internal/wire"
)

func TestOneLockFromOneToAnother(t *testing.T) {
	inWorld(t, sessionapi.Config{Version: "v2.0.0"}, func(t *testing.T, w *world) {
		a, b := w.dial(), w.dial()
		b.secret = []byte("another secret, quite random")
		welcome := a.open()
		b.open()
		if welcome.GetVersion() != 2 || welcome.GetSession() == 0 || welcome.GetAttach() == 0 || welcome.GetServer() != "v2.0.0" ||
			welcome.GetTtlUs() != 10_000_000 || welcome.GetValidForUs() != 8_928_571 || welcome.GetKeepAliveEveryUs() != 2_000_000 ||
			welcome.GetResumed() || !welcome.GetLeader().GetSelf() || welcome.GetMaxFrameBytes() != 4<<20 ||
			welcome.GetMaxSlots() != 65_536 || welcome.GetMaxWaitingSlots() != 61_440 {
			t.Errorf("welcome %v", welcome)
		}
		got := a.gets(ok, acquire(0, 1, "x", 0))
		if got.GetToken() == 0 || got.GetFence() != got.GetToken() || len(got.GetKey()) != 16 || !got.GetAtOnce() {
			t.Errorf("grant %v", got)
		}
		asked := time.Now()
		b.gets(queued, acquire(0, 1, "x", waitForever))
		<-time.After(3 * time.Second)
		waited := time.Since(asked).Microseconds()
		if a := a.gets(ok, release(0, 2, "x", got.GetToken())); a.GetToken() != 0 || a.GetKey() != nil {
			t.Errorf("a release is answered as a grant: %v", a)
		}
		next := b.answer()
		if next.GetCode() != ok || next.GetToken() <= got.GetToken() || next.GetAtOnce() || next.GetWaitedUs() != waited {
			t.Errorf("the one who waited got %v", next)
		}
	})
}

// again dials for the session of a client.
func (w *world) again(c *client) *client {
	d := w.dial()
	d.secret, d.session = c.secret, c.session
	return d
}

// alive reads what a resumed client is told that it still has.
func (c *client) alive() (tokens []uint64, slots []*ldlmv2.SlotState, parts int) {
	c.t.Helper()
	for {
		a := c.next().GetAlive()
		if a == nil {
			c.t.Fatal("no word of what is alive")
		}
		tokens, slots = append(tokens, a.GetTokens()...), append(slots, a.GetSlots()...)
		if parts++; a.GetLast() {
			return tokens, slots, parts
		}
	}
}

func TestResume(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		other, c := w.dial(), w.dial()
		other.secret = []byte("another secret, quite random")
		other.open()
		theirs := other.gets(ok, acquire(0, 1, "theirs", 0))
		first := c.open()
		mine := c.gets(ok, acquire(0, 1, "mine", 0))
		c.gets(queued, acquire(1, 1, "theirs", waitForever))
		c.cut()
		if v, there := w.view(c.session); !there || v.Attached {
			t.Errorf("after the cut the session is %+v, %v", v, there)
		}

		c = w.again(c)
		welcome := c.open()
		if !welcome.GetResumed() || welcome.GetSession() != first.GetSession() || welcome.GetAttach() <= first.GetAttach() {
			t.Errorf("welcome %v after %v", welcome, first)
		}
		tokens, slots, parts := c.alive()
		if len(tokens) != 1 || tokens[0] != mine.GetToken() || parts != 1 {
			t.Errorf("alive in %d parts: tokens %v, want %d", parts, tokens, mine.GetToken())
		}
		if len(slots) != 2 || slots[0].GetWaiting() || slots[0].GetSeq() != 1 || !slots[1].GetWaiting() || slots[1].GetSlot() != 1 {
			t.Errorf("alive: slots %v", slots)
		}
		if again := c.gets(ok, acquire(0, 1, "mine", 0)); again.GetToken() != mine.GetToken() || string(again.GetKey()) != string(mine.GetKey()) {
			t.Errorf("asked again: %v, first %v", again, mine)
		}
		c.gets(queued, acquire(1, 1, "theirs", waitForever))
		other.gets(ok, release(0, 2, "theirs", theirs.GetToken()))
		if a := c.answer(); a.GetCode() != ok || a.GetSlot() != 1 {
			t.Errorf("the place in the queue brought %v", a)
		}
	})
}

func TestResumeWithMuch(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		const many = 10_000
		c := w.dial()
		c.open()
		var ops []*ldlmv2.Op
		for i := range uint32(many) {
			ops = append(ops, acquire(i, 1, fmt.Sprint(i), 0))
		}
		want := map[uint64]bool{}
		c.ask(ops...)
		for len(want) < many {
			for _, a := range c.next().GetAnswers() {
				want[a.GetToken()] = true
			}
		}
		c.cut()
		c = w.again(c)
		c.open()
		tokens, slots, parts := c.alive()
		if len(tokens) != many || len(slots) != many || parts != 3 {
			t.Errorf("%d tokens and %d slots in %d parts, want %d in 3", len(tokens), len(slots), parts, many)
		}
		for _, token := range tokens {
			delete(want, token)
		}
		if len(want) != 0 {
			t.Errorf("%d tokens are missing", len(want))
		}
	})
}

func TestResumeNeedsTheSecret(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		thief := w.again(c)
		thief.secret = []byte("guessed, all of it")
		thief.send(&ldlmv2.ClientFrame{Hello: thief.hello()})
		if s := thief.end(); s.GetCode() != ldlmv2.Code_CODE_SESSION_LOST || s.GetEnding() != ldlmv2.Ending_ENDING_FATAL {
			t.Errorf("the thief is sent away with %v", s)
		}
		c.gets(ok, acquire(0, 1, "x", 0))
	})
}

func TestOpeningTwiceFindsTheSession(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		first := c.open()
		d := w.dial()
		if welcome := d.open(); welcome.GetSession() != first.GetSession() || !welcome.GetResumed() {
			t.Errorf("welcome %v after %v", welcome, first)
		}
		d.alive()
	})
}

func TestANewerConnectionEndsTheOlder(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		d := w.again(c)
		d.open()
		d.alive()
		if s := c.end(); s.GetCode() != ldlmv2.Code_CODE_SUPERSEDED || s.GetEnding() != ldlmv2.Ending_ENDING_FATAL {
			t.Errorf("the older one is sent away with %v", s)
		}
		<-c.served
		synctest.Wait()
		if v, _ := w.view(d.session); !v.Attached {
			t.Error("the end of the older connection detached the session")
		}
	})
}

func TestClosingASession(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c, other := w.dial(), w.dial()
		other.secret = []byte("another secret, quite random")
		other.open()
		c.open()
		c.gets(ok, acquire(0, 1, "x", 0))
		other.gets(queued, acquire(0, 1, "x", waitForever))
		c.send(&ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(1, 1, "y", 0)}, Close: &ldlmv2.CloseSession{}})
		if a := c.answer(); a.GetCode() != ok || a.GetSlot() != 1 {
			t.Errorf("what was asked with the farewell is answered by %v", a)
		}
		if s := c.end(); s.GetCode() != ok || s.GetEnding() != ldlmv2.Ending_ENDING_UNSPECIFIED {
			t.Errorf("the farewell is answered by %v", s)
		}
		if a := other.answer(); a.GetCode() != ok {
			t.Errorf("who waited got %v", a)
		}
		if _, there := w.view(c.session); there {
			t.Error("the session lives")
		}
	})
}

func TestKilledSession(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		if _, err := w.node.Call(t.Context(), &lock.Kill{Session: lock.SessionNumber(c.session)}); err != nil {
			t.Fatal(err)
		}
		if s := c.end(); s.GetCode() != ldlmv2.Code_CODE_SESSION_LOST || s.GetEnded() != ldlmv2.EndReason_END_REASON_FORCED ||
			s.GetEnding() != ldlmv2.Ending_ENDING_FATAL {
			t.Errorf("sent away with %v", s)
		}
	})
}

func TestForcedAndRevokedHolds(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		a, b := c.gets(ok, acquire(0, 1, "a", 0)), c.gets(ok, acquire(1, 1, "b", 0))
		for _, force := range []*lock.ForceRelease{
			{Name: "a", Token: lock.Token(a.GetToken())}, {Name: "b", Token: lock.Token(b.GetToken()), Wait: true},
		} {
			if o, err := w.node.Call(t.Context(), force); err != nil || o.Code != lock.OK {
				t.Fatal(o, err)
			}
			lost := c.next().GetLost()
			if len(lost) != 1 || lost[0].GetName() != force.Name || lost[0].GetToken() != uint64(force.Token) || lost[0].GetRevoked() != force.Wait {
				t.Errorf("forced %+v, told %v", force, lost)
			}
		}
		c.gets(ok, release(2, 1, "b", b.GetToken()))
	})
}

func TestWhatEndedIsToldBeforeAKeepAliveIsConfirmed(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		got := c.gets(ok, acquire(0, 1, "x", 0))
		for number := range uint64(200) {
			// Both at once: whichever goroutine writes, the loss must not come later.
			done := make(chan struct{})
			go func() {
				defer close(done)
				force := &lock.ForceRelease{Name: "x", Token: lock.Token(got.GetToken())}
				if o, err := w.node.Call(t.Context(), force); err != nil || o.Code != lock.OK {
					t.Error(o, err)
				}
			}()
			<-done
			c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: number + 1}})
			lost := false
			for confirmed := false; !confirmed; {
				f := c.next()
				lost = lost || len(f.GetLost()) > 0
				confirmed = f.GetKeepAlive().GetNumber() == number+1
			}
			if !lost {
				t.Fatalf("keep-alive %d is confirmed before the loss is told", number+1)
			}
			got = c.gets(ok, acquire(0, number+2, "x", 0))
		}
	})
}

func TestEndOfStream(t *testing.T) {
	closes := func(h *ldlmv2.Hello) { h.OnEndOfStream = ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE }
	keeps := func(*ldlmv2.Hello) {}
	tests := []struct {
		name string
		open func(*ldlmv2.Hello)
		end  func(w *world, c *client)
		// after is when the lock passes on.
		after time.Duration
	}{
		{"closes with its end, and the client ends it", closes, func(_ *world, c *client) { c.conn.Close() }, 0},
		{"outlives its end", keeps, func(_ *world, c *client) { c.conn.Close() }, 10 * time.Second},
		{"closes with its end, but speaks nonsense", closes, func(_ *world, c *client) { _, _ = c.raw.Write([]byte{255, 255, 255, 255}) }, 10 * time.Second},
		{"closes with its end, but says hello twice", closes, func(_ *world, c *client) { go c.conn.WriteClient(&ldlmv2.ClientFrame{Hello: c.hello()}) }, 10 * time.Second},
		{"closes with its end, but falls silent", closes, func(*world, *client) {}, 10 * time.Second},
		{"closes with its end, but the server goes", closes, func(w *world, _ *client) { w.server.Close() }, 10 * time.Second},
		{"closes with its end, but was asked to go", closes, func(w *world, c *client) {
			w.server.Drain("moving")
			c.next()
			c.conn.Close()
		}, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
				c := w.dial()
				c.open(tt.open)
				c.gets(ok, acquire(0, 1, "x", 0))
				start := time.Now()
				granted := make(chan lock.Outcome)
				go func() {
					o, err := w.node.Call(context.Background(), &lock.Acquire{
						Caller: lock.Caller{RequestID: "waiter"}, Items: []lock.Item{{Name: "x"}}, Wait: lock.Forever, Lease: lock.Minute,
					})
					if err != nil {
						t.Error(err)
					}
					granted <- o
				}()
				tt.end(w, c)
				o := <-granted
				// How long the client was silent is counted on a clock that is not fake.
				if took := time.Since(start); o.Code != lock.OK || took < tt.after-2*time.Second || took > tt.after+100*time.Millisecond {
					t.Errorf("the lock passed on with %s after %v, want %v", o.Code, took, tt.after)
				}
			})
		})
	}
}

func TestNothingFollowsAFarewell(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		b := [][]byte{
			frame(&ldlmv2.ClientFrame{Close: &ldlmv2.CloseSession{}}),
			frame(&ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(0, 1, "x", 0)}}),
		}
		if err := c.conn.WriteFrames(append(b[0], b[1]...)); err != nil {
			t.Fatal(err)
		}
		if s := c.end(); s.GetCode() != ok {
			t.Errorf("sent away with %v", s)
		}
		if n := w.node.Counts().Locks; n != 0 {
			t.Errorf("%d locks were made after the farewell", n)
		}
	})
}

func TestHelloTwice(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		c.send(&ldlmv2.ClientFrame{Hello: c.hello()})
		if s := c.end(); s.GetCode() != ldlmv2.Code_CODE_PROTOCOL || s.GetEnding() != ldlmv2.Ending_ENDING_FATAL {
			t.Errorf("sent away with %v", s)
		}
		<-c.served
		synctest.Wait()
		if v, there := w.view(c.session); !there || v.Attached {
			t.Errorf("the session is %+v, %v", v, there)
		}
	})
}

func TestOperationsWithHello(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.send(&ldlmv2.ClientFrame{
			Hello: c.hello(), Ops: []*ldlmv2.Op{acquire(0, 1, "x", 0)}, KeepAlive: &ldlmv2.KeepAlive{Number: 9},
		})
		if f := c.next(); f.GetWelcome() == nil {
			t.Fatalf("no welcome: %v", f)
		}
		f := c.next()
		if a := f.GetAnswers(); len(a) != 1 || a[0].GetCode() != ok || f.GetKeepAlive().GetNumber() != 9 {
			t.Errorf("then came %v", f)
		}
	})
}

func TestDrain(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		got := c.gets(ok, acquire(0, 1, "x", 0))
		w.server.Drain("the machine goes to sleep")
		if g := c.next().GetGoAway(); g.GetReason() != "the machine goes to sleep" {
			t.Errorf("asked to go with %v", g)
		}
		if s := c.gets(ldlmv2.Code_CODE_UNAVAILABLE, acquire(1, 1, "y", 0)).GetStatus(); s.GetEnding() != ldlmv2.Ending_ENDING_REFUSED {
			t.Errorf("an acquire is answered by %v", s)
		}
		c.gets(ok, release(0, 2, "x", got.GetToken()))
		late := w.dial()
		late.secret = []byte("another secret, quite random")
		late.send(&ldlmv2.ClientFrame{Hello: late.hello()})
		if s := late.end(); s.GetCode() != ldlmv2.Code_CODE_UNAVAILABLE {
			t.Errorf("who came late is sent away with %v", s)
		}
	})
}

func TestWhoLeads(t *testing.T) {
	inWorld(t, sessionapi.Config{Leader: &ldlmv2.Leader{Address: "one:3144", Known: true}}, func(t *testing.T, w *world) {
		c := w.dial()
		if l := c.open().GetLeader(); l.GetAddress() != "one:3144" || l.GetSelf() {
			t.Errorf("at first %v leads", l)
		}
		w.server.SetLeader(&ldlmv2.Leader{Self: true, Known: true})
		if l := c.next().GetLeader(); !l.GetSelf() {
			t.Errorf("then %v leads", l)
		}
		d := w.dial()
		d.secret = []byte("another secret, quite random")
		if l := d.open().GetLeader(); !l.GetSelf() {
			t.Errorf("who comes later is told that %v leads", l)
		}
	})
}

// frame encodes a frame with its length.
func frame(f *ldlmv2.ClientFrame) []byte {
	b := wire.AppendClient(make([]byte, 4), f)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}
