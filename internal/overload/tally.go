//go:build linux

package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// tally counts what became of many attempts.
type tally struct {
	taken, refused atomic.Int64

	mu   sync.Mutex // guards what follows
	last *refusedError
	err  error
}

// each makes n attempts, many at a time. A refusal that names a limit is counted; any
// other error ends it.
func (t *tally) each(ctx context.Context, n int, attempt func() error) error {
	const together = 64
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var next atomic.Int64
	var working sync.WaitGroup
	for range min(n, together) {
		working.Go(func() {
			for next.Add(1) <= int64(n) && ctx.Err() == nil {
				if !t.note(attempt()) {
					cancel()
				}
			}
		})
	}
	working.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// note counts an attempt, and says whether to go on.
func (t *tally) note(err error) bool {
	if err == nil {
		t.taken.Add(1)
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var r *refusedError
	if errors.As(err, &r) && r.status.GetField() != "" {
		t.refused.Add(1)
		t.last = r
		return true
	}
	if t.err == nil {
		t.err = err
	}
	return false
}

func (t *tally) outcome() outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := outcome{Reached: t.taken.Load(), Refused: t.refused.Load()}
	if t.last != nil {
		o.Field, o.Limit = t.last.status.GetField(), t.last.status.GetLimit()
	}
	return o
}
