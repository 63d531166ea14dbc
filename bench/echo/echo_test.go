package echo

import (
	"context"
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves a carrier until stop is called.
func serve(t *testing.T, c Carrier) (address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop, err = Serve(c, l)
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), stop
}

func TestEveryCarrierEchoes(t *testing.T) {
	for _, c := range Carriers() {
		address, stop := serve(t, c)
		conn, err := Dial(t.Context(), c, address)
		if err != nil {
			t.Fatal(c, err)
		}
		workers := 1
		if c.Shared() {
			workers = 32
		}
		var done sync.WaitGroup
		for range workers {
			done.Go(func() {
				for range 100 {
					h, err := conn.Lock(context.Background(), "x")
					if err == nil {
						err = h.Release(context.Background())
					}
					if err != nil {
						t.Error(c, err)
						return
					}
				}
			})
		}
		done.Wait()
		if err := conn.Close(); err != nil {
			t.Error(c, err)
		}
		stop()
	}
}

// Whoever waits for an answer is told that none comes.
func TestServerEnds(t *testing.T) {
	for _, c := range Carriers() {
		address, stop := serve(t, c)
		conn, err := Dial(t.Context(), c, address)
		if err == nil {
			err = conn.Echo(t.Context())
		}
		if err != nil {
			t.Fatal(c, err)
		}
		stop()
		for range 2 {
			if err := conn.Echo(t.Context()); err == nil {
				t.Error(c, "the server has ended, and yet there is an answer")
			}
		}
		conn.Close()
	}
}

func TestNoSuchCarrier(t *testing.T) {
	if _, err := Dial(t.Context(), "pigeon", "127.0.0.1:1"); err == nil {
		t.Error("it can be dialled")
	}
	if _, err := Serve("pigeon", nil); err == nil {
		t.Error("it can be served")
	}
}
