package baton

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/ldlm-io/ldlm/internal/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T) (address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), Serve(l)
}

func dial(t *testing.T, address string, shared bool) load.Conn {
	t.Helper()
	conn, err := Dial(t.Context(), address, shared)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// One worker has the baton at a time, and all get it as often as they want.
func TestOneHasIt(t *testing.T) {
	for _, shared := range []bool{false, true} {
		address, stop := serve(t)
		const workers, turns = 8, 100
		conns := []load.Conn{dial(t, address, shared)}
		var having, turn atomic.Int32
		var done sync.WaitGroup
		for i := range workers {
			if !shared && i > 0 {
				conns = append(conns, dial(t, address, shared))
			}
			conn := conns[len(conns)-1]
			done.Go(func() {
				for range turns {
					h, err := conn.Lock(context.Background(), "x")
					if err != nil {
						t.Error(err)
						return
					}
					if n := having.Add(1); n != 1 {
						t.Errorf("%d have the baton", n)
					}
					turn.Add(1)
					having.Add(-1)
					if err := h.Release(context.Background()); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		done.Wait()
		if n := turn.Load(); n != workers*turns {
			t.Errorf("%d turns, want %d", n, workers*turns)
		}
		for _, conn := range conns {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
		stop()
	}
}

// Whoever waits is told when the server ends, and whoever comes later too.
func TestServerEnds(t *testing.T) {
	for _, shared := range []bool{false, true} {
		address, stop := serve(t)
		holder, waiter := dial(t, address, shared), dial(t, address, shared)
		if _, err := holder.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		told := make(chan error)
		go func() {
			_, err := waiter.Lock(context.Background(), "x")
			told <- err
		}()
		stop()
		if err := <-told; err == nil {
			t.Error("who waited got the baton")
		}
		if _, err := waiter.Lock(context.Background(), "x"); err == nil {
			t.Error("who came later got the baton")
		}
		holder.Close()
		waiter.Close()
	}
}
