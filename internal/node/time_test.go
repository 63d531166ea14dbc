package node

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// watchForExpiry waits in the background until a hold of a lock expires; wait
// returns the event.
func (h *house) watchForExpiry(name string) (wait func() Event) {
	h.t.Helper()
	w, err := h.Watch(WatchFilter{Name: name}, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	found := make(chan Event, 1)
	go func() {
		defer close(found)
		defer w.Close()
		for {
			events, err := w.Next(context.Background())
			if err != nil {
				return // the node was closed
			}
			for _, e := range events {
				if e.Type == lock.HoldExpired {
					found <- e
					return
				}
			}
		}
	}()
	return func() Event {
		h.t.Helper()
		e, ok := <-found
		if !ok {
			h.t.Fatalf("the watch of %q has ended without the event", name)
		}
		return e
	}
}

// A lease ends after exactly its time, whatever else goes on.
func TestLeaseEndsExactly(t *testing.T) {
	for _, lease := range []time.Duration{
		time.Microsecond, time.Millisecond, 124 * time.Millisecond, 125 * time.Millisecond, time.Second + 1*time.Microsecond,
		10 * time.Second, 90 * time.Second, 25 * time.Hour,
	} {
		t.Run(lease.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := openHouse(t, Config{})
				elapse(3*time.Second + 77*time.Millisecond) // somewhere between two looks
				expired := h.watchForExpiry("a")
				start := time.Now()
				h.call(outside("a", "", lease, 0))
				e := expired()
				if got := time.Since(start); got != lease {
					t.Errorf("ended after %v, want %v", got, lease)
				}
				if e.Reason != lock.Expired || !e.Wall.Equal(time.Now().Truncate(time.Microsecond)) {
					t.Errorf("event has reason %d at %v, want %d at %v", e.Reason, e.Wall, lock.Expired, time.Now())
				}
			})
		})
	}
}

// A wait is over after exactly its time, and the next in the queue gets the
// lock at the instant of the lease's end.
func TestWaitsAndHandOverExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		h.call(outside("a", "", 10*time.Second, 0))
		start := time.Now()
		type end struct {
			o     lock.Outcome
			after time.Duration
		}
		impatient, patient := make(chan end, 1), make(chan end, 1)
		for c, wait := range map[chan end]time.Duration{impatient: 3 * time.Second, patient: time.Minute} {
			go func() {
				o, err := h.Call(context.Background(), outside("a", wait.String(), time.Second, wait))
				if err != nil {
					t.Error(err)
				}
				c <- end{o, time.Since(start)}
			}()
		}
		if got := <-impatient; got.o.Code != lock.WaitTimeout || got.after != 3*time.Second {
			t.Errorf("the wait of 3 s ended with code %d after %v", got.o.Code, got.after)
		}
		if got := <-patient; got.o.Code != lock.OK || got.after != 10*time.Second {
			t.Errorf("the next one was answered with code %d after %v, want a grant after 10 s", got.o.Code, got.after)
		}
	})
}

// An idle lease of a minute costs one entry, that of its end.
func TestIdleLeaseCostsOneEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		elapse(time.Minute) // the member's lease, which nobody renews without sessions, is over
		expired := h.watchForExpiry("a")
		start := time.Now()
		h.call(outside("a", "", time.Minute, 0))
		before := h.desk.len()
		expired()
		if got := time.Since(start); got != time.Minute {
			t.Errorf("ended after %v, want 1m", got)
		}
		if got := h.desk.count(before, nil); got != 1 {
			t.Errorf("%d entries, want one", got)
		}
	})
}

// Without deadlines nothing is proposed, and the time that passed counts.
func TestIdleTableIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		elapse(time.Minute)
		before, then := h.desk.len(), h.now()
		elapse(24 * time.Hour)
		if got := h.desk.count(before, nil); got != 0 {
			t.Errorf("%d entries while nothing was due, want none", got)
		}
		h.call(&lock.Mark{})
		if got := h.now() - then; timeOf(lock.Duration(got)) < 24*time.Hour {
			t.Errorf("the table's clock went on by %v in 24 h", timeOf(lock.Duration(got)))
		}
	})
}

func (n *Node) now() lock.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.table.Now()
}

// A nearer deadline wakes the timekeeper out of a longer sleep, and out of one
// without a timer.
func TestNearerDeadlineWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{StallLimit: time.Hour}) // looks every quarter of an hour
		elapse(time.Minute)
		long, short := h.watchForExpiry("long"), h.watchForExpiry("short")
		start := time.Now()
		h.call(outside("long", "", 5*time.Minute, 0))
		elapse(time.Second)
		h.call(outside("short", "", time.Second, 0))
		short()
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("the short lease ended after %v, want 2s", got)
		}
		long()
		if got := time.Since(start); got != 5*time.Minute {
			t.Errorf("the long lease ended after %v, want 5m", got)
		}
	})
}

