package bench

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// payloadBytes is the size of what travels there and back: about an acquire or its answer.
const payloadBytes = 64

// A carrier brings messages to a server and back.
type carrier struct {
	// serve echoes what comes in on l until stop is called.
	serve func(l net.Listener) (stop func())
	// dial returns an operation for each worker. An operation is one message
	// there and back; workers call theirs at the same time, each for itself.
	dial func(b *testing.B, address string, workers int) []func() error
}

// carriers are what is measured, by name.
var carriers = map[string]carrier{
	"unary":     {serveGRPC, dialUnary},
	"stream":    {serveGRPC, dialStreams},
	"pipelined": {serveGRPC, dialPipelined},
	"tcp":       {serveTCP, dialTCP},
}

// BenchmarkEcho measures what carriers cost when nothing is behind them.
func BenchmarkEcho(b *testing.B) {
	for _, name := range []string{"unary", "stream", "pipelined", "tcp"} {
		for _, workers := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("carrier=%s/workers=%d", name, workers), func(b *testing.B) {
				s := startServer(b, name)
				measure(b, s, carriers[name].dial(b, s.address, workers))
			})
		}
	}
}

// measure runs b.N operations, shared by the workers.
func measure(b *testing.B, s *server, workers []func() error) {
	for _, op := range workers { // connections and streams exist before the clock runs
		if err := op(); err != nil {
			b.Fatal(err)
		}
	}
	used := s.processorTime(b)
	b.ResetTimer()
	var done sync.WaitGroup
	var next atomic.Int64
	for _, op := range workers {
		done.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := op(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	b.StopTimer()
	used = s.processorTime(b) - used
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(b.N), "server-µs/op")
}
