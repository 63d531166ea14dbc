package server

import (
	"cmp"
	"sync/atomic"
	"time"
)

const (
	// roundEvery is how often the node's loop shows that it goes round, at least.
	roundEvery = 5 * time.Second
	// longestRound is how long it may be silent before time is said to stand still.
	// A slow disk may take as long without being broken.
	longestRound = 3 * roundEvery
)

// rounds notes when the node's loop, which lets time pass in the table, went round.
// Make one with newRounds. All methods are safe for concurrent use.
type rounds struct {
	began time.Time
	last  atomic.Int64 // nanoseconds since began
	tell  func()       // somebody else who wants to know; may be nil
	every time.Duration
}

// newRounds counts from now on. tell is called about every so often; 0 is never.
func newRounds(tell func(), every time.Duration) *rounds {
	if every <= 0 {
		tell = nil
	}
	return &rounds{began: time.Now(), tell: tell, every: min(cmp.Or(every, roundEvery), roundEvery)}
}

// pulse is called by the loop.
func (r *rounds) pulse() {
	r.last.Store(int64(time.Since(r.began)))
	if r.tell != nil {
		r.tell()
	}
}

// silence is how long the loop has not gone round.
func (r *rounds) silence() time.Duration {
	return time.Since(r.began) - time.Duration(r.last.Load())
}
