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

func (h *house) watch(f WatchFilter, after uint64) *Watch {
	h.t.Helper()
	w, err := h.Watch(f, after)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(w.Close)
	return w
}

// next returns what a watch has by now; it must have something.
func next(t *testing.T, w *Watch) []Event {
	t.Helper()
	synctest.Wait()
	events, err := w.Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// nothing checks that a watch has nothing by now.
func nothing(t *testing.T, w *Watch) {
	t.Helper()
	synctest.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if events, err := w.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %d events and %v, want nothing", len(events), err)
	}
}

// pairs takes and gives back a lock, two events each time.
func (h *house) pairs(l *Link, name string, n int) {
	h.t.Helper()
	for range n {
		got := h.submit(l, &lock.Acquire{Caller: unnamed(l), Items: []lock.Item{{Name: name}}})
		h.submit(l, &lock.Release{Caller: unnamed(l), Hold: lock.Hold{Name: name, Token: got[0].Outcome.Token}})
	}
}

func types(events []Event) string {
	s := ""
	for _, e := range events {
		s += fmt.Sprintf("%d:%s ", e.Type, e.Name)
	}
	return s
}

// A watcher gets what it asked for, in order, with wall time, each once.
func TestWatchFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.pairs(l, "a", 3) // before the watches
		all, prefix, one := h.watch(WatchFilter{}, 0), h.watch(WatchFilter{Prefix: "a"}, 0), h.watch(WatchFilter{Name: "a"}, 0)
		h.pairs(l, "a", 1)
		h.pairs(l, "ab", 1)
		h.pairs(l, "b", 1)
		h.link(2)
		const got, gone, opened = lock.HoldAcquired, lock.HoldReleased, lock.SessionOpened
		for _, tt := range []struct {
			name string
			w    *Watch
			want string
		}{
			{"all", all, fmt.Sprintf("%[1]d:a %[2]d:a %[1]d:ab %[2]d:ab %[1]d:b %[2]d:b %[3]d: ", got, gone, opened)},
			{"prefix", prefix, fmt.Sprintf("%[1]d:a %[2]d:a %[1]d:ab %[2]d:ab ", got, gone)},
			{"one", one, fmt.Sprintf("%[1]d:a %[2]d:a ", got, gone)},
		} {
			events := next(t, tt.w)
			if s := types(events); s != tt.want {
				t.Errorf("%s: got %q, want %q", tt.name, s, tt.want)
			}
			if events[0].Number != tt.w.From()+1 {
				t.Errorf("%s: begins with event %d after From %d", tt.name, events[0].Number, tt.w.From())
			}
			for _, e := range events {
				if !e.Wall.Equal(time.Now()) {
					t.Errorf("%s: event %d has wall time %v, want %v", tt.name, e.Number, e.Wall, time.Now())
				}
			}
			nothing(t, tt.w)
		}
	})
}

// A watcher that comes back gets everything after the event that it names, once
// and without a gap, whether or not others watch meanwhile.
func TestWatchResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.pairs(l, "a", 400)
		other := h.watch(WatchFilter{Prefix: "b"}, 0)
		h.pairs(l, "a", 200)
		w := h.watch(WatchFilter{}, 100)
		if w.From() != 100 {
			t.Errorf("From is %d, want 100", w.From())
		}
		number := uint64(100)
		for number < 1100 {
			h.pairs(l, "a", 5) // goes on while it catches up
			for _, e := range next(t, w) {
				if e.Number != number+1 {
					t.Fatalf("event %d follows event %d", e.Number, number)
				}
				number = e.Number
			}
		}
		nothing(t, other)
	})
}

// Only so many events are kept; who asks for older ones, or for ones that never
// were, is told to list.
func TestWatchCannotResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{EventBacklog: 1024})
		l := h.link(1)
		h.pairs(l, "a", 1500)
		w := h.watch(WatchFilter{}, 0)
		newest := w.From()
		for after, ok := range map[uint64]bool{
			1: false, newest - 1025: false, newest - 1024: true, newest: true, newest + 1: false, 1 << 60: false,
		} {
			w, err := h.Watch(WatchFilter{}, after)
			if ok != (err == nil) {
				t.Errorf("after %d of %d: got %v", after, newest, err)
			}
			if err != nil {
				wantError(t, err, ErrReset)
				continue
			}
			w.Close()
		}
	})
}

