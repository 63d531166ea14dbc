package load

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A Workload is what the workers of a run do.
type Workload string

// Workloads.
const (
	// Pairs: each worker takes and releases a lock of its own, so that nobody
	// ever waits for anybody.
	Pairs Workload = "pairs"
	// HandOffs: all workers take and release the same lock, which goes from one
	// to the next.
	HandOffs Workload = "handoffs"
	// Held: Pairs, while the first connection holds many other locks.
	Held Workload = "held"
)

// Workloads returns all of them, in the order of their comments.
func Workloads() []Workload { return []Workload{Pairs, HandOffs, Held} }

// Bounds of a run. Each worker is a goroutine, each connection one of a server's.
const (
	MaxWorkers   = 1 << 16
	MaxHeldLocks = 1 << 24
)

// maxNameBytes bounds the common beginning of names.
const maxNameBytes = 256

// A Hold is a lock that is held.
type Hold interface {
	// Release gives the lock back, and returns when that is confirmed.
	Release(ctx context.Context) error
}

// A Conn takes locks. Several workers may use one at the same time.
type Conn interface {
	// Lock takes a lock, and waits for it until ctx ends.
	Lock(ctx context.Context, name string) (Hold, error)
	// Close ends the connection, and everything held on it.
	Close() error
}

// Config says what a run does.
type Config struct {
	// Dial makes a connection. It is called before the clock runs.
	Dial func(ctx context.Context) (Conn, error)
	// Workload that the workers do.
	Workload Workload
	// Workers that do it at the same time.
	Workers int
	// Connections that the workers share evenly; 0 means one for each worker.
	Connections int
	// HeldLocks are held meanwhile; for the workload Held, else 0.
	HeldLocks int
	// WarmUp is how long the workers work before the clock runs, or longer until
	// each has done a pair; with 0 the clock runs at once.
	WarmUp time.Duration
	// Duration and Pairs end the run, whichever is over first; 0 is no bound, and
	// one of them is needed.
	Duration time.Duration
	Pairs    int64
	// Prefix begins the names of all locks, so that runs at the same time can
	// keep out of each other's way.
	Prefix string
	// ServerTime returns the processor time that the server has used; nil if
	// nobody knows. It fails at the end if the server has ended meanwhile, and then
	// what it has used is not known.
	ServerTime func() (time.Duration, error)
	// Progress, if not nil, is called every Every while the run goes on, and when
	// it enters a phase, by the goroutine of Run: what it takes is waited for.
	Progress func(Progress)
	// Every is 1 s if 0.
	Every time.Duration
}

// A Phase is a part of a run.
type Phase string

// Phases, in their order.
const (
	Holding   Phase = "holding"
	WarmingUp Phase = "warming up"
	Measuring Phase = "measuring"
)

// Progress says how far a run is.
type Progress struct {
	// Phase of the run. Elapsed and Pairs count from its beginning.
	Phase   Phase
	Elapsed time.Duration
	// Of is how long the phase is going to be, 0 if that is not known.
	Of time.Duration
	// Pairs that were done, or locks that are held already.
	Pairs int64
}

// Check refuses what makes no run. Run does so too.
func (c *Config) Check() error {
	switch {
	case c.Workers < 1 || c.Workers > MaxWorkers:
		return fmt.Errorf("workers: %d, want 1 to %d", c.Workers, MaxWorkers)
	case c.Connections < 0 || c.Connections > c.Workers:
		return fmt.Errorf("connections: %d, want 1 to %d, the number of workers", c.Connections, c.Workers)
	case c.WarmUp < 0 || c.Duration < 0 || c.Pairs < 0:
		return fmt.Errorf("warm-up, duration and pairs: %s, %s, %d; none may be negative", c.WarmUp, c.Duration, c.Pairs)
	case c.Duration == 0 && c.Pairs == 0:
		return fmt.Errorf("duration and pairs are both 0: the run would not end")
	case len(c.Prefix) > maxNameBytes:
		return fmt.Errorf("prefix: %d bytes, want at most %d", len(c.Prefix), maxNameBytes)
	}
	return c.checkWorkload()
}

func (c *Config) checkWorkload() error {
	switch c.Workload {
	case Pairs, HandOffs:
		if c.HeldLocks != 0 {
			return fmt.Errorf("held locks: %d, but the workload %s holds none; want the workload %s", c.HeldLocks, c.Workload, Held)
		}
	case Held:
		if c.HeldLocks < 1 || c.HeldLocks > MaxHeldLocks {
			return fmt.Errorf("held locks: %d, want 1 to %d", c.HeldLocks, MaxHeldLocks)
		}
	default:
		var all []string
		for _, w := range Workloads() {
			all = append(all, string(w))
		}
		return fmt.Errorf("workload %q, want one of %s", c.Workload, strings.Join(all, ", "))
	}
	return nil
}
