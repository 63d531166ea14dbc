package compare

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/load"
)

// stubborn is a connection to a cluster that asks again for what was refused, as
// programs do: while no member leads, everything is. It counts the refusals.
type stubborn struct {
	load.Conn
	refused *atomic.Int64
	attempt time.Duration // that is given up for another one; 0: none is
}

// Lock takes a lock, however often it has to ask.
func (s stubborn) Lock(ctx context.Context, name string) (h load.Hold, err error) {
	err = s.insist(ctx, func() (err error) {
		ctx, cancel := s.try(ctx)
		defer cancel()
		h, err = s.Conn.Lock(ctx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return stubbornHold{conn: s, hold: h}, nil
}

type stubbornHold struct {
	conn stubborn
	hold load.Hold
}

// Release gives a lock back, however often it has to ask.
func (h stubbornHold) Release(ctx context.Context) error {
	return h.conn.insist(ctx, func() error {
		ctx, cancel := h.conn.try(ctx)
		defer cancel()
		err := h.hold.Release(ctx)
		if errors.Is(err, ldlm.ErrLost) {
			return nil // there is nothing left to give back
		}
		return err
	})
}

// try bounds an attempt.
func (s stubborn) try(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.attempt == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, s.attempt)
}

// insist does something until it is done or ctx ends.
func (s stubborn) insist(ctx context.Context, do func() error) error {
	const pause = 10 * time.Millisecond
	for {
		err := do()
		if err == nil || ctx.Err() != nil {
			return err
		}
		s.refused.Add(1)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}