// A process that stood still does not end the leases of everybody when it wakes.
func TestStalledProcessExpiresNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		elapse(time.Minute)
		lost := h.watchForExpiry("b")
		h.call(outside("a", "", time.Second, 0))
		h.call(outside("b", "", 10*time.Second, 0))
		start := time.Now()

		// The timekeeper stands still in the entry that ends the first lease.
		h.desk.rule(func(c lock.Command) ending {
			if c == nil {
				return gather
			}
			return pass
		})
		elapse(time.Hour)
		h.desk.rule(nil)
		h.desk.flush()
		synctest.Wait()
		h.wantHeld("a", 0, 0)
		h.wantHeld("b", 1, 0)

		lost()
		// 1 s had passed when it stood still; the hour counts for half a second.
		if got := time.Since(start); got != time.Hour+8500*time.Millisecond {
			t.Errorf("the second lease ended after %v, want 1h0m8.5s", got)
		}
	})
}

// A new table grants nothing for the quiet time.
func TestQuietStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{QuietStart: time.Minute})
		start := time.Now()
		if o := h.call(outside("a", "", time.Second, 0)); o.Code != lock.Quiet {
			t.Errorf("a try in the quiet time ended with code %d, want %d", o.Code, lock.Quiet)
		}
		o := h.call(outside("a", "1", time.Second, time.Hour))
		if got := time.Since(start); o.Code != lock.OK || got != time.Minute {
			t.Errorf("the first grant, code %d, came after %v, want 1m", o.Code, got)
		}
	})
}

// Only a leader lets time pass, and not in the name of a lead that is over. A
// regained lead counts from its own beginning.
func TestLeadLostAndRegained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		expired := h.watchForExpiry("a")
		h.call(outside("a", "", 2*time.Second, 0))
		elapse(time.Second)
		h.desk.loseLead(errors.New("by the test"))
		before := h.desk.len()
		elapse(time.Hour)
		if got := h.desk.count(before, nil); got != 0 {
			t.Errorf("%d entries while it did not lead", got)
		}
		if _, err := h.Call(context.Background(), &lock.Mark{}); err == nil {
			t.Error("a call without a leader succeeded")
		}
		h.desk.takeLead()
		start := time.Now()
		expired()
		// What gathered in the first lead was never stamped, so it is void.
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("the lease ended %v after the lead was regained, want 2s", got)
		}
	})
}

// Whoever takes the lead says so, once, and watchers are told.
func TestLeadIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{Member: "me"})
		leader := func() string {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.table.Leader()
		}
		if got := leader(); got != "me" {
			t.Errorf("a new table believes that %q leads, want me", got)
		}
		w := h.watch(WatchFilter{}, 0)
		h.desk.loseLead(errors.New("by the test"))
		h.desk.elsewhere(t, &lock.Lead{Member: "other"})
		h.desk.takeLead()
		synctest.Wait()
		var told []string
		for _, e := range next(t, w) {
			if e.Type == lock.LeaderChanged {
				told = append(told, e.Text)
			}
		}
		if want := []string{"other", "me"}; !slices.Equal(told, want) || leader() != "me" {
			t.Errorf("watchers were told of %q, want %q; the table believes in %q", told, want, leader())
		}
	})
}

// Time that an engine stamps ahead of what is applied is bounded too: a
// deadline that came and went between two looks counts.
func TestDeadlineBetweenLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		l.Detach(0, false)
		elapse(time.Minute) // nothing is due any more
		leased := outside("a", "", time.Second, 0)
		leased.Key = lock.Key{1}
		h.desk.mu.Lock()
		defer h.desk.mu.Unlock()
		m := h.desk.machine
		stamps := [2]int64{m.Stamp(), m.Stamp()} // both under way
		for i, c := range []lock.Command{leased, &lock.Release{Hold: lock.Hold{Name: "a", Key: leased.Key}}} {
			h.desk.index++
			m.Apply(journal.Entry{
				Index: h.desk.index, Term: 1, StampTerm: 1, Elapsed: stamps[i], Batches: []journal.Batch{newBatch(c)},
			})
		}
		h.Node.mu.Lock()
		h.clock.last = h.clock.last.Add(-time.Hour) // stands still
		h.Node.mu.Unlock()
		if got, want := m.Stamp(), h.cfg.StallLimit.Microseconds(); got > want {
			t.Errorf("the next stamp carries %d us, want at most %d", got, want)
		}
	})
}

// Advance lets a day pass at once: leases end, and attached sessions live, as
// if the node had beaten all along.
func TestAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.acquire(l, 0, "mine")
		h.call(outside("a", "", time.Hour, 0))
		h.Advance(time.Hour - time.Microsecond)
		h.wantHeld("a", 1, 0)
		h.Advance(time.Microsecond)
		h.wantHeld("a", 0, 0)
		h.Advance(24 * time.Hour)
		h.wantHeld("mine", 1, 0)
		if err := l.Reason(); err != nil {
			t.Errorf("the link ended: %v", err)
		}
	})
}
