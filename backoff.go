package ldlm

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// firstBackoff is the longest wait after the first failure; it doubles from
	// failure to failure up to maxBackoff.
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = 2 * time.Second
)

// backoff returns how long to wait after so many failures before the last one:
// anything from nothing to the bound, so that clients that failed together do
// not come back together.
func backoff(failures int) time.Duration {
	bound := maxBackoff
	if failures < 16 {
		bound = min(maxBackoff, firstBackoff<<failures)
	}
	return rand.N(bound) //nolint:gosec // nobody gains by guessing it
}

// sleep waits until the time is over or ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
