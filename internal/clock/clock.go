// Package clock measures elapsed time that counts suspend.
//
// Go's monotonic clock stands still while a machine sleeps; a lease that was
// counted on it would be believed in for too long after waking up. An [Instant]
// therefore has two readings, Go's own and one of a clock of the system that
// goes on during suspend, and the time between two instants is the larger of
// the two differences. Erring to the larger side means giving a belief up too
// early, never too late.
//
// The package knows nothing of wall clocks, timers or deadlines. Timers of Go
// do not fire during suspend either: who waits for one compares instants
// afterwards. Under testing/synctest the first reading is fake and the second
// is not, so elapsed time follows the fake clock as long as that runs ahead of
// the real one.
package clock

import "time"

// Instant is a moment on this process's clocks. It means nothing to another
// process. The zero Instant is no moment; see [Instant.IsZero].
type Instant struct {
	mono time.Time
	boot time.Duration // 0 if the system has no such clock
}

// Now returns the present instant. It is safe for concurrent use.
func Now() Instant { return Instant{mono: time.Now(), boot: sinceBoot()} }

// IsZero reports whether i is the zero Instant.
func (i Instant) IsZero() bool { return i == Instant{} }

// Sub returns how much time passed from the earlier instant to i, suspend
// included. Where the system has no clock that counts suspend, it is not. The
// result is negative only if earlier is the later one.
func (i Instant) Sub(earlier Instant) time.Duration {
	elapsed := i.mono.Sub(earlier.mono)
	if i.boot != 0 && earlier.boot != 0 {
		elapsed = max(elapsed, i.boot-earlier.boot)
	}
	return elapsed
}

// Since returns how much time has passed since i.
func Since(i Instant) time.Duration { return Now().Sub(i) }
