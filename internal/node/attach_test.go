package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

func (h *house) session(n lock.SessionNumber) lock.SessionView {
	h.t.Helper()
	v, ok, err := h.LookupSession(context.Background(), n)
	if err != nil || !ok {
		h.t.Fatalf("session %d: found %v, %v", n, ok, err)
	}
	return v
}

// Opening again with the same secret finds the session, whether the first
// attempt had happened or not.
func TestAttachAsksAgainWhatIsUnknown(t *testing.T) {
	for name, e := range map[string]ending{"had happened": hide, "was lost": lose} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := openHouse(t, Config{})
				attempts := 0
				h.desk.rule(func(c lock.Command) ending {
					if _, ok := c.(*lock.Open); !ok {
						return pass
					}
					if attempts++; attempts < 3 {
						return e
					}
					return pass
				})
				l := h.link(1)
				elapse(time.Minute)
				if err := l.Reason(); err != nil {
					t.Errorf("the link ended: %v", err)
				}
				if _, ok := l.Confirm(); !ok {
					t.Error("not confirmed")
				}
				if c := h.Counts(); c.Sessions != 1 || c.Attached != 1 {
					t.Errorf("%d sessions, %d attached; want one", c.Sessions, c.Attached)
				}
			})
		})
	}
}

// A session that comes to life when nobody waits for it any more does not stay
// attached.
func TestStraySessionIsDetached(t *testing.T) {
	for name, e := range map[string]ending{"had happened": hide, "happens later": delay} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := openHouse(t, Config{})
				h.desk.rule(only(&lock.Open{}, e))
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				l, _, err := h.Attach(ctx, &lock.Open{Secret: lock.SecretHash{1}})
				if l != nil {
					t.Error("a link of an unknown outcome")
				}
				wantError(t, err, journal.ErrUnknown, context.DeadlineExceeded)
				h.desk.rule(nil)
				h.desk.late()
				synctest.Wait()
				if c := h.Counts(); c.Sessions != 1 || c.Attached != 0 {
					t.Errorf("%d sessions, %d attached; want one, detached", c.Sessions, c.Attached)
				}
				elapse(10 * time.Second)
				synctest.Wait()
				if c := h.Counts(); c.Sessions != 0 {
					t.Errorf("%d sessions after the ttl, want none", c.Sessions)
				}
			})
		})
	}
}

// What another process attaches to our incarnation, which it should not, is
// detached as well: nobody here could confirm it.
func TestForeignAttachIsDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		h.desk.elsewhere(t, &lock.Open{Secret: lock.SecretHash{1}, Incarnation: h.Incarnation()})
		synctest.Wait()
		if c := h.Counts(); c.Sessions != 1 || c.Attached != 0 {
			t.Errorf("%d sessions, %d attached; want one, detached", c.Sessions, c.Attached)
		}
		// A session that is resumed at another member leaves this one.
		l := h.link(2)
		h.desk.elsewhere(t, &lock.Join{Member: "other"})
		h.desk.elsewhere(t, &lock.Resume{
			Session: l.Session(), Secret: lock.SecretHash{2}, Incarnation: h.Incarnation() + 1,
		})
		<-l.Ended()
		wantError(t, l.Reason(), ErrSuperseded)
	})
}

// What the table refuses is an outcome, and there is no link.
func TestAttachRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l, o, err := h.Attach(context.Background(), &lock.Open{})
		if l != nil || err != nil || o.Code != lock.Invalid || o.Field != lock.FieldSecret {
			t.Errorf("open without a secret: %v, %+v, %v", l, o, err)
		}
		l, o, err = h.Resume(context.Background(), &lock.Resume{Session: 77, Secret: lock.SecretHash{1}})
		if l != nil || err != nil || o.Code != lock.SessionLost {
			t.Errorf("resume of an unknown session: %v, %+v, %v", l, o, err)
		}
		h.desk.rule(only(&lock.Open{}, refuse))
		_, _, err = h.Attach(context.Background(), &lock.Open{Secret: lock.SecretHash{1}})
		wantError(t, err, journal.ErrRefused)
	})
}

// A member that ended while nobody was attached joins again when somebody comes.
func TestJoinsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		h.call(&lock.EndMember{Incarnation: h.Incarnation(), Own: true})
		first := h.Incarnation()
		l := h.link(1)
		if got := h.Incarnation(); got == first {
			t.Errorf("still incarnation %d", got)
		}
		elapse(time.Hour)
		if err := l.Reason(); err != nil {
			t.Errorf("the link ended: %v", err)
		}
	})
}

