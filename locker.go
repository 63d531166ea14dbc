package ldlm

import (
	"context"
	"fmt"
	"sync"
)

// Locker returns a lock as a [sync.Locker], for code that wants one.
//
// A sync.Locker cannot return errors, so its Lock and Unlock panic where
// [Client.Lock] and [Lock.Release] would return one, the end of ctx and the loss
// of the lock included. Prefer [Client.Do] where you can.
func (c *Client) Locker(ctx context.Context, name string, opts ...LockOption) sync.Locker {
	return &mutex{client: c, ctx: ctx, name: name, opts: opts}
}

// mutex is a lock that panics. It is used by many goroutines like a sync.Mutex:
// the hold belongs to whoever locked it last.
type mutex struct {
	client *Client
	ctx    context.Context
	name   string
	opts   []LockOption

	mu   sync.Mutex
	hold *Lock
}

// Lock takes the lock, or panics.
func (m *mutex) Lock() {
	l, err := m.client.Lock(m.ctx, m.name, m.opts...)
	if err != nil {
		panic(fmt.Sprintf("ldlm: Locker of %q: %v", shortened(m.name), err))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hold = l
}

// Unlock releases the lock, or panics.
func (m *mutex) Unlock() {
	m.mu.Lock()
	l := m.hold
	m.hold = nil
	m.mu.Unlock()
	if l == nil {
		panic(fmt.Sprintf("ldlm: Locker of %q: unlock of unlocked lock", shortened(m.name)))
	}
	if err := l.Release(m.ctx); err != nil {
		panic(fmt.Sprintf("ldlm: Locker of %q: %v", shortened(m.name), err))
	}
}
