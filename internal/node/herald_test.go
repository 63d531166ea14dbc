package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// These tests drive a herald by hand, to have it late where it seldom is.

// publish adds events of a lock with the numbers from first to last.
func publish(h *herald, first, last uint64) {
	for n := first; n <= last; n++ {
		h.publish([]lock.Event{{Number: n, Name: "a", Type: lock.HoldAcquired}}, time.Now())
	}
}

// ready returns the numbers of the events that a watch has now.
func ready(t *testing.T, w *Watch) (numbers []uint64) {
	t.Helper()
	for {
		events, err := w.catchUp()
		if err == nil && len(events) == 0 {
			if events, err = w.take(); len(events) == 0 && err == nil {
				return numbers
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			numbers = append(numbers, e.Number)
		}
	}
}

func enter(t *testing.T, h *herald, after uint64) *Watch {
	t.Helper()
	w := &Watch{herald: h, wake: make(chan struct{}, 1)}
	if err := h.enter(w, after); err != nil {
		t.Fatal(err)
	}
	return w
}

func (h *herald) passAll() {
	for h.pass() {
	}
}

// What the herald hands out late, a watch gets once.
func TestLateHeraldTellsOnce(t *testing.T) {
	h := newHerald(1024)
	enter(t, h, 0)
	publish(h, 1, 100)
	now, resumed, ahead := enter(t, h, 0), enter(t, h, 20), enter(t, h, 90)
	publish(h, 101, 110)
	h.passAll()
	for name, tt := range map[string]struct {
		w     *Watch
		first uint64
	}{"from now on": {now, 101}, "resumed": {resumed, 21}, "resumed ahead of the herald": {ahead, 91}} {
		got := ready(t, tt.w)
		for i, n := range got {
			if n != tt.first+uint64(i) {
				t.Fatalf("%s: event %d in place %d, want %d", name, n, i, tt.first+uint64(i))
			}
		}
		if last := tt.first + uint64(len(got)) - 1; last != 110 {
			t.Errorf("%s: the last event is %d, want 110", name, last)
		}
	}
}

// A table that was replaced resets everybody, even if its numbers have come as
// far as the old one's before the herald looks.
func TestHeraldNoticesReplacedTable(t *testing.T) {
	h := newHerald(1024)
	w := enter(t, h, 0)
	publish(h, 1, 10)
	h.passAll()
	h.restart()
	publish(h, 5, 20)
	h.passAll()
	_, err := w.Next(context.Background())
	wantError(t, err, ErrReset)
	again := enter(t, h, 10)
	if got := ready(t, again); len(got) != 10 || got[0] != 11 {
		t.Errorf("after event 10 of the new table: got %v, want 11 to 20", got)
	}
}

// Nobody wakes the herald if nobody watches.
func TestHeraldSleepsWithoutWatchers(t *testing.T) {
	h := newHerald(1024)
	w := enter(t, h, 0)
	w.Close()
	publish(h, 1, 1)
	if len(h.ring.more) != 0 {
		t.Error("the herald was woken for nobody")
	}
}

// A watcher that waits in Next is not late, however late it gets to run.
func TestWaitingReaderIsNotLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHerald(1024)
		w := enter(t, h, 0)
		if err := w.beginReading(time.Now()); err != nil {
			t.Fatal(err)
		}
		publish(h, 1, 1)
		h.passAll()
		elapse(time.Minute)
		publish(h, 2, 2)
		h.passAll()
		if got := ready(t, w); len(got) != 2 {
			t.Errorf("got events %v, want two", got)
		}
	})
}

// A watcher that catches up, a chunk within each second, is not late for what
// happens meanwhile.
func TestCatchingUpIsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHerald(16_384)
		h.leave(enter(t, h, 0)) // without anybody ever, fewer events are kept
		publish(h, 1, 2000)
		w := enter(t, h, 1)
		publish(h, 2001, 2001)
		h.passAll()
		number := uint64(1)
		for number < 2001 {
			events, err := w.Next(context.Background())
			if err != nil {
				t.Fatalf("after event %d: %v", number, err)
			}
			for _, e := range events {
				if number++; e.Number != number {
					t.Fatalf("got event %d, want %d", e.Number, number)
				}
			}
			elapse(900 * time.Millisecond)
		}
	})
}

// Few events are kept until somebody listens, and none of them is lost then.
func TestRingWidensForTheFirstListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const unheard = unheardPages * ringPage
		h := newHerald(16_384)
		publish(h, 1, 5000)
		if first, next := h.ring.bounds(); first != 5001-unheard || next != 5001 {
			t.Errorf("events %d to %d are kept, want the last %d", first, next-1, unheard)
		}
		h.leave(enter(t, h, 0))
		publish(h, 5001, 9000)
		first, _ := h.ring.bounds()
		events, whole := h.ring.read(nil, first, 10_000)
		if want := 4000 + unheard; len(events) != want || !whole {
			t.Fatalf("%d events are kept, want %d", len(events), want)
		}
		for i := range events {
			if got, want := events[i].event.Number, first+uint64(i); got != want {
				t.Fatalf("event %d stands in the place of %d", got, want)
			}
		}
	})
}
