package sessionapi_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// benchServer serves a node in memory on the loopback.
func benchServer(b *testing.B, immediate bool) string {
	n, err := node.Open(node.Config{}, memory.Open)
	if err != nil {
		b.Fatal(err)
	}
	s := sessionapi.New(sessionapi.Config{Node: below{n}, Immediate: immediate})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ln := wire.NewListener(l, wire.ListenerConfig{Logger: slog.New(slog.DiscardHandler)})
	done := make(chan error)
	go func() { done <- s.ServeListener(context.Background(), ln.Native()) }()
	b.Cleanup(func() {
		ln.Close()
		<-done
		s.Close()
		n.Close()
	})
	return l.Addr().String()
}

// pairer locks and unlocks over one connection, as many locks at a time as it
// has workers, all in one frame.
type pairer struct {
	conn   *wire.Conn
	seq    uint64
	names  []string
	tokens []uint64
	in     ldlmv2.ServerFrame
}

func newPairer(b *testing.B, addr string, number, workers int) *pairer {
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	p := &pairer{conn: wire.NewClientConn(raw, 0), tokens: make([]uint64, workers)}
	hello := (&client{secret: binary.BigEndian.AppendUint64(make([]byte, 16), uint64(number))}).hello()
	hello.TtlUs = 60_000_000
	if err := p.conn.WriteClient(&ldlmv2.ClientFrame{Hello: hello}); err != nil {
		b.Fatal(err)
	}
	if err := p.conn.ReadServer(&p.in); err != nil || p.in.GetWelcome() == nil {
		b.Fatal(&p.in, err)
	}
	for i := range workers {
		p.names = append(p.names, fmt.Sprintf("lock-%d-%d", number, i))
	}
	return p
}

// pair locks and unlocks once with every worker.
func (p *pairer) pair(b *testing.B) {
	var lock, unlock ldlmv2.ClientFrame
	p.seq++
	for i, name := range p.names {
		lock.Ops = append(lock.Ops, acquire(uint32(i), p.seq, name, 0))
	}
	p.ask(b, &lock)
	p.seq++
	for i, name := range p.names {
		unlock.Ops = append(unlock.Ops, release(uint32(i), p.seq, name, p.tokens[i]))
	}
	p.ask(b, &unlock)
}

// ask sends a frame and reads the answers to it.
func (p *pairer) ask(b *testing.B, f *ldlmv2.ClientFrame) {
	if err := p.conn.WriteClient(f); err != nil {
		b.Fatal(err)
	}
	for n := 0; n < len(f.Ops); {
		if err := p.conn.ReadServer(&p.in); err != nil {
			b.Fatal(err)
		}
		for _, a := range p.in.GetAnswers() {
			if a.GetCode() != ok {
				b.Fatal(a)
			}
			p.tokens[a.GetSlot()] = a.GetToken()
			n++
		}
	}
}

// BenchmarkPairs locks and unlocks over the loopback, client and server sharing
// the machine: so many workers on one connection, or a connection each.
func BenchmarkPairs(b *testing.B) {
	for _, bb := range []struct {
		name           string
		conns, workers int
		immediate      bool
	}{
		{"1", 1, 1, true},
		{"16", 1, 16, true},
		{"64", 1, 64, true},
		{"256", 1, 256, true},
		{"64Connections", 64, 1, true},
		{"64SlowNode", 1, 64, false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			addr := benchServer(b, bb.immediate)
			pairers := make([]*pairer, bb.conns)
			for i := range pairers {
				pairers[i] = newPairer(b, addr, i, bb.workers)
			}
			var wg sync.WaitGroup
			b.ResetTimer()
			for i, p := range pairers {
				rounds := b.N / (bb.conns * bb.workers)
				if i == 0 {
					rounds++
				}
				wg.Go(func() {
					for range rounds {
						p.pair(b)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
			for _, p := range pairers {
				p.conn.Close()
			}
		})
	}
}
