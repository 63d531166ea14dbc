package ldlm_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/ldlm-io/ldlm"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// generous is a server that grants everything at once: what remains is the cost
// of the client and of the wire.
type generous struct{ token atomic.Uint64 }

func (g *generous) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go g.talk(c)
	}
}

func (g *generous) talk(raw net.Conn) {
	defer raw.Close()
	preface := make([]byte, len(wire.Preface))
	if _, err := raw.Read(preface); err != nil {
		return
	}
	conn := wire.NewConn(raw, 0)
	var f ldlmv2.ClientFrame
	var out ldlmv2.ServerFrame
	for {
		if err := conn.ReadClient(&f); err != nil {
			return
		}
		g.answer(&f, &out)
		if conn.Buffered() {
			continue
		}
		if err := conn.WriteServer(&out); err != nil || f.Close != nil {
			return
		}
		out.Reset()
	}
}

func (g *generous) answer(f *ldlmv2.ClientFrame, out *ldlmv2.ServerFrame) {
	if f.Hello != nil {
		out.Welcome = &ldlmv2.Welcome{
			Version: 2, Session: 1, Attach: 1, TtlUs: 10e6, ValidForUs: 8_900_000, KeepAliveEveryUs: 2e6,
			MaxSlots: 65_536, MaxWaitingSlots: 61_440,
		}
	}
	if k := f.KeepAlive; k != nil {
		out.KeepAlive = &ldlmv2.KeepAlive{Number: k.GetNumber(), ValidForUs: 8_900_000}
	}
	for _, op := range f.Ops {
		a := &ldlmv2.Answer{Slot: op.GetSlot(), Seq: op.GetSeq(), Code: ldlmv2.Code_CODE_OK}
		if op.Acquire != nil {
			a.Token = g.token.Add(1)
			a.Fence, a.AtOnce, a.Key = a.Token, true, make([]byte, 16)
		}
		out.Answers = append(out.Answers, a)
	}
}

// BenchmarkPair is one lock and its release, by so many workers at a time. Load
// and server share the machine.
func BenchmarkPair(b *testing.B) {
	for _, workers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go new(generous).serve(l)
			c, err := ldlm.Dial(l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			pairs(b, c, workers)
		})
	}
}

func pairs(b *testing.B, c *ldlm.Client, workers int) {
	ctx := context.Background()
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error, workers)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range workers {
		go func() {
			name := fmt.Sprintf("bench/%d", i)
			for left.Add(-1) >= 0 {
				l, err := c.Lock(ctx, name)
				if err == nil {
					err = l.Release(ctx)
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range workers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
}