// A watcher may be 1,024 events behind, not one more.
func TestWatchCutOffByNumber(t *testing.T) {
	for _, f := range []WatchFilter{{}, {Name: "a"}, {Prefix: "a"}} {
		t.Run(fmt.Sprint(f), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := openHouse(t, Config{})
				l := h.link(1)
				just, slow := h.watch(f, 0), h.watch(f, 0)
				h.pairs(l, "a", 512)
				if got := len(next(t, just)); got != 1024 {
					t.Errorf("got %d events, want 1,024", got)
				}
				h.acquire(l, 0, "a")
				synctest.Wait()
				for range 2 {
					_, err := slow.Next(context.Background())
					wantError(t, err, ErrReset)
				}
				if got := len(next(t, just)); got != 1 {
					t.Errorf("the one that reads got %d events, want one", got)
				}
			})
		})
	}
}

// A watcher may leave an event unread for a second, not longer; a watcher that
// has nothing to read may stay away, and one that waits in Next is never late.
func TestWatchCutOffByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		just, late, told, idle := h.watch(WatchFilter{Name: "a"}, 0), h.watch(WatchFilter{Name: "a"}, 0),
			h.watch(WatchFilter{Name: "a"}, 0), h.watch(WatchFilter{Name: "b"}, 0)
		h.pairs(l, "a", 1)
		elapse(maxUnreadTime)
		if got := len(next(t, just)); got != 2 {
			t.Errorf("after a second: got %d events, want 2", got)
		}
		elapse(time.Nanosecond)
		_, err := late.Next(context.Background())
		wantError(t, err, ErrReset)
		h.pairs(l, "a", 1) // the herald finds out by itself
		synctest.Wait()
		h.herald.mu.Lock()
		if n := len(h.herald.named["a"]); n != 1 {
			t.Errorf("%d watchers of the lock are left, want the one that reads", n)
		}
		h.herald.mu.Unlock()
		_, err = told.Next(context.Background())
		wantError(t, err, ErrReset)

		elapse(time.Hour)
		waiting := make(chan int, 1)
		go func() {
			events, err := idle.Next(context.Background())
			if err != nil {
				t.Error(err)
			}
			waiting <- len(events)
		}()
		elapse(time.Hour)
		h.pairs(l, "b", 1)
		if got := <-waiting; got == 0 {
			t.Error("nothing for the watcher that waits")
		}
	})
}

// Dead readers cost the others nothing: they are let go of, and what is left of
// them is the watch that somebody forgot to close.
func TestDeadReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		var dead []*Watch
		for range 100 {
			dead = append(dead, h.watch(WatchFilter{}, 0))
		}
		live := h.watch(WatchFilter{}, 0)
		total := 0
		for range 100 {
			h.pairs(l, "a", 100)
			total += len(next(t, live))
		}
		if total != 20_000 {
			t.Errorf("the live one got %d events, want 20,000", total)
		}
		h.herald.mu.Lock()
		if n := h.herald.watchers(); n != 1 {
			t.Errorf("the herald still serves %d watchers, want one", n)
		}
		h.herald.mu.Unlock()
		for _, w := range dead {
			w.mu.Lock()
			if len(w.unread) != 0 {
				t.Fatalf("a dead reader keeps %d events", len(w.unread))
			}
			w.mu.Unlock()
			_, err := w.Next(context.Background())
			wantError(t, err, ErrReset)
		}
	})
}

// An entry with more events than are kept resets everybody, and does not end
// the watching.
func TestMoreEventsThanAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{EventBacklog: 1024})
		l := h.link(1)
		var many []lock.Command
		for i := range 3000 {
			many = append(many, &lock.Acquire{Caller: unnamed(l), Items: []lock.Item{{Name: fmt.Sprint(i)}}})
		}
		w := h.watch(WatchFilter{Name: "0"}, 0)
		h.submit(l, many...)
		synctest.Wait()
		_, err := w.Next(context.Background())
		wantError(t, err, ErrReset)
		again := h.watch(WatchFilter{Name: "x"}, w.From()+3000-1000)
		h.pairs(l, "x", 1)
		if got := len(next(t, again)); got != 2 {
			t.Errorf("got %d events, want 2", got)
		}
	})
}

// A closed watch is done, at once, also while it waits.
func TestWatchClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		w := h.watch(WatchFilter{Name: "a"}, 0)
		ended := make(chan error, 1)
		go func() {
			_, err := w.Next(context.Background())
			ended <- err
		}()
		synctest.Wait()
		w.Close()
		w.Close()
		wantError(t, <-ended, ErrClosed)
		h.pairs(l, "a", 1)
		h.herald.mu.Lock()
		defer h.herald.mu.Unlock()
		if n := h.herald.watchers(); n != 0 {
			t.Errorf("%d watchers are left", n)
		}
	})
}
