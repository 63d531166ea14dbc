//go:build linux

package compare

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ldlm-io/ldlm/bench/echo"
)

// BenchmarkEcho measures what carriers cost when nothing is behind them. An
// operation is a message there and back.
func BenchmarkEcho(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	l := &lab{self: self}
	for _, carrier := range echo.Carriers() {
		for _, workers := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("carrier=%s/workers=%d", carrier, workers), func(b *testing.B) {
				server, err := l.startEcho(b.Context(), carrier)
				if err != nil {
					b.Fatal(err)
				}
				defer server.kill()
				measureEcho(b, server, dialEchoes(b, server.address, carrier, workers))
			})
		}
	}
}

// dialEchoes returns a connection for each worker, the same for all if they can
// share it. The server has answered on each.
func dialEchoes(b *testing.B, address string, carrier echo.Carrier, workers int) []*echo.Conn {
	b.Helper()
	all := make([]*echo.Conn, workers)
	for i := range all {
		if i > 0 && carrier.Shared() {
			all[i] = all[0]
			continue
		}
		conn, err := echo.Dial(b.Context(), carrier, address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		if err := conn.Echo(b.Context()); err != nil {
			b.Fatal(err)
		}
		all[i] = conn
	}
	return all
}

// measureEcho runs b.N operations, shared by the workers.
func measureEcho(b *testing.B, s *server, workers []*echo.Conn) {
	before, err := s.time()
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	var done sync.WaitGroup
	var next atomic.Int64
	for _, conn := range workers {
		done.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := conn.Echo(context.Background()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	b.StopTimer()
	after, err := s.time()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((after-before).Nanoseconds())/1000/float64(b.N), "server-µs/op")
}
