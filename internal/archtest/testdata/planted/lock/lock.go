// Package lock is the core of the planted module.
package lock

import (
	"math/rand/v2" // want `may not import math/rand/v2`
	"sync/atomic"  // want `may not import sync/atomic`
	"time"         // want `may not import time`
)

// Command is a value.
type Command struct{}

// Table is the engine.
type Table struct {
	names map[string]int
	n     atomic.Int64
	wake  chan int // want `uses a channel`
}

// New makes an engine.
func New() *Table { return nil }

// Apply does what it must not.
func (t *Table) Apply() int {
	go t.Apply() // want `starts a goroutine`
	sum := 0
	for _, n := range t.names { // want `walks a map`
		sum += n
	}
	// The order does not matter: addition commutes.
	for _, n := range t.names {
		sum += n
	}
	// The order does not matter here, but this is not about the loop.

	for k := range t.names { // want `walks a map`
		sum += len(k)
	}
	for i := range 3 {
		sum += i
	}
	half := 0.5                     // want `uses floating point`
	sum += int(float64(sum) * half) // want `uses floating point`
	select {                        // want `uses a channel`
	case t.wake <- sum: // want `uses a channel`
	default:
	}
	return sum + rand.Int() + time.Now().Nanosecond()
}
