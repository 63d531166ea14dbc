package memory

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/journaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	journaltest.Run(t, journaltest.Engine{
		Open:    func(_ string, m journal.Machine) (journal.Journal, error) { return Open(m) },
		Forgets: true,
	})
}

// counter is a machine that only counts, for measuring what the journal itself costs.
type counter struct{ applied uint64 }

func (*counter) StartClock()                          {}
func (*counter) Stamp() int64                         { return 1 }
func (*counter) Unstamp(int64)                        {}
func (*counter) WouldWait(journal.Batch) bool         { return false }
func (c *counter) Apply(e journal.Entry)              { c.applied += uint64(len(e.Batches)) }
func (*counter) Decode([]byte) (journal.Batch, error) { return nothing{}, nil }
func (*counter) Snapshot() (func() ([]byte, error), func(), error) {
	return func() ([]byte, error) { return nil, nil }, func() {}, nil
}
func (*counter) Restore(func() ([]byte, error)) error { return nil }

type nothing struct{}

func (nothing) AppendBinary(b []byte) ([]byte, error) { return b, nil }

// A second Close changes nothing.
func TestCloseTwice(t *testing.T) {
	j, err := Open(&counter{})
	if err != nil {
		t.Fatal(err)
	}
	lead, err := j.Lead(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Errorf("first Close: %v", err)
	}
	cause := context.Cause(lead)
	if err := j.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if got := context.Cause(lead); !errors.Is(got, cause) {
		t.Errorf("second Close changed the cause from %v to %v", cause, got)
	}
}

// The journal adds no allocation to an entry.
func TestAllocations(t *testing.T) {
	c := &counter{}
	j, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	got := testing.AllocsPerRun(100, func() {
		if err := j.Propose(ctx, nothing{}); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations per proposal, want none", got)
	}
	if c.applied == 0 {
		t.Error("nothing was applied")
	}
}

func BenchmarkPropose(b *testing.B) {
	j, err := Open(&counter{})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := j.Propose(ctx, nothing{}); err != nil {
			b.Fatal(err)
		}
	}
}