// Many who come at once need one new incarnation; who cannot wait for it is refused.
func TestJoinsOnceForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		h.call(&lock.EndMember{Incarnation: h.Incarnation(), Own: true})
		since := h.desk.len()
		h.desk.rule(only(&lock.Join{}, gather))
		links := make(chan *Link, 5)
		for i := range cap(links) {
			go func() { links <- h.link(byte(i + 1)) }()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, _, err := h.Attach(ctx, &lock.Open{Secret: lock.SecretHash{99}})
		wantError(t, err, journal.ErrRefused, context.DeadlineExceeded)
		h.desk.rule(nil)
		h.desk.flush()
		for range cap(links) {
			if l := <-links; l.Reason() != nil {
				t.Errorf("a link ended: %v", l.Reason())
			}
		}
		if n := h.desk.count(since, &lock.Join{}); n != 1 {
			t.Errorf("joined %d times, want once", n)
		}
	})
}

// A member whose end is applied here ends its links; their sessions are resumed
// in a new incarnation.
func TestEndOfMemberEndsLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		o := h.acquire(l, 0, "a")
		h.desk.elsewhere(t, &lock.EndMember{Incarnation: h.Incarnation()})
		<-l.Ended()
		wantError(t, l.Reason(), ErrDetached)
		newer, resumed, err := h.Resume(context.Background(), &lock.Resume{
			Session: l.Session(), Secret: lock.SecretHash{1},
		})
		if err != nil || resumed.Code != lock.OK || len(resumed.Alive.Tokens) != 1 || resumed.Alive.Tokens[0] != o.Token {
			t.Fatalf("resume: %+v, %v", resumed, err)
		}
		if _, ok := newer.Confirm(); !ok {
			t.Error("not confirmed")
		}
		h.wantHeld("a", 1, 0)
	})
}

// The member beats once in a while as long as anybody is attached, and not
// otherwise. So an attached session lives on without an entry of its own.
func TestBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{BeatEvery: 2 * time.Second})
		since := h.desk.len()
		elapse(time.Hour)
		if n := h.desk.count(since, &lock.Beat{}); n != 0 {
			t.Errorf("%d beats while nobody was attached", n)
		}
		l := h.link(1)
		synctest.Wait()
		since = h.desk.len()
		elapse(20*time.Second + time.Millisecond)
		if n, all := h.desk.count(since, &lock.Beat{}), h.desk.count(since, nil); n != 10 || all != n {
			t.Errorf("%d beats in %d entries in 20 s, want 10 and nothing else", n, all)
		}
		elapse(time.Hour)
		if _, ok := l.Confirm(); !ok {
			t.Error("not confirmed after an hour")
		}
		l.Detach(0, false)
		synctest.Wait()
		since = h.desk.len()
		elapse(time.Hour)
		if n := h.desk.count(since, &lock.Beat{}); n != 0 {
			t.Errorf("%d beats after the last one has left", n)
		}
	})
}

// Who comes right before the member's lease is over renews it by coming.
func TestAttachBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		elapse(15*time.Second - time.Millisecond)
		opened := false
		h.desk.rule(func(c lock.Command) ending {
			switch c.(type) {
			case *lock.Open:
				opened = true
			case *lock.Beat:
				if opened {
					return refuse // those that come later
				}
			}
			return pass
		})
		l := h.link(1)
		elapse(14 * time.Second)
		if err := l.Reason(); err != nil {
			t.Errorf("the link ended: %v", err)
		}
	})
}

// A node that cannot beat vouches all the same: only its own journal could end
// its sessions, and that does not move either.
func TestVouchesWithoutLookingAtBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.desk.rule(func(lock.Command) ending { return refuse })
		elapse(time.Hour)
		if _, ok := l.Confirm(); !ok {
			t.Error("not confirmed")
		}
		if !h.session(l.Session()).Attached {
			t.Error("the table counts the session as detached")
		}
	})
}

// A member lease that cannot be kept is refused at the start.
func TestOpenChecksLease(t *testing.T) {
	_, err := Open(Config{BeatEvery: 7 * time.Second}, func(m journal.Machine) (journal.Journal, error) {
		return openDesk(m), nil
	})
	if err == nil {
		t.Error("a lease of 15 s with a beat every 7 s was accepted")
	}
}

// Who comes while others are there costs no beat: the member beats for all of them. When its
// beats come to nothing, whoever comes brings one.
func TestAttachBeatsIfDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		h.link(1)
		synctest.Wait()
		before := h.beats()
		for secret := byte(2); secret < 100; secret++ {
			h.link(secret)
		}
		if n := h.beats(); n != before {
			t.Errorf("98 who came cost %d beats", n-before)
		}
		h.desk.rule(only(&lock.Beat{}, refuse))
		elapse(timeOf(h.settings().MemberLease)/2 + time.Second)
		h.desk.rule(nil)
		before = h.beats()
		h.link(100)
		if n := h.beats(); n != before+1 {
			t.Errorf("with half of the lease gone who came brought %d beats, want 1", n-before)
		}
	})
}

// beats counts the beats that were sent.
func (h *house) beats() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.beat
}
