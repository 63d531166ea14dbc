package ldlm_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc/test/bufconn"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/server"
)

// realServer is the real thing in memory, behind a network that can break.
type realServer struct {
	server   *server.Server
	listener *bufconn.Listener

	mu    sync.Mutex
	conns []net.Conn
	down  bool
}

// startReal starts a server, which ends when stop is called.
func startReal() (r *realServer, stop func() error, err error) {
	l := bufconn.Listen(64 << 10)
	s, err := server.Start(server.Config{Listener: l, Version: "test"})
	if err != nil {
		return nil, nil, err
	}
	stop = func() error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // nobody is waited for
		return s.Shutdown(ctx)
	}
	return &realServer{server: s, listener: l}, stop, nil
}

func newRealServer(t testing.TB) *realServer {
	t.Helper()
	r, stop, err := startReal()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// dial connects within the process; it is for [ldlm.WithDialer].
func (r *realServer) dial(ctx context.Context, _ string) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, errors.New("the network is down")
	}
	conn, err := r.listener.DialContext(ctx)
	if err == nil {
		r.conns = append(r.conns, conn)
	}
	return conn, err
}

// cut breaks all connections, and says whether new ones can be made.
func (r *realServer) cut(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

// count returns how many hold a lock and how many wait for it.
func (r *realServer) count(t testing.TB, name string) (holds, waits int) {
	t.Helper()
	v, ok, err := r.server.Node().Lookup(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return 0, 0
	}
	return v.HolderCount, v.WaiterCount
}

// BenchmarkRealPair is [BenchmarkPair] with a server that keeps locks.
func BenchmarkRealPair(b *testing.B) {
	for _, workers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			s, err := server.Start(server.Config{Listener: l})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Shutdown(context.Background())
			c, err := ldlm.Dial(s.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			pairs(b, c, workers)
		})
	}
}
