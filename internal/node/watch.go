package node

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A watcher is cut off when this many events wait for it, or one has waited so
// long while it did not read.
const (
	maxUnread     = 1024
	maxUnreadTime = time.Second
)

// Watch is one watcher's view of the events. It is never waited for: a watcher
// that does not keep up, or whose node missed events itself, gets ErrReset.
//
// A watch is used by one goroutine, but Close may be called by any.
type Watch struct {
	// Constant once the watch stands.
	herald *herald
	filter WatchFilter
	from   uint64
	joined uint64        // number of the first event that the herald offers
	wake   chan struct{} // room for one

	// Used by Next alone.
	behind uint64 // number of the next event to read from the ring, up to joined
	chunk  []logged

	mu      sync.Mutex // held for copying events; guards the rest
	unread  []Event
	since   time.Time // when the oldest of unread came, or was last passed over by a reader
	reading bool      // Next is under way
	err     error     // why there is nothing more
}

// Watch subscribes to events that match, beginning after the event of the given
// number; 0 begins with what happens from now on. The error wraps ErrReset if
// events after that number are not kept any more, or it is not of this table.
func (n *Node) Watch(f WatchFilter, after uint64) (*Watch, error) {
	w := &Watch{herald: n.herald, filter: f, wake: make(chan struct{}, 1)}
	if err := n.herald.enter(w, after); err != nil {
		return nil, err
	}
	return w, nil
}

// From returns the number of the newest event before the watch.
func (w *Watch) From() uint64 { return w.from }

// Close ends the watch; Next returns ErrClosed from then on. Closing again does
// nothing.
func (w *Watch) Close() {
	w.cut(ErrClosed)
	w.herald.leave(w)
}

// Next returns the events since the last call, at least one; it waits for it
// until ctx ends. After ErrReset, or ErrClosed, it returns nothing else.
func (w *Watch) Next(ctx context.Context) ([]Event, error) {
	if err := w.beginReading(time.Now()); err != nil {
		return nil, err
	}
	defer w.endReading()
	for {
		events, err := w.catchUp()
		if len(events) == 0 && err == nil {
			events, err = w.take()
		}
		if len(events) > 0 || err != nil {
			return events, err
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// beginReading cuts a watcher off that comes too late.
func (w *Watch) beginReading(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judge(now)
	w.reading = w.err == nil
	return w.err
}

func (w *Watch) endReading() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading = false
	w.since = time.Now()
}

// judge cuts the watcher off if an event has waited too long.
func (w *Watch) judge(now time.Time) {
	if w.err == nil && !w.reading && len(w.unread) > 0 && now.Sub(w.since) > maxUnreadTime {
		w.stop(fmt.Errorf("%w: nothing was read for %v", ErrReset, maxUnreadTime))
	}
}

// stop is called with mu held.
func (w *Watch) stop(reason error) {
	if w.err == nil {
		w.err, w.unread = reason, nil
		signal(w.wake)
	}
}

func (w *Watch) cut(reason error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop(reason)
}

// offer hands the watcher an event that it asked for; false if it was cut off.
func (w *Watch) offer(e *logged, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.judge(now); w.err != nil {
		return false
	}
	switch {
	case e.event.Number < w.joined:
		return true // read from the ring, or before the watch
	case len(w.unread) == maxUnread:
		w.stop(fmt.Errorf("%w: %d events were not read", ErrReset, maxUnread))
		return false
	case len(w.unread) == 0:
		w.since = now
	}
	w.unread = append(w.unread, e.public())
	signal(w.wake)
	return true
}

func (e *logged) public() Event { return Event{e.event, time.UnixMicro(e.wall)} }

// take returns what the herald has offered.
func (w *Watch) take() ([]Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.unread
	w.unread = nil
	return events, w.err
}

// catchUp reads older events from the ring, up to those that the herald offers.
func (w *Watch) catchUp() ([]Event, error) {
	const atOnce = 256
	for w.behind < w.joined {
		var whole bool
		most := int(min(atOnce, w.joined-w.behind))
		if w.chunk, whole = w.herald.ring.read(w.chunk[:0], w.behind, most); !whole || len(w.chunk) == 0 {
			w.cut(fmt.Errorf("%w: event %d is not kept any more", ErrReset, w.behind))
			return w.take()
		}
		w.behind += uint64(len(w.chunk))
		var events []Event
		for i := range w.chunk {
			if e := &w.chunk[i]; w.filter.matches(&e.event) {
				events = append(events, e.public())
			}
		}
		if len(events) > 0 {
			return events, nil
		}
	}
	w.chunk = nil
	return nil, nil
}
