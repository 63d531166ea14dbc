package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// leaveIdle makes idle locks.
func (h *house) leaveIdle(l *Link, n int, prefix string) {
	h.t.Helper()
	for i := range n {
		name := fmt.Sprintf("%s%d", prefix, i)
		got := h.submit(l, &lock.Acquire{Caller: unnamed(l), Items: []lock.Item{{Name: name}}})
		h.submit(l, &lock.Release{Caller: unnamed(l), Hold: lock.Hold{Name: name, Token: got[0].Outcome.Token}})
	}
}

func unnamed(l *Link) lock.Caller {
	return lock.Caller{Session: l.Session(), Attach: l.Number()}
}

// Idle locks are forgotten at the first look after their time, a thousand in
// an entry; held ones and younger ones stay.
func TestCollect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{CollectEvery: time.Minute, CollectIdle: 90 * time.Second})
		l := h.link(1)
		h.acquire(l, 0, "held")
		h.leaveIdle(l, 2500, "idle")
		elapse(65 * time.Second)
		h.leaveIdle(l, 1, "young")
		if c := h.Counts(); c.Locks != 2502 {
			t.Fatalf("%d locks, want 2502", c.Locks)
		}
		since := h.desk.len()
		elapse(time.Minute)
		if c := h.Counts(); c.Locks != 2 {
			t.Errorf("%d locks are left, want the held and the young one", c.Locks)
		}
		if n := h.desk.count(since, &lock.Collect{}); n != 3 {
			t.Errorf("%d entries for 2,500 idle locks, want 3", n)
		}
		elapse(2 * time.Minute)
		if c := h.Counts(); c.Locks != 1 {
			t.Errorf("%d locks are left, want the held one", c.Locks)
		}
		since = h.desk.len()
		elapse(time.Hour)
		if n := h.desk.count(since, &lock.Collect{}); n != 0 {
			t.Errorf("%d collections although every lock is held", n)
		}
	})
}

// Periods that are as good as none act as a millisecond, and never take what
// somebody holds or waits for.
func TestCollectWithSillyPeriods(t *testing.T) {
	for _, d := range []time.Duration{time.Nanosecond, time.Microsecond, time.Millisecond} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := openHouse(t, Config{CollectEvery: d, CollectIdle: d})
				l := h.link(1)
				h.acquire(l, 0, "held")
				h.submit(l, queue(l, 1, 1, "held"))
				h.leaveIdle(l, 10, "idle")
				since := h.desk.len()
				elapse(10*time.Millisecond + time.Microsecond)
				if c := h.Counts(); c.Locks != 1 || c.Waiters != 1 {
					t.Errorf("%d locks and %d waiters are left, want one each", c.Locks, c.Waiters)
				}
				if n := h.desk.count(since, nil); n > 10 {
					t.Errorf("%d entries in 10 ms", n)
				}
			})
		})
	}
}

// Only a leader collects; a refused collection is tried again at the next time.
func TestCollectOnlyWhileLeading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{CollectEvery: time.Minute, CollectIdle: time.Second})
		l := h.link(1)
		h.leaveIdle(l, 10, "idle")
		h.desk.rule(only(&lock.Collect{}, refuse))
		elapse(90 * time.Second)
		if c := h.Counts(); c.Locks != 10 {
			t.Fatalf("%d locks, want 10", c.Locks)
		}
		h.desk.rule(nil)
		h.desk.loseLead(errors.New("by the test"))
		since := h.desk.len()
		elapse(10 * time.Minute)
		if n := h.desk.count(since, nil); n != 0 {
			t.Errorf("%d entries while it did not lead", n)
		}
		h.desk.takeLead()
		elapse(61 * time.Second)
		if c := h.Counts(); c.Locks != 0 {
			t.Errorf("%d locks are left, want none", c.Locks)
		}
	})
}

// Reads show what was acknowledged, page by page, each thing once.
func TestReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		ctx := context.Background()
		const locks, sessions = 260, 130
		var links []*Link
		for i := range sessions {
			links = append(links, h.linkAs(&lock.Open{Secret: lock.SecretHash{1, byte(i), byte(i >> 8)}}))
		}
		for i := range locks {
			l := links[i%sessions]
			h.acquire(l, uint32(i/sessions), fmt.Sprintf("lock%d", i))
		}
		seen := map[string]bool{}
		pages := 0
		for after := uint64(0); ; pages++ {
			views, next, err := h.List(ctx, lock.LockFilter{Prefix: "lock"}, after, 120)
			if err != nil {
				t.Fatal(err)
			}
			if next != 0 && len(views) != 120 {
				t.Errorf("page %d has %d locks before the end, want 120", pages, len(views))
			}
			for _, v := range views {
				if seen[v.Name] {
					t.Errorf("%s was listed twice", v.Name)
				}
				seen[v.Name] = true
			}
			if after = next; next == 0 {
				break
			}
		}
		if len(seen) != locks || pages != 2 {
			t.Errorf("%d locks on %d pages and one, want %d on 2 and one", len(seen), pages, locks)
		}
		some, next, err := h.Sessions(ctx, 0, 100)
		if err != nil || len(some) != 100 || next == 0 {
			t.Fatalf("first page: %d sessions, next %d, %v", len(some), next, err)
		}
		rest, next, err := h.Sessions(ctx, next, 100)
		if err != nil || len(rest) != sessions-100 || next != 0 {
			t.Errorf("second page: %d sessions, next %d, %v; want %d", len(rest), next, err, sessions-100)
		}
		if _, ok, err := h.Lookup(ctx, "nothing"); ok || err != nil {
			t.Errorf("a lock that is not there: %v, %v", ok, err)
		}
		if _, ok, err := h.LookupSession(ctx, 4711); ok || err != nil {
			t.Errorf("a session that is not there: %v, %v", ok, err)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, _, err := h.List(ended, lock.LockFilter{}, 0, 10); err == nil {
			t.Error("a list with an ended context succeeded")
		}
	})
}
