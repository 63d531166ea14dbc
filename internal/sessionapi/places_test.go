package sessionapi_test

import (
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// placeLinger is how long a place in a queue waits to be told beside something else.
const placeLinger = 10 * time.Millisecond

// The word that a request waits comes a little later when there is nothing else to say.
func TestPlaceIsToldAlone(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		_, c := held1(w)
		for slot := range uint32(3) {
			asked := time.Now()
			c.ask(acquire(slot, 1, "x", waitForever))
			<-time.After(placeLinger / 2)
			c.ask(acquire(slot+10, 1, "x", waitForever))
			f := c.next()
			if after := time.Since(asked); after != placeLinger {
				t.Errorf("the place was told after %s, want %s", after, placeLinger)
			}
			if n := len(f.GetAnswers()); n != 2 {
				t.Errorf("%d answers in the frame, want those of both requests", n)
			}
			<-time.After(time.Second)
			c.quiet()
		}
	})
}

// held1 returns a client that holds x, and another one.
func held1(w *world) (holder *client, other *client) {
	holder, other = w.dial(), w.dial()
	other.secret = []byte("another secret, quite random")
	holder.open()
	other.open()
	holder.gets(ok, acquire(0, 1, "x", 0))
	return holder, other
}

// What else there is to say waits for nothing, and takes the place along.
func TestPlaceIsToldBesideOther(t *testing.T) {
	for name, other := range map[string]*ldlmv2.ClientFrame{
		"keep-alive": {KeepAlive: &ldlmv2.KeepAlive{Number: 1}},
		"answer":     {Ops: []*ldlmv2.Op{acquire(1, 1, "y", 0)}},
		"both":       {KeepAlive: &ldlmv2.KeepAlive{Number: 1}, Ops: []*ldlmv2.Op{acquire(1, 1, "y", 0)}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
				_, c := held1(w)
				c.ask(acquire(0, 1, "x", waitForever))
				c.quiet()
				asked := time.Now()
				c.send(other)
				f := c.next()
				if time.Since(asked) != 0 || len(f.GetAnswers()) != 1+len(other.GetOps()) || f.GetAnswers()[0].GetCode() != queued {
					t.Errorf("after %s came %v, want the place beside what was asked for, at once", time.Since(asked), f)
				}
				<-time.After(time.Second)
				c.ask(acquire(2, 1, "x", waitForever)) // what was told is forgotten
				c.quiet()
				c.answer()
			})
		})
	}
}

// So does what comes of itself.
func TestPlaceIsToldBesideNews(t *testing.T) {
	for name, tell := range map[string]func(*world){
		"leader":  func(w *world) { w.server.SetLeader(&ldlmv2.Leader{Known: true}) },
		"go away": func(w *world) { w.server.Drain("maintenance") },
		"loss":    func(*world) {}, // the lease ends by itself
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
				_, c := held1(w)
				leased := acquire(3, 1, "other", 0)
				leased.Acquire.LeaseUs = (placeLinger / 2).Microseconds()
				c.gets(ok, leased)
				c.ask(acquire(0, 1, "x", waitForever))
				c.quiet()
				asked := time.Now()
				tell(w)
				f := c.next()
				if time.Since(asked) > placeLinger/2 || len(f.GetAnswers()) != 1 || f.GetLeader() == nil && f.GetGoAway() == nil && f.GetLost() == nil {
					t.Errorf("after %s came %v, want the place beside the news", time.Since(asked), f)
				}
			})
		})
	}
}

// Whoever gets the lock soon is told of the place with the grant, in one frame.
func TestPlaceIsToldWithGrant(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		a, b := w.dial(), w.dial()
		b.secret = []byte("another secret, quite random")
		a.open()
		b.open()
		token := a.gets(ok, acquire(0, 1, "x", 0)).GetToken()
		holder, waiter := a, b
		for slot := range uint32(4) {
			waiter.ask(acquire(slot+1, 1, "x", waitForever))
			<-time.After(placeLinger - 1)
			waiter.quiet()
			asked := time.Now()
			holder.gets(ok, release(slot+10, 1, "x", token))
			got := waiter.next().GetAnswers()
			if len(got) != 2 || got[0].GetCode() != queued || got[1].GetCode() != ok || time.Since(asked) != 0 {
				t.Fatalf("after %s came %v, want the place and the grant, at once", time.Since(asked), got)
			}
			token = got[1].GetToken()
			holder, waiter = waiter, holder
			<-time.After(time.Second)
			holder.quiet()
			waiter.quiet()
		}
	})
}

// The connection may end while a place waits to be told.
func TestEndBeforePlaceIsTold(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		_, c := held1(w)
		c.ask(acquire(0, 1, "x", waitForever))
		synctest.Wait()
		c.cut()
		<-time.After(time.Second)
		again := w.again(c)
		again.open()
		again.alive()
		again.gets(queued, acquire(0, 1, "x", waitForever))
	})
}
