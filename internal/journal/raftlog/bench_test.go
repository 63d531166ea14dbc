package raftlog

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// counter is a machine that only counts, for measuring what the journal itself costs.
type counter struct{ applied int }

func (*counter) StartClock()                          {}
func (*counter) Stamp() int64                         { return 1 }
func (*counter) Unstamp(int64)                        {}
func (*counter) WouldWait(journal.Batch) bool         { return false }
func (c *counter) Apply(e journal.Entry)              { c.applied += len(e.Batches) }
func (*counter) Decode([]byte) (journal.Batch, error) { return payload{}, nil }
func (*counter) Snapshot() (func() ([]byte, error), func(), error) {
	return func() ([]byte, error) { return nil, nil }, func() {}, nil
}
func (*counter) Restore(func() ([]byte, error)) error { return nil }

// payload is a batch of the size of an acquire.
type payload struct{}

func (payload) AppendBinary(b []byte) ([]byte, error) {
	return append(b, "an acquire of one lock with a name of usual length and a key takes about eighty"...), nil
}

// BenchmarkPropose measures applies, durable ones, for so many callers at once.
func BenchmarkPropose(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			j, err := Open(Config{Dir: b.TempDir()}, &counter{})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := j.Lead(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					for range (b.N + i) / callers {
						if err := j.Propose(context.Background(), payload{}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "applies/s")
			b.ReportMetric(float64(b.N)/float64(j.Status().Applied), "batches/entry")
			if err := j.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}
