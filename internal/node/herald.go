package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// herald hands events from the ring to the watchers that asked for them, one
// pass for all, on a goroutine of its own: an Apply pays the same whether
// nobody watches or a thousand do, and watchers that do not read cost nobody
// anything once they are cut off.
type herald struct {
	ring *ring

	mu     sync.Mutex          // held for handing out one chunk
	named  map[string][]*Watch // those of one lock
	others []*Watch            // those of a prefix, or of everything
	next   uint64              // number of the next event to hand out
	life   int                 // of the ring
	closed error               // why no watch can be had any more
	chunk  []logged            // scratch
}

// heraldChunk bounds what is handed out without a pause, and so how long an
// Apply may wait for the ring.
const heraldChunk = 64

func newHerald(backlog int) *herald {
	return &herald{ring: newRing(backlog), named: map[string][]*Watch{}}
}

// publish takes the events of an entry; it is called within Apply.
func (h *herald) publish(events []lock.Event, wall time.Time) { h.ring.add(events, wall) }

// restart is called when the table was replaced: what happened in between is
// not known, so all watchers are reset.
func (h *herald) restart() { h.ring.breakOff() }

// run hands out events until ctx ends; then every watcher gets its cause.
func (h *herald) run(ctx context.Context) {
	for {
		select {
		case <-h.ring.more:
			for h.pass() {
			}
		case <-ctx.Done():
			h.close(context.Cause(ctx))
			return
		}
	}
}

// close ends all watches, and refuses new ones.
func (h *herald) close(reason error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = reason
	h.cutAll(reason)
}

// pass hands out one chunk and reports whether there may be more.
func (h *herald) pass() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers() == 0 {
		return false
	}
	var whole bool
	life, origin := h.ring.life()
	if h.next == 0 {
		h.next = origin
	}
	h.chunk, whole = h.ring.read(h.chunk[:0], h.next, heraldChunk)
	if life != h.life || !whole {
		h.life = life
		h.cutAll(fmt.Errorf("%w: more happened at once than is kept", ErrReset))
		return false
	}
	now := time.Now()
	for i := range h.chunk {
		h.handOut(&h.chunk[i], now)
	}
	h.next += uint64(len(h.chunk))
	clear(h.chunk)
	return len(h.chunk) == heraldChunk
}

func (h *herald) handOut(e *logged, now time.Time) {
	if ws := h.named[e.event.Name]; e.event.Name != "" && len(ws) > 0 {
		ws = slices.DeleteFunc(ws, func(w *Watch) bool { return !w.offer(e, now) })
		h.setNamed(e.event.Name, ws)
	}
	h.others = slices.DeleteFunc(h.others, func(w *Watch) bool {
		return w.filter.matches(&e.event) && !w.offer(e, now)
	})
}

func (h *herald) setNamed(name string, ws []*Watch) {
	if len(ws) == 0 {
		delete(h.named, name)
	} else {
		h.named[name] = ws
	}
}

func (h *herald) watchers() int { return len(h.named) + len(h.others) }

// cutAll ends all watches.
func (h *herald) cutAll(reason error) {
	for _, ws := range h.named {
		for _, w := range ws {
			w.cut(reason)
		}
	}
	for _, w := range h.others {
		w.cut(reason)
	}
	clear(h.named)
	h.others = nil
	h.ring.want(false)
}

// enter adds a watch that begins after the given event, or with what happens
// from now on if that is 0.
func (h *herald) enter(w *Watch, after uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed != nil {
		return h.closed
	}
	first, next := h.ring.bounds()
	if after != 0 && (after+1 < first || after >= next) {
		return fmt.Errorf("%w: event %d is not kept", ErrReset, after)
	}
	if h.watchers() == 0 {
		h.next = h.ring.want(true)
		h.life, _ = h.ring.life()
	}
	w.from, w.behind, w.joined = after, after+1, max(h.next, after+1)
	if after == 0 {
		w.from = max(next, 1) - 1
		w.behind, w.joined = next, next
	}
	if w.filter.Name != "" {
		h.named[w.filter.Name] = append(h.named[w.filter.Name], w)
	} else {
		h.others = append(h.others, w)
	}
	return nil
}

// leave takes a watch out.
func (h *herald) leave(w *Watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	is := func(x *Watch) bool { return x == w }
	if name := w.filter.Name; name != "" {
		h.setNamed(name, slices.DeleteFunc(h.named[name], is))
	} else {
		h.others = slices.DeleteFunc(h.others, is)
	}
	if h.watchers() == 0 {
		h.ring.want(false)
	}
}

// WatchFilter selects events: those of the lock Name, or else of locks whose
// names begin with Prefix. The zero filter selects everything, sessions' events
// included.
type WatchFilter struct{ Name, Prefix string }

func (f *WatchFilter) matches(e *lock.Event) bool {
	switch {
	case f.Name != "":
		return e.Name == f.Name
	case f.Prefix != "":
		return strings.HasPrefix(e.Name, f.Prefix)
	default:
		return true
	}
}
