package load

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake takes a while for each lock, and as long for each release. Its locks
// with the same name are served in order.
type fake struct {
	lock, release time.Duration
	fail          error // of each lock, if not nil

	mu     sync.Mutex
	queues map[string][]chan struct{} // who waits, behind who holds
	taken  []string                   // in order
	closed int
}

func newFake(lock, release time.Duration) *fake {
	return &fake{lock: lock, release: release, queues: map[string][]chan struct{}{}}
}

func (f *fake) dial(context.Context) (Conn, error) { return fakeConn{f}, nil }

type fakeConn struct{ *fake }

func (f fakeConn) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

func (f fakeConn) Lock(ctx context.Context, name string) (Hold, error) {
	select {
	case <-time.After(f.lock):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if f.fail != nil {
		return nil, f.fail
	}
	turn := make(chan struct{})
	f.mu.Lock()
	q := append(f.queues[name], turn)
	f.queues[name] = q
	f.taken = append(f.taken, name)
	f.mu.Unlock()
	if len(q) > 1 {
		select {
		case <-turn:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return fakeHold{f.fake, name}, nil
}

type fakeHold struct {
	*fake
	name string
}

func (h fakeHold) Release(context.Context) error {
	<-time.After(h.fake.release)
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queues[h.name][1:]
	if h.queues[h.name] = q; len(q) > 0 {
		close(q[0])
	}
	return nil
}

func TestPairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3*time.Millisecond, time.Millisecond)
		used := time.Duration(0)
		got, err := Run(t.Context(), Config{
			Dial: f.dial, Workload: Pairs, Workers: 4, Connections: 2, Prefix: "p/",
			WarmUp: 2002 * time.Millisecond, Duration: 10 * time.Second,
			ServerTime: func() (time.Duration, error) {
				used += time.Second
				return used, nil
			},
		})
		want := Result{
			Workload: Pairs, Workers: 4, Connections: 2, Pairs: 10_000, Seconds: 10, PairsPerSecond: 1000,
			MostServed: 2500, LeastServed: 2500, Server: &ServerUse{CPUSeconds: 1, CPUMicrosPerPair: 100},
			Latency: Latency{P50: 4000, P90: 4000, P99: 4000, P999: 4000, Max: 4000},
		}
		server := got.Server
		if got.Server = want.Server; err != nil || got != want || server == nil || *server != *want.Server {
			t.Errorf("got %+v, %+v, %v\nwant %+v, %+v", got, server, err, want, want.Server)
		}
		if got, want := unique(f.taken), []string{"p/0", "p/1", "p/2", "p/3"}; !slices.Equal(got, want) {
			t.Errorf("locks: got %q, want %q", got, want)
		}
		if f.closed != 2 {
			t.Errorf("%d connections were closed, want 2", f.closed)
		}
	})
}

func unique(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

func TestHandOffsAreServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(0, time.Millisecond)
		got, err := Run(t.Context(), Config{Dial: f.dial, Workload: HandOffs, Workers: 5, WarmUp: 50500 * time.Microsecond, Duration: time.Second})
		if err != nil || got.Pairs != 1000 || got.MostServed != 200 || got.LeastServed != 200 || got.Fairness() != 1 || got.Connections != 5 {
			t.Errorf("got %+v, %v", got, err)
		}
		if got := unique(f.taken); !slices.Equal(got, []string{"one"}) {
			t.Errorf("locks: got %q", got)
		}
	})
}

func TestHeldLocksStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Millisecond, 0)
		var phases []Phase
		got, err := Run(t.Context(), Config{
			Dial: f.dial, Workload: Held, HeldLocks: 1000, Workers: 1, Pairs: 10, WarmUp: time.Millisecond / 2,
			Progress: func(p Progress) { phases = append(phases, p.Phase) },
		})
		if err != nil || got.HeldLocks != 1000 || got.Pairs != 10 || got.Interrupted {
			t.Errorf("got %+v, %v", got, err)
		}
		held := slices.DeleteFunc(unique(f.taken), func(name string) bool { return name == "0" })
		if len(held) != 1000 || held[0] != "held/00000000" || held[999] != "held/00000999" {
			t.Errorf("%d locks are held: %q", len(held), held)
		}
		if want := []Phase{Holding, WarmingUp, Measuring}; !slices.Equal(phases, want) {
			t.Errorf("phases: got %q, want %q", phases, want)
		}
	})
}

func TestPairsBoundTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Millisecond, time.Millisecond)
		got, err := Run(t.Context(), Config{Dial: f.dial, Workload: Pairs, Workers: 3, Pairs: 100, Duration: time.Hour})
		if err != nil || got.Pairs != 100 || got.Seconds != 0.068 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// The clock does not run before everybody has begun.
func TestWarmUpWaitsForEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(0, time.Second) // the last of 10 in line is served after 10 s
		got, err := Run(t.Context(), Config{Dial: f.dial, Workload: HandOffs, Workers: 10, WarmUp: time.Millisecond, Duration: 20500 * time.Millisecond})
		if err != nil || got.Pairs != 20 || got.LeastServed != 2 || got.Seconds != 20.5 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(310*time.Millisecond, 0)
		var got []Progress
		_, err := Run(t.Context(), Config{
			Dial: f.dial, Workload: Pairs, Workers: 2, WarmUp: 700 * time.Millisecond, Duration: 2500 * time.Millisecond,
			Progress: func(p Progress) { got = append(got, p) },
		})
		want := []Progress{
			{WarmingUp, 0, 700 * time.Millisecond, 0},
			{Measuring, 0, 2500 * time.Millisecond, 0},
			{Measuring, time.Second, 2500 * time.Millisecond, 6},
			{Measuring, 2 * time.Second, 2500 * time.Millisecond, 12},
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v\nwant %v", got, err, want)
		}
	})
}

func TestInterruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for after, want := range map[time.Duration]int64{
			time.Nanosecond: 0, 1500 * time.Millisecond: 0, 4001 * time.Millisecond: 2, // measured from 2 s on
		} {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			f := newFake(time.Second-time.Nanosecond, 0)
			got, err := Run(ctx, Config{Dial: f.dial, Workload: Pairs, Workers: 1, WarmUp: 2 * time.Second, Duration: time.Hour})
			cancel()
			if err != nil || !got.Interrupted || got.Pairs != want || f.closed != 1 {
				t.Errorf("after %s: got %+v, %v, want %d pairs", after, got, err, want)
			}
		}
	})
}

func TestInterruptionWhileHolding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		f := newFake(time.Hour, 0)
		got, err := Run(ctx, Config{Dial: f.dial, Workload: Held, HeldLocks: 1, Workers: 1, Pairs: 1})
		if err != nil || !got.Interrupted || got.Pairs != 0 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// A server that is started anew while the clock runs is one of which nobody knows what it
// has used.
func TestServerStartedAnew(t *testing.T) {
	for name, end := range map[string]func() (time.Duration, error){
		"its process is gone":        func() (time.Duration, error) { return 0, errors.New("no such process") },
		"another one has its number": func() (time.Duration, error) { return time.Millisecond, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(time.Millisecond, 0)
			used := func() (time.Duration, error) { return time.Second, nil }
			got, err := Run(t.Context(), Config{
				Dial: f.dial, Workload: Pairs, Workers: 1, Duration: time.Second,
				ServerTime: func() (time.Duration, error) { defer func() { used = end }(); return used() },
			})
			if err != nil || got.Pairs == 0 || got.Server != nil {
				t.Errorf("%s: got %+v, %+v, %v", name, got, got.Server, err)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	broken := errors.New("broken")
	for name, change := range map[string]func(c *Config, f *fake){
		"dial":                 func(c *Config, _ *fake) { c.Dial = func(context.Context) (Conn, error) { return nil, broken } },
		"lock":                 func(_ *Config, f *fake) { f.fail = broken },
		"hold":                 func(c *Config, f *fake) { f.fail, c.Workload, c.HeldLocks = broken, Held, 1 },
		"server's time":        func(c *Config, _ *fake) { c.ServerTime = func() (time.Duration, error) { return 0, broken } },
		"lock, during warm-up": func(c *Config, f *fake) { f.fail, c.WarmUp = broken, time.Hour },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(time.Millisecond, 0)
			c := Config{Dial: f.dial, Workload: Pairs, Workers: 3, Duration: time.Minute}
			change(&c, f)
			began := time.Now()
			got, err := Run(t.Context(), c)
			if !errors.Is(err, broken) || got.Pairs != 0 || time.Since(began) > time.Second {
				t.Errorf("%s: got %+v, %v after %s", name, got, err, time.Since(began))
			}
		})
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		"workers: 0, want 1 to 65536":                                              func(c *Config) { c.Workers = 0 },
		"workers: 65537, want 1 to 65536":                                          func(c *Config) { c.Workers = 65537 },
		"connections: -1, want 1 to 2, the number of workers":                      func(c *Config) { c.Connections = -1 },
		"connections: 3, want 1 to 2, the number of workers":                       func(c *Config) { c.Connections = 3 },
		"warm-up, duration and pairs: -1s, 1s, 0; none may be negative":            func(c *Config) { c.WarmUp = -time.Second },
		"warm-up, duration and pairs: 0s, -1s, 0; none may be negative":            func(c *Config) { c.Duration = -time.Second },
		"warm-up, duration and pairs: 0s, 1s, -1; none may be negative":            func(c *Config) { c.Pairs = -1 },
		"duration and pairs are both 0: the run would not end":                     func(c *Config) { c.Duration = 0 },
		"held locks: 0, want 1 to 16777216":                                        func(c *Config) { c.Workload = Held },
		"held locks: 16777217, want 1 to 16777216":                                 func(c *Config) { c.Workload, c.HeldLocks = Held, 16777217 },
		`workload "frob", want one of pairs, handoffs, held`:                       func(c *Config) { c.Workload = "frob" },
		`workload "", want one of pairs, handoffs, held`:                           func(c *Config) { c.Workload = "" },
		"prefix: 257 bytes, want at most 256":                                      func(c *Config) { c.Prefix = string(make([]byte, 257)) },
		"held locks: 1, but the workload pairs holds none; want the workload held": func(c *Config) { c.HeldLocks = 1 },
	} {
		c := Config{Workload: Pairs, Workers: 2, Duration: time.Second}
		change(&c)
		if _, err := Run(t.Context(), c); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}
