package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// answer is how a Call ended.
type answer struct {
	o   lock.Outcome
	err error
}

// goCall makes a Call in the background and returns once it waits, or has ended.
func (h *house) goCall(ctx context.Context, c lock.Command) chan answer {
	done := make(chan answer, 1)
	go func() {
		o, err := h.Call(ctx, c)
		done <- answer{o, err}
	}()
	synctest.Wait()
	return done
}

// A queued call is granted when its turn comes; nothing is left of its waiter.
func TestCallWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		first := h.call(queue(l, 0, 1, "a"))
		second := h.goCall(context.Background(), queue(l, 1, 1, "a"))
		third := h.goCall(context.Background(), queue(l, 2, 1, "a"))
		if len(second)+len(third) > 0 {
			t.Fatal("a call was answered while the lock was held")
		}
		h.call(release(l, 0, 2, "a", first.Token))
		got := <-second
		if got.err != nil || got.o.Code != lock.OK || got.o.Token <= first.Token {
			t.Errorf("the second was answered %+v, want a grant with a greater token than %d", got, first.Token)
		}
		synctest.Wait()
		if len(third) > 0 {
			t.Error("the third was answered out of turn")
		}
		h.call(release(l, 1, 2, "a", got.o.Token))
		if got := <-third; got.err != nil || got.o.Code != lock.OK {
			t.Errorf("the third was answered %+v, want a grant", got)
		}
		h.wantNoWaiters()
	})
}

func (h *house) wantNoWaiters() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiters) != 0 {
		h.t.Errorf("%d waiters are still registered", len(h.waiters))
	}
}

// A context that has ended refuses, and changes nothing.
func TestCallWithEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := h.Call(ctx, queue(l, 0, 1, "a"))
		wantError(t, err, journal.ErrRefused, context.Canceled)
		h.wantHeld("a", 0, 0)
		h.wantNoWaiters()
	})
}

// A wait whose context ends leaves the queue before Call returns.
func TestCallCanceledWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.acquire(l, 0, "a")
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := h.Call(ctx, queue(l, 1, 1, "a"))
		wantError(t, err, context.DeadlineExceeded)
		if errors.Is(err, journal.ErrUnknown) {
			t.Errorf("the cancellation was decided, but the error says unknown: %v", err)
		}
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("returned after %v, want 3s", got)
		}
		h.wantHeld("a", 1, 0)
		h.wantNoWaiters()
		// The slot knows: asked again, the request is not waiting.
		if o := h.call(queue(l, 1, 1, "a")); o.Code != lock.Canceled {
			t.Errorf("the cancelled request has code %d, want %d", o.Code, lock.Canceled)
		}
	})
}

// A grant that was faster than the cancellation is given back.
func TestCallCanceledAtItsGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		first := h.call(queue(l, 0, 1, "a"))
		ctx, cancel := context.WithCancel(context.Background())
		got := h.goCall(ctx, queue(l, 1, 1, "a"))
		// The grant and the end of the context, before the caller can look at either.
		h.desk.rule(func(c lock.Command) ending {
			if _, ok := c.(*lock.Release); ok {
				cancel()
			}
			return pass
		})
		h.call(release(l, 0, 2, "a", first.Token))
		a := <-got
		wantError(t, a.err, context.Canceled)
		h.wantHeld("a", 0, 0)
		if n := h.desk.count(0, &lock.Cancel{}); n != 1 {
			t.Errorf("%d cancels, want one", n)
		}
	})
}

// So is one that came at once.
func TestCallCanceledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		ctx, cancel := context.WithCancel(context.Background())
		h.desk.rule(func(c lock.Command) ending {
			if _, ok := c.(*lock.Acquire); ok {
				cancel() // it is ordered already
			}
			return pass
		})
		_, err := h.Call(ctx, ask(l, 0, 1, "a"))
		wantError(t, err, context.Canceled)
		h.wantHeld("a", 0, 0)
	})
}

// A refusal is passed on at once.
func TestCallRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.desk.rule(only(&lock.Acquire{}, refuse))
		start := time.Now()
		_, err := h.Call(context.Background(), queue(l, 0, 1, "a"))
		wantError(t, err, journal.ErrRefused)
		if errors.Is(err, journal.ErrUnknown) || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want a refusal at once", err, time.Since(start))
		}
	})
}

// What nobody knows is asked for again under the same name, whether it had
// happened or not, and is granted once.
func TestCallAsksAgainWhatIsUnknown(t *testing.T) {
	for name, e := range map[string]ending{"had happened": hide, "was lost": lose} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := openHouse(t, Config{})
				l := h.link(1)
				attempts := 0
				h.desk.rule(func(c lock.Command) ending {
					if _, ok := c.(*lock.Acquire); !ok {
						return pass
					}
					if attempts++; attempts <= 3 {
						return e
					}
					return pass
				})
				if o := h.call(queue(l, 0, 1, "a")); o.Code != lock.OK {
					t.Errorf("code %d, want a grant", o.Code)
				}
				if attempts != 4 {
					t.Errorf("%d attempts, want 4", attempts)
				}
				h.wantHeld("a", 1, 0)
			})
		})
	}
}

// A refusal says nothing of an earlier attempt that is unknown.
func TestCallGoesOnAfterUnknownThenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		endings := []ending{hide, refuse, refuse, pass}
		h.desk.rule(func(c lock.Command) ending {
			if _, ok := c.(*lock.Acquire); !ok {
				return pass
			}
			e := endings[0]
			endings = endings[1:]
			return e
		})
		if o := h.call(queue(l, 0, 1, "a")); o.Code != lock.OK {
			t.Errorf("code %d, want a grant", o.Code)
		}
	})
}

