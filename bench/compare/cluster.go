package compare

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ldlm-io/ldlm/internal/load"
)

// contender has a cluster do a job: its clients are where it leads.
func (k trioKind) contender(j job) contender {
	return contender{name: k.name, measure: func(ctx context.Context, l *lab) (figures, error) {
		t, err := l.startTrio(ctx, k)
		if err != nil {
			return nil, err
		}
		defer t.kill()
		server, err := t.server(ctx)
		if err != nil {
			return nil, err
		}
		refused := new(atomic.Int64)
		s := system{dial: func(ctx context.Context, address string, _ int) (load.Conn, error) {
			c, err := k.dial(ctx, address)
			if err != nil {
				return nil, err
			}
			return stubborn{Conn: c, refused: refused}, nil
		}}
		result, err := load.Run(ctx, s.config(l, server, j))
		found, err := figuresOf(ctx, server, result, err)
		if err == nil {
			found[failures] = float64(refused.Load())
		}
		return found, err
	}}
}

// failOver kills the leader again and again, and measures each time how long it takes
// until a client that was connected to it has a new lock.
func (k trioKind) failOver() contender {
	return contender{name: k.name, measure: func(ctx context.Context, l *lab) (figures, error) {
		t, err := l.startTrio(ctx, k)
		if err != nil {
			return nil, err
		}
		defer t.kill()
		took := make([]float64, 0, l.sizes.Leaders)
		for i := range l.sizes.Leaders {
			d, err := t.failOver(ctx, fmt.Sprintf("%s%d", namePrefix, i))
			if err != nil {
				return nil, err
			}
			took = append(took, float64(d)/float64(time.Millisecond))
		}
		slices.Sort(took)
		return figures{
			halfMillis: quantile(took, 0.5), ninetyMillis: quantile(took, 0.9), milliseconds: took[len(took)-1],
		}, nil
	}}
}

// failOver kills the leader once, and starts it again.
func (t *trio) failOver(ctx context.Context, name string) (took time.Duration, err error) {
	leader, err := t.leader(ctx)
	if err != nil {
		return 0, err
	}
	c, err := t.kind.dial(ctx, t.from(leader)...)
	if err != nil {
		return 0, err
	}
	conn := stubborn{Conn: c, refused: new(atomic.Int64), attempt: t.kind.attempt}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := pair(ctx, conn, name); err != nil {
		return 0, err
	}
	began := time.Now()
	leader.kill()
	if err := pair(ctx, timed{conn, &took, began}, name+"/new"); err != nil {
		return 0, err
	}
	return took, t.restart(ctx, leader)
}

// timed notes how long after a moment a lock was there.
type timed struct {
	load.Conn
	took  *time.Duration
	since time.Time
}

// Lock takes a lock.
func (t timed) Lock(ctx context.Context, name string) (load.Hold, error) {
	h, err := t.Conn.Lock(ctx, name)
	*t.took = time.Since(t.since)
	return h, err
}

// quantile returns the least of sorted samples that a share q of them does not exceed.
func quantile(sorted []float64, q float64) float64 {
	return sorted[max(int(math.Ceil(q*float64(len(sorted)))), 1)-1]
}

// transferWorkers work while the lead is handed over.
const transferWorkers = 16

// transfer hands the lead over again and again while a client works, and measures the
// longest that it had to wait for an answer, and how often it was refused one.
func (k trioKind) transfer() contender {
	return contender{name: k.name, measure: func(ctx context.Context, l *lab) (_ figures, err error) {
		t, err := l.startTrio(ctx, k)
		if err != nil {
			return nil, err
		}
		defer t.kill()
		leader, err := t.leader(ctx)
		if err != nil {
			return nil, err
		}
		c, err := k.dial(ctx, t.from(leader)...)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		w := newWatched(ctx, c)
		defer w.stop()
		slowest, command := time.Duration(0), time.Duration(0)
		for range l.sizes.Transfers {
			waited, took, err := t.transfer(ctx, w)
			if err != nil {
				return nil, err
			}
			slowest, command = max(slowest, waited), max(command, took)
		}
		w.stop()
		return figures{
			milliseconds:  float64(slowest) / float64(time.Millisecond),
			commandMillis: float64(command) / float64(time.Millisecond),
			failures:      float64(w.failed.Load()),
		}, nil
	}}
}

// transfer hands the lead over once.
func (t *trio) transfer(ctx context.Context, w *watched) (waited, took time.Duration, err error) {
	leader, err := t.leader(ctx)
	if err != nil {
		return 0, 0, err
	}
	if err := w.round(ctx); err != nil {
		return 0, 0, err
	}
	w.slowest.Store(0)
	began := time.Now()
	if _, err := run(ctx, t.lab.ldlm, "cluster", "transfer", "--member", leader.peers); err != nil {
		return 0, 0, err
	}
	took = time.Since(began)
	// What had to wait is answered when everybody has had answers twice.
	for range 2 {
		if err := w.round(ctx); err != nil {
			return 0, 0, err
		}
	}
	return time.Duration(w.slowest.Load()), took, nil
}

// watched are workers that take and release a lock each through one connection until
// they are stopped.
type watched struct {
	slowest atomic.Int64   // call, in nanoseconds
	failed  atomic.Int64   // calls
	pairs   []atomic.Int64 // of each worker
	end     context.CancelFunc
	tasks   sync.WaitGroup
}

func newWatched(ctx context.Context, c load.Conn) *watched {
	w := &watched{pairs: make([]atomic.Int64, transferWorkers)}
	ctx, w.end = context.WithCancel(ctx)
	for i := range w.pairs {
		w.tasks.Go(func() {
			for name := fmt.Sprintf("%s%d", namePrefix, i); ctx.Err() == nil; {
				w.pair(ctx, c, name)
				w.pairs[i].Add(1)
			}
		})
	}
	return w
}

// pair does a pair, and notes how its calls went.
func (w *watched) pair(ctx context.Context, c load.Conn, name string) {
	var h load.Hold
	if w.call(ctx, func() (err error) { h, err = c.Lock(ctx, name); return err }) {
		w.call(ctx, func() error { return h.Release(ctx) })
	}
}

func (w *watched) call(ctx context.Context, do func() error) bool {
	began := time.Now()
	err := do()
	if ctx.Err() != nil {
		return false
	}
	took := int64(time.Since(began))
	for last := w.slowest.Load(); took > last && !w.slowest.CompareAndSwap(last, took); last = w.slowest.Load() {
	}
	if err != nil {
		w.failed.Add(1)
	}
	return err == nil
}

// round returns when every worker has ended a pair.
func (w *watched) round(ctx context.Context) error {
	const pause = time.Millisecond
	begun := make([]int64, len(w.pairs))
	for i := range w.pairs {
		begun[i] = w.pairs[i].Load()
	}
	for i := range w.pairs {
		for w.pairs[i].Load() == begun[i] {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// stop ends the workers; a second time it does nothing.
func (w *watched) stop() {
	w.end()
	w.tasks.Wait()
}
