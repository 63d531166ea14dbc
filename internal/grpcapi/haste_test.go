package grpcapi_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
)

// atTheLimit returns a client that holds the one lock that there may be, l, and was refused m.
func atTheLimit(t *testing.T, h *house) *client {
	t.Helper()
	c := h.client()
	if r, err := c.TryLock(t.Context(), try("l")); err != nil || !r.GetLocked() {
		t.Fatal(r, err)
	}
	if r, err := c.TryLock(t.Context(), try("m")); err != nil || r.GetError() == nil {
		t.Fatal(r, err)
	}
	return c
}

// Who reaches a limit again and again waits for the answer, as long as it wants one; what
// no limit refuses is answered as ever.
func TestWhoReachesLimitsTooOftenWaits(t *testing.T) {
	h := open(t, func(n *node.Config, c *grpcapi.Config) {
		n.Settings = lock.DefaultSettings()
		n.Settings.MaxLocks = 1
		c.Gate = auth.NewGate(auth.GateConfig{Tempo: auth.Tempo{Every: time.Hour, Free: 1, Longest: time.Hour}})
	})
	c := atTheLimit(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answered := make(chan error, 1)
	go func() {
		_, err := c.TryLock(ctx, try("m"))
		answered <- err
	}()
	for range 100 {
		if r, err := c.TryLock(t.Context(), try("l")); err != nil || r.GetLocked() || r.GetError() != nil {
			t.Fatal(r, err)
		}
	}
	cancel()
	if err := <-answered; status.Code(err) != codes.Canceled {
		t.Errorf("the second one too many: %v", err)
	}
}

// A call that is answered late has nothing of the session meanwhile that others need.
func TestWhoWaitsForARefusalHasNoSlot(t *testing.T) {
	gate := auth.NewGate(auth.GateConfig{Tempo: auth.Tempo{Every: time.Hour, Free: 1, Longest: time.Hour}})
	h := open(t, func(n *node.Config, c *grpcapi.Config) {
		n.Settings = lock.DefaultSettings()
		n.Settings.MaxLocks, n.Settings.MaxSlots = 1, 1
		c.Gate = gate
	})
	c := atTheLimit(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ask := func(name string) (answered chan error) {
		answered = make(chan error, 1)
		go func() {
			_, err := c.TryLock(ctx, try(name))
			answered <- err
		}()
		return answered
	}
	waits := ask("m")
	for reached(gate) < 2 {
		runtime.Gosched()
	}
	for other := ask("l"); ; runtime.Gosched() {
		select {
		case err := <-other:
			if err != nil {
				t.Error(err)
			}
		default:
			if reached(gate) < 3 {
				continue
			}
			t.Errorf("limits were in the way of another call: %v", gate.LimitsReached())
		}
		break
	}
	cancel()
	if err := <-waits; status.Code(err) != codes.Canceled {
		t.Errorf("the second one too many: %v", err)
	}
}

// A call over a connection for which there is no room waits likewise.
func TestWhoConnectsTooOftenWaits(t *testing.T) {
	gate := auth.NewGate(auth.GateConfig{Connections: 1, Tempo: auth.Tempo{Every: time.Hour, Free: 1, Longest: time.Hour}})
	h := open(t, func(_ *node.Config, c *grpcapi.Config) { c.Gate = gate })
	first, second := h.client(), h.client()
	if _, err := first.TryLock(t.Context(), try("l")); err != nil {
		t.Fatal(err)
	}
	if _, err := second.TryLock(t.Context(), try("m")); status.Code(err) != codes.ResourceExhausted {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answered := make(chan error, 1)
	go func() {
		_, err := second.TryLock(ctx, try("m"))
		answered <- err
	}()
	for reached(gate) < 2 {
		runtime.Gosched()
	}
	for range 100 {
		if _, err := first.TryLock(t.Context(), try("l")); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-answered; status.Code(err) != codes.Canceled {
		t.Errorf("the second one too many: %v", err)
	}
}

// reached is how often limits were.
func reached(g *auth.Gate) (times uint64) {
	for _, n := range g.LimitsReached() {
		times += n
	}
	return times
}
