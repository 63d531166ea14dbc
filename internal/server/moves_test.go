package server_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/cluster"
)

// footprint knows to which addresses a client has connections.
type footprint struct {
	mu   sync.Mutex
	open map[string]int
}

// dial is for [ldlm.WithDialer].
func (f *footprint) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[address]++
	return &step{Conn: conn, ended: func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open[address]--
	}}, nil
}

// isAt reports whether an address is the only one to which there are connections.
func (f *footprint) isAt(address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for a, n := range f.open {
		if n > 0 && a != address {
			return false
		}
	}
	return f.open[address] > 0
}

// step is a connection that says when it is closed.
type step struct {
	net.Conn
	once  sync.Once
	ended func()
}

func (s *step) Close() error {
	s.once.Do(s.ended)
	return s.Conn.Close()
}

// wanderer is a client that holds a lock of its own, and waits for one of somebody else's.
type wanderer struct {
	footprint
	client *ldlm.Client
	held   *ldlm.Lock
	got    chan error
}

// wanderFrom opens a client that knows one member, and waits as the last of so many.
func wanderFrom(t *testing.T, h *street, at, contended string, last int, opts ...ldlm.DialOption) *wanderer {
	t.Helper()
	w := &wanderer{footprint: footprint{open: map[string]int{}}, got: make(chan error, 1)}
	opts = append(opts, ldlm.WithTTL(longest), ldlm.WithDialer(w.dial))
	var err error
	if w.client, err = ldlm.Dial(h.clients[at].Addr().String(), opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.client.Close() })
	if w.held, err = lockAt(t, w.client, fmt.Sprintf("own/%d", last)); err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	go func() {
		l, err := w.client.Lock(ctx, contended)
		if err == nil {
			err = l.Release(ctx)
		}
		w.got <- err
	}()
	h.waiting(contended, last)
	return w
}

// ask asks for something: who does not stays where it is. Whether it is served is not the question.
func (w *wanderer) ask(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = w.held.SetValue(ctx, []byte("here"))
}

// Clients that know one member are all where the leader is, wherever the lead goes, with
// what they hold and wait for.
func TestClientsFollowTheLead(t *testing.T) {
	h := openStreet(t)
	all := []*member{h.runs["a"], h.runs["b"], h.runs["c"]}
	holder := h.dial("a")
	defer func() { _ = holder.Close() }()
	contended, err := lockAt(t, holder, "contended")
	if err != nil {
		t.Fatal(err)
	}
	var wanderers []*wanderer
	for i, at := range []string{"a", "b", "c", "a", "b", "c"} {
		var opts []ldlm.DialOption
		if i >= 3 {
			opts = append(opts, ldlm.WithGRPC())
		}
		wanderers = append(wanderers, wanderFrom(t, h, at, contended.Name(), i+1, opts...))
	}
	allAtTheLeader(t, h, all, wanderers)
	_, others := parted(t, all)
	next := others[0]
	// A member that lags behind, as on a busy machine, does not take it at once.
	for said := "not yet"; said != ""; {
		said = order(t, next, cluster.TopicLead, next.name)
	}
	allAtTheLeader(t, h, all, wanderers)
	for i, w := range wanderers {
		if err := w.held.Err(); err != nil {
			t.Errorf("client %d lost what it held: %v", i, err)
		}
	}
	release(t, contended)
	for i, w := range wanderers {
		if err := <-w.got; err != nil {
			t.Errorf("client %d that waited: %v", i, err)
		}
	}
}

// allAtTheLeader returns when all are where the leader is, to which they go while they ask for something.
func allAtTheLeader(t *testing.T, h *street, all []*member, wanderers []*wanderer) {
	t.Helper()
	for limit := time.Now().Add(fuse); ; <-time.After(20 * time.Millisecond) {
		leader, _ := parted(t, all)
		away := -1
		for i, w := range wanderers {
			w.ask(t)
			if !w.isAt(h.clients[leader.name].Addr().String()) {
				away = i
			}
		}
		if away < 0 {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("client %d is not where the leader is after %s", away, fuse)
		}
	}
}
