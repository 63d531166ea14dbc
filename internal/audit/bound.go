package audit

import (
	"sync"
	"time"
)

// Lines about refusals: so many in so much time.
const (
	maxLines   = 20
	lineWindow = time.Second
)

// A Bound says which of many lines about refusals are written: 20 within a second, and
// no more than one about each client that it is told of. The others are counted. The zero
// value has seen none. All methods are safe for concurrent use.
type Bound struct {
	mu         sync.Mutex // guards what follows; held for a few assignments
	began      time.Time  // of the window
	count      int        // of lines in it
	clients    map[string]bool
	suppressed int // not yet told
}

// Admit says whether a line is written, and how many before it were not. The line is
// about a client, or with "" about nobody in particular.
func (b *Bound) Admit(client string) (suppressed int, ok bool) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.began) >= lineWindow {
		b.began, b.count = now, 0
		clear(b.clients)
	}
	if b.count == maxLines || b.clients[client] {
		b.suppressed++
		return 0, false
	}
	b.count++
	if client != "" {
		if b.clients == nil {
			b.clients = map[string]bool{}
		}
		b.clients[client] = true
	}
	suppressed, b.suppressed = b.suppressed, 0
	return suppressed, true
}

// Take returns how many lines were not written, and not told.
func (b *Bound) Take() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.suppressed
	b.suppressed = 0
	return n
}