// A command without a name cannot be asked again.
func TestCallWithoutNameIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		key := h.acquire(l, 0, "a").Key
		h.desk.rule(only(&lock.Release{}, hide))
		_, err := h.Call(context.Background(), &lock.Release{Hold: lock.Hold{Name: "a", Key: key}})
		wantError(t, err, journal.ErrUnknown)
		if n := h.desk.count(0, &lock.Release{}); n != 1 {
			t.Errorf("released %d times, want once", n)
		}
	})
}

// A call that cannot learn its outcome in time says so, and the node cancels it
// in the background until that is certain.
func TestCallCancelsInTheBackground(t *testing.T) {
	for name, e := range map[string]ending{"had happened": hide, "was lost": lose, "happens later": delay} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := openHouse(t, Config{})
				l := h.link(1)
				h.desk.rule(func(c lock.Command) ending {
					switch c.(type) {
					case *lock.Acquire:
						return e
					case *lock.Cancel:
						return lose
					default:
						return pass
					}
				})
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				_, err := h.Call(ctx, queue(l, 0, 1, "a"))
				wantError(t, err, journal.ErrUnknown, context.DeadlineExceeded)
				elapse(time.Minute) // nothing gets through
				h.desk.rule(nil)
				elapse(lastPause)
				synctest.Wait()
				h.desk.late()
				h.wantHeld("a", 0, 0)
				if n := h.desk.count(0, &lock.Cancel{}); n != 1 {
					t.Errorf("%d cancels, want one", n)
				}
				if o := h.call(queue(l, 0, 1, "a")); o.Code != lock.Canceled && o.Code != lock.Ended {
					t.Errorf("the cancelled request has code %d", o.Code)
				}
			})
		})
	}
}

// The same for a wait whose cancellation cannot be decided.
func TestCallWaitCanceledInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.acquire(l, 0, "a")
		h.desk.rule(only(&lock.Cancel{}, refuse))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := h.Call(ctx, queue(l, 1, 1, "a"))
		wantError(t, err, journal.ErrUnknown, context.DeadlineExceeded)
		h.wantHeld("a", 1, 1)
		h.desk.rule(nil)
		elapse(lastPause)
		synctest.Wait()
		h.wantHeld("a", 1, 0)
	})
}

// A newer attempt of the same request takes the older one's place.
func TestCallSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		proof := lock.SecretHash{7}
		s := h.call(&lock.Open{Secret: proof, TTL: lock.Minute})
		c := lock.Caller{Session: s.Session, Proof: &proof}
		held := h.call(&lock.Acquire{Caller: c, Items: []lock.Item{{Name: "a"}}})
		attempt := func(n uint64) chan answer {
			c := c
			c.RequestID, c.Attempt = "mine", n
			return h.goCall(context.Background(), &lock.Acquire{
				Caller: c, Items: []lock.Item{{Name: "a"}}, Wait: 10 * lock.Minute,
			})
		}
		older := attempt(1)
		newer := attempt(2)
		if got := <-older; got.err != nil || got.o.Code != lock.Superseded {
			t.Errorf("the older attempt got %+v, want superseded", got)
		}
		twin := attempt(2)
		h.call(&lock.Release{Caller: c, Hold: lock.Hold{Name: "a", Token: held.Token}})
		a, b := <-newer, <-twin
		if a.err != nil || a.o.Code != lock.OK || b.o.Token != a.o.Token {
			t.Errorf("the newer attempt, asked twice, got %+v and %+v, want one grant", a, b)
		}
		if got := <-attempt(1); got.o.Code != lock.Superseded {
			t.Errorf("an attempt that comes late got %+v, want superseded", got)
		}
		h.wantNoWaiters()
	})
}

// A session that ends answers those who wait on its behalf.
func TestCallOfASessionThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		holder := h.link(1)
		h.acquire(holder, 0, "a")
		l := h.linkAs(&lock.Open{Secret: lock.SecretHash{2}, OnEnd: lock.OnEndAlways})
		got := h.goCall(context.Background(), queue(l, 0, 1, "a"))
		l.Detach(0, true)
		if a := <-got; a.err != nil || a.o.Code != lock.SessionLost || a.o.Reason != lock.SessionClosed {
			t.Errorf("got %+v, want a lost session", a)
		}
		h.wantHeld("a", 1, 0)
	})
}

// An acquire without a key gets one, a random UUID, and keeps it when it is
// asked again.
func TestCallDrawsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		endings := []ending{hide, pass}
		h.desk.rule(func(c lock.Command) ending {
			if _, ok := c.(*lock.Acquire); !ok || len(endings) == 0 {
				return pass
			}
			e := endings[0]
			endings = endings[1:]
			return e
		})
		first := h.call(ask(l, 0, 1, "a"))
		v, _, err := h.Lookup(context.Background(), "a")
		if err != nil || len(v.Holders) != 1 || v.Holders[0].Key != first.Key {
			t.Errorf("the caller has key %x, the lock %+v (%v)", first.Key, v.Holders, err)
		}
		second := h.call(ask(l, 1, 1, "b"))
		if first.Key == second.Key {
			t.Error("two holds have the same key")
		}
		for _, k := range []lock.Key{first.Key, second.Key} {
			if k[6]>>4 != 4 || k[8]>>6 != 2 {
				t.Errorf("key %x is not a UUID of version 4", k)
			}
		}
		mine := lock.Key{1, 2, 3}
		a := ask(l, 2, 1, "c")
		a.Key = mine
		if o := h.call(a); o.Key != mine {
			t.Errorf("got key %x, want the one that was asked for", o.Key)
		}
	})
}
