package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm"
)

// Refresher renews one lock until it is stopped. Locks of this client are
// renewed without one; it is for locks whose key came from elsewhere.
type Refresher struct {
	client  *Client
	name    string
	key     string
	seconds int32

	mu     sync.Mutex
	cancel context.CancelFunc // nil unless it runs
	done   chan struct{}
}

// NewRefresher returns a refresher that has been started. It renews the lock
// after each third of the timeout.
func NewRefresher(client *Client, name string, key string, lockTimeoutSeconds int32) *Refresher {
	r := &Refresher{client: client, name: name, key: key, seconds: max(lockTimeoutSeconds, 1)}
	r.Start()
	return r
}

// Start starts the refresher; nothing happens if it runs.
func (r *Refresher) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(r.client.ctx)
	r.cancel, r.done = cancel, make(chan struct{})
	go r.run(ctx, r.done)
}

// Stop stops the refresher and waits until it has; nothing happens if it does
// not run.
func (r *Refresher) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel == nil {
		return
	}
	r.cancel()
	<-r.done
	r.cancel = nil
}

// run renews until it is stopped, or the lock is lost. A renewal that fails for
// another reason is tried again until the timeout must be over.
func (r *Refresher) run(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	ticker := time.NewTicker(seconds(r.seconds) / 3)
	defer ticker.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		sent := time.Now()
		err := r.client.modern.RenewKey(ctx, r.name, r.key, seconds(r.seconds))
		switch {
		case ctx.Err() != nil || errors.Is(err, ldlm.ErrClosed):
			return
		case err == nil:
			renewed = sent
		case errors.Is(classicRenewal(err), ErrLockDoesNotExistOrInvalidKey) || time.Since(renewed) > seconds(r.seconds):
			r.client.lost(&Lock{Name: r.name, Key: r.key, client: r.client}, errors.Join(ldlm.ErrLost, err))
			return
		}
	}
}
