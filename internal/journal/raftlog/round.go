package raftlog

import (
	"context"
	"fmt"
	"sync"
)

// rounds let all who ask the same at about the same time share one answer. Nobody is given
// that of a round that began before he asked. The zero value is ready.
type rounds struct {
	mu      sync.Mutex
	present *round // the newest that has begun
	next    *round // nil: nobody waits for it
}

// A round is one question and its answer.
type round struct {
	done chan struct{} // closed when err is set
	err  error
}

// share returns the answer of the next round. Whoever comes first has it, within ctx; an end
// of that is no answer for others, who ask again.
func (r *rounds) share(ctx context.Context, ask func(context.Context) error) error {
	r.mu.Lock()
	if mine := r.next; mine != nil {
		r.mu.Unlock()
		select {
		case <-mine.done:
			return mine.err
		case <-ctx.Done():
			return refused(context.Cause(ctx))
		}
	}
	mine, before := &round{done: make(chan struct{})}, r.present
	r.next = mine
	r.mu.Unlock()
	defer close(mine.done)
	if before != nil {
		select {
		case <-before.done:
		case <-ctx.Done():
		}
	}
	r.mu.Lock()
	r.present, r.next = mine, nil
	r.mu.Unlock()
	if mine.err = ask(ctx); mine.err != nil && ctx.Err() != nil {
		mine.err = refused(fmt.Errorf("%w: %w", errElsewhere, context.Cause(ctx)))
	}
	return mine.err
}
