package grpcapi_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
)

// Requests in short.

func want(name string) *ldlmv1.LockRequest { return &ldlmv1.LockRequest{Name: name} }
func try(name string) *ldlmv1.TryLockRequest {
	return &ldlmv1.TryLockRequest{Name: name}
}

// take acquires a lock that is free and returns the key.
func (c *client) take(name string) string {
	c.t.Helper()
	return c.granted(c.TryLock(c.t.Context(), try(name)))
}

// takeFor is take with a lock timeout in seconds.
func (c *client) takeFor(name string, seconds int32) string {
	c.t.Helper()
	r := try(name)
	r.LockTimeoutSeconds = &seconds
	return c.granted(c.TryLock(c.t.Context(), r))
}

// takeOf is take with a size.
func (c *client) takeOf(name string, size int32) string {
	c.t.Helper()
	r := try(name)
	r.Size = &size
	return c.granted(c.TryLock(c.t.Context(), r))
}

func (c *client) granted(r *ldlmv1.LockResponse, err error) string {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("not granted: %v", err)
	}
	if !r.GetLocked() || r.GetError() != nil {
		c.t.Fatalf("not granted: %v", r)
	}
	return r.GetKey()
}

// isFree takes and releases a lock to see that it is free, or not.
func (c *client) isFree(name string) bool {
	c.t.Helper()
	r, err := c.TryLock(c.t.Context(), try(name))
	if err != nil {
		c.t.Fatalf("try: %v", err)
	}
	if r.GetLocked() {
		c.release(name, r.GetKey())
	}
	return r.GetLocked()
}

func (c *client) release(name, key string) {
	c.t.Helper()
	r, err := c.Unlock(c.t.Context(), &ldlmv1.UnlockRequest{Name: name, Key: key})
	if err != nil || !r.GetUnlocked() || r.GetError() != nil {
		c.t.Fatalf("unlock %q: %v, %v", name, r, err)
	}
}

func (c *client) renew(name, key string, seconds int32) *ldlmv1.LockResponse {
	c.t.Helper()
	r, err := c.Renew(c.t.Context(), &ldlmv1.RenewRequest{Name: name, Key: key, LockTimeoutSeconds: seconds})
	if err != nil {
		c.t.Fatalf("renew %q: %v", name, err)
	}
	return r
}

// pending is a call under way.
type pending struct {
	done   chan struct{}
	answer *ldlmv1.LockResponse
	err    error
	cancel context.CancelFunc
	after  time.Duration
}

// start begins a Lock call that may wait.
func (c *client) start(r *ldlmv1.LockRequest) *pending {
	ctx, cancel := context.WithCancel(c.t.Context())
	p := &pending{done: make(chan struct{}), cancel: cancel}
	begun := time.Now()
	go func() {
		defer close(p.done)
		defer cancel()
		p.answer, p.err = c.Lock(ctx, r)
		p.after = time.Since(begun)
	}()
	return p
}

// over reports whether the call has been answered.
func (p *pending) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait returns the answer.
func (p *pending) wait() (*ldlmv1.LockResponse, error) {
	<-p.done
	return p.answer, p.err
}

// until waits until a lock, as the table has it, is as it should be.
func (h *house) until(name string, good func(lock.LockView) bool) {
	h.t.Helper()
	w, err := h.node.Watch(node.WatchFilter{Name: name}, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // a fuse
	defer cancel()
	for {
		v, _, err := h.node.Lookup(ctx, name)
		if err != nil {
			h.t.Fatalf("look up %q: %v", name, err)
		}
		if good(v) {
			return
		}
		if _, err := w.Next(ctx); err != nil {
			h.t.Fatalf("lock %q stays %d holders, %d waiters: %v", name, v.HolderCount, v.WaiterCount, err)
		}
	}
}

func waiters(n int) func(lock.LockView) bool {
	return func(v lock.LockView) bool { return v.WaiterCount == n }
}

func unheld(v lock.LockView) bool { return v.HolderCount == 0 }

// counts are the figures of the table.
func (h *house) counts() lock.Counts { return h.node.Counts() }

// raw is a message as it is on the wire.
type raw []byte

// rawCodec sends and receives raw messages.
type rawCodec struct{}

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*raw))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*raw) = data.Materialize()
	return nil
}

func (rawCodec) Name() string { return "proto" }

// invoke makes a call with a message of any bytes.
func invoke(t *testing.T, c *grpc.ClientConn, method string, request []byte) ([]byte, error) {
	t.Helper()
	in, out := raw(request), raw(nil)
	err := c.Invoke(t.Context(), method, &in, &out, grpc.ForceCodecV2(rawCodec{}))
	return out, err
}
