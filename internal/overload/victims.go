//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm"
)

const (
	// victims are the well-behaved clients, each with a connection of its own.
	victims = 8
	// pace is the time between two pairs of one of them.
	pace = 10 * time.Millisecond
)

// served is what the well-behaved clients saw for a while.
type served struct {
	Pairs     int
	P50, P99  time.Duration
	Longest   time.Duration
	latencies []time.Duration
}

// crowd are the well-behaved clients.
type crowd []*ldlm.Client

func newCrowd(addr string) (crowd, error) {
	var all crowd
	for range victims {
		c, err := ldlm.Dial(addr, ldlm.WithTTL(ttl)) // a machine that stands still is not what is tried
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (all crowd) close() {
	for _, c := range all {
		_ = c.Close()
	}
}

// work has all of them take and release locks until ctx ends. It is an error if one
// of them is ever refused.
func (all crowd) work(ctx context.Context) (served, error) {
	seen, errs := make([][]time.Duration, len(all)), make([]error, len(all))
	var working sync.WaitGroup
	for i, c := range all {
		working.Go(func() { seen[i], errs[i] = pairs(ctx, c, fmt.Sprintf("victim-%d", i)) })
	}
	working.Wait()
	s := served{latencies: slices.Concat(seen...)}
	slices.Sort(s.latencies)
	if n := len(s.latencies); n > 0 {
		s.Pairs, s.P50, s.P99, s.Longest = n, s.latencies[n/2], s.latencies[n*99/100], s.latencies[n-1]
	}
	return s, errors.Join(errs...)
}

// pairs takes and releases a lock, again and again. The last pair is not cut short. A
// release that the client could not confirm in its 5 seconds is late, and no refusal: the
// pair goes on with another lock, for the client still releases that one.
func pairs(ctx context.Context, c *ldlm.Client, name string) ([]time.Duration, error) {
	t := time.NewTicker(pace)
	defer t.Stop()
	var seen []time.Duration
	began := time.Now()
	for attempt := 0; ; attempt++ {
		l, err := c.Lock(context.WithoutCancel(ctx), fmt.Sprintf("%s-%d", name, attempt))
		if err == nil {
			err = l.Release(context.WithoutCancel(ctx))
		}
		switch {
		case errors.Is(err, ldlm.ErrUnknownOutcome):
			continue
		case err != nil:
			return seen, fmt.Errorf("a well-behaved client was not served: %w", err)
		}
		seen = append(seen, time.Since(began))
		attempt = -1
		select {
		case <-t.C:
			began = time.Now()
		case <-ctx.Done():
			return seen, nil
		}
	}
}
