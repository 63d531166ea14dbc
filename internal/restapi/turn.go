package restapi

import (
	"context"
	"sync"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// turns let the requests of a session through one after the other, in the order in
// which they came. A session has an entry only while it has requests.
type turns struct {
	mu    sync.Mutex // guards taken and the counts in it; held for a few assignments
	taken map[lock.SecretHash]*turn
}

// turn is had by one request.
type turn struct {
	held  chan struct{} // room for one
	count int           // requests that have it or wait for it
}

// take waits for the turn of a session, until ctx ends. After success the caller
// leaves when its request is over.
func (t *turns) take(ctx context.Context, session lock.SecretHash) (leave func(), err error) {
	x := t.enter(session)
	select {
	case x.held <- struct{}{}:
		return func() {
			<-x.held
			t.leave(session, x)
		}, nil
	case <-ctx.Done():
		t.leave(session, x)
		return nil, ctx.Err()
	}
}

func (t *turns) enter(session lock.SecretHash) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.taken[session]
	if x == nil {
		x = &turn{held: make(chan struct{}, 1)}
		t.taken[session] = x
	}
	x.count++
	return x
}

func (t *turns) leave(session lock.SecretHash, x *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x.count--; x.count == 0 {
		delete(t.taken, session)
	}
}
