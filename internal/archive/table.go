package archive

import (
	"fmt"
	"time"

	"github.com/ldlm-io/ldlm/internal/document"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// readTable makes a table of the chunks of a snapshot.
func readTable(next func() ([]byte, error)) (*lock.Table, error) {
	r := lock.NewRestorer()
	for {
		chunk, err := next()
		if err != nil {
			return nil, err
		}
		if chunk == nil {
			return r.Table()
		}
		if err := r.Write(chunk); err != nil {
			return nil, err
		}
	}
}

// chunksOf returns the chunks of a snapshot of a table that does not change meanwhile.
func chunksOf(t *lock.Table) func() ([]byte, error) {
	s := t.Snapshot()
	return func() ([]byte, error) {
		chunk, ok := s.Next()
		if !ok {
			return nil, nil
		}
		return chunk, nil
	}
}

// change carries out commands on a table outside any log: no time passes.
func change(t *lock.Table, commands ...lock.Command) []lock.Outcome {
	return t.Apply(lock.Entry{Commands: commands}).Outcomes
}

// countsOf are figures of a table as documents have them.
func countsOf(t *lock.Table) document.Counts {
	c := t.Counts()
	return document.Counts{
		Locks: c.Locks, Held: c.Held, Contended: c.Contended, Holds: c.Holds, Waiters: c.Waiters,
		Sessions: c.Sessions, Attached: c.Attached,
	}
}

// outsideHolds are the holds that belong to no session.
func outsideHolds(t *lock.Table) []document.Holder {
	views := t.HoldsOf(0, t.Counts().Holds)
	all := make([]document.Holder, 0, len(views))
	for i := range views {
		if v := &views[i]; !v.Delay {
			all = append(all, holderOf(v))
		}
	}
	return all
}

// holderOf describes a hold outside sessions. When it began is not known here: no
// clock ran with the table's.
func holderOf(v *lock.HoldView) document.Holder {
	h := document.Holder{
		Lock: v.Name, Token: document.NumberOf(uint64(v.Token)), Mode: document.Exclusive, Permits: int(v.Permits),
		KeyPrefix: v.Key.Short(), Revoked: v.Revoked,
	}
	if v.Mode == lock.Shared {
		h.Mode = document.Shared
	}
	h.Held, h.HeldMS = document.Span(inGo(v.Age))
	if v.LeaseLeft >= 0 {
		h.Lease, h.LeaseMS = document.Span(inGo(v.LeaseLeft))
	}
	if v.Note != nil {
		h.Reason = v.Note.Reason
	}
	return h
}

func inGo(d lock.Duration) time.Duration { return time.Duration(d) * time.Microsecond }

// inTable converts to the table's unit, upwards, so that nothing gets shorter, and
// within what the table takes.
func inTable(d time.Duration) lock.Duration {
	return min(lock.Duration((d+time.Microsecond-1)/time.Microsecond), lock.MaxDuration)
}

// wallNow is the wall clock as the birth of a table wants it.
func wallNow() uint64 { return uint64(max(0, time.Now().UnixMicro())) }

// born begins a life of a table: tokens grow beyond those of earlier ones.
func born(t *lock.Table, quiet lock.Duration) error {
	if o := change(t, &lock.Birth{Wall: wallNow(), Quiet: quiet})[0]; o.Code != lock.OK {
		return fmt.Errorf("a quiet time of %v is longer than can be, which is %v", inGo(quiet), inGo(lock.MaxDuration))
	}
	return nil
}
