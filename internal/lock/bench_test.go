package lock

import (
	"fmt"
	"testing"
)

// attached returns a table with one attached session.
func attached(tb testing.TB) (*Table, SessionNumber, uint64) {
	tb.Helper()
	t := New()
	in := t.Apply(Entry{Term: 1, StampTerm: 1, Commands: []Command{&Join{Member: "m"}}}).Outcomes[0].Incarnation
	o := t.Apply(Entry{Term: 1, StampTerm: 1, Commands: []Command{
		&Open{Secret: SecretHash{1}, Incarnation: in},
	}}).Outcomes[0]
	return t, o.Session, o.Attach
}

// BenchmarkPair acquires and releases an uncontended lock, with none and with
// 100,000 locks held by the same session.
func BenchmarkPair(b *testing.B) {
	for _, held := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("held=%d", held), func(b *testing.B) {
			t, n, at := attached(b)
			caller := Caller{Session: n, Attach: at}
			for i := range held {
				t.Apply(Entry{Term: 1, StampTerm: 1, Commands: []Command{&Acquire{
					Caller: caller, Items: []Item{{Name: fmt.Sprintf("held-%011d", i)}}, Key: Key{1, byte(i), byte(i >> 8), byte(i >> 16)},
				}}})
			}
			a := &Acquire{Caller: caller, Items: []Item{{Name: "a-name-of-16-byt"}}, Key: Key{9}}
			r := &Release{Caller: caller, Hold: Hold{Name: a.Items[0].Name}}
			a.Slot, r.Slot = 1, 1
			ca, cr := []Command{a}, []Command{r}
			b.ReportAllocs()
			for b.Loop() {
				a.Seq++
				o := t.Apply(Entry{Term: 1, StampTerm: 1, Commands: ca}).Outcomes[0]
				a.Seq++
				r.Seq, r.Token = a.Seq, o.Token
				if o := t.Apply(Entry{Term: 1, StampTerm: 1, Commands: cr}).Outcomes[0]; o.Code != OK {
					b.Fatal(o.Code)
				}
			}
		})
	}
}

// BenchmarkHandOff passes one lock on in a queue of 16.
func BenchmarkHandOff(b *testing.B) {
	t, n, at := attached(b)
	caller := func(slot int, seq uint64) Caller {
		return Caller{Session: n, Attach: at, Slot: uint32(slot), Seq: seq}
	}
	var token Token
	seqs := [16]uint64{}
	acquire := func(i int) {
		seqs[i]++
		o := t.Apply(Entry{Term: 1, StampTerm: 1, Commands: []Command{&Acquire{
			Caller: caller(i, seqs[i]), Items: []Item{{Name: "x"}}, Key: Key{9, byte(i)}, Wait: Forever,
		}}}).Outcomes[0]
		if o.Code == OK {
			token = o.Token
		}
	}
	for i := range 16 {
		acquire(i)
	}
	i := 0
	for b.Loop() {
		seqs[i]++
		r := t.Apply(Entry{Term: 1, StampTerm: 1, Commands: []Command{&Release{
			Caller: caller(i, seqs[i]), Hold: Hold{Name: "x", Token: token},
		}}})
		token = r.Settled[0].Outcome.Token
		acquire(i)
		i = (i + 1) % 16
	}
}
