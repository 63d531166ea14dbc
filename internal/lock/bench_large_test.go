package lock

import (
	"fmt"
	"testing"
)

const many = 100_000

// world is a table with a member that does not die and sessions of it.
type world struct {
	*Table
	in       Incarnation
	sessions []Caller
	keys     uint32
}

func newWorld(sessions int) *world {
	w := &world{Table: New()}
	w.in = w.do(&Join{Member: "m"}).Incarnation
	for i := range sessions {
		o := w.do(&Open{Secret: SecretHash{1, byte(i), byte(i >> 8), byte(i >> 16)}, Incarnation: w.in})
		w.sessions = append(w.sessions, Caller{Session: o.Session, Attach: o.Attach})
	}
	return w
}

func (w *world) do(c Command) Outcome { return one(w.Table, c) }

func (w *world) key() Key {
	w.keys++
	return Key{1, byte(w.keys), byte(w.keys >> 8), byte(w.keys >> 16)}
}

// hold makes session s hold so many locks, with a lease if it is not 0.
func (w *world) hold(s, count int, lease Duration) {
	for i := range count {
		w.do(&Acquire{
			Caller: w.sessions[s], Items: []Item{{Name: fmt.Sprintf("held-%011d", i)}}, Key: w.key(), Lease: lease,
		})
	}
}

// wait makes the sessions from the second on wait in turn for the lock that name
// returns, until so many wait.
func (w *world) wait(count int, name func(i int) string) {
	others := w.sessions[1:]
	for i := range count {
		c := others[i%len(others)]
		c.Slot, c.Seq = uint32(1+i/len(others)), 1
		if o := w.do(&Acquire{Caller: c, Items: []Item{{Name: name(i)}}, Key: w.key(), Wait: Forever}); o.Code != Queued {
			panic(o.Code)
		}
	}
}

// BenchmarkPairBeside acquires and releases a lock of its own beside 100,000 other
// things: sessions, waiters of one lock, deadlines. In the last case the pair has
// a deadline itself.
func BenchmarkPairBeside(b *testing.B) {
	for _, test := range []struct {
		name  string
		build func() *world
		lease Duration
	}{
		{"nothing", func() *world { return newWorld(1) }, 0},
		{"sessions", func() *world { return newWorld(many) }, 0},
		{"waiters", func() *world {
			w := newWorld(5)
			w.hold(0, 1, 0)
			w.wait(many, func(int) string { return "held-00000000000" })
			return w
		}, 0},
		{"deadlines", func() *world {
			w := newWorld(1)
			w.hold(0, many, Minute)
			return w
		}, Second},
	} {
		b.Run(test.name, func(b *testing.B) {
			w := test.build()
			p := newPair(w.sessions[0], test.lease)
			b.ReportAllocs()
			for b.Loop() {
				if !p.run(w.Table) {
					b.Fatal("refused")
				}
			}
		})
	}
}

// pair acquires and releases one lock, again and again, in one slot.
type pair struct {
	acquire Acquire
	release Release
	first   []Command
	second  []Command
}

func newPair(c Caller, lease Duration) *pair {
	p := &pair{
		acquire: Acquire{Caller: c, Items: []Item{{Name: "a-name-of-16-byt"}}, Key: Key{9}, Lease: lease},
		release: Release{Caller: c, Hold: Hold{Name: "a-name-of-16-byt"}},
	}
	p.first, p.second = []Command{&p.acquire}, []Command{&p.release}
	return p
}

func (p *pair) run(t *Table) bool {
	p.acquire.Seq = p.release.Seq + 1
	p.release.Seq = p.acquire.Seq + 1
	o := t.Apply(Entry{Term: 1, StampTerm: 1, Commands: p.first}).Outcomes[0]
	p.release.Token = o.Token
	return o.Code == OK && t.Apply(Entry{Term: 1, StampTerm: 1, Commands: p.second}).Outcomes[0].Code == OK
}

// BenchmarkWaitBehindMany queues for a lock that 100,000 wait for, and cancels.
func BenchmarkWaitBehindMany(b *testing.B) {
	w := newWorld(5)
	w.hold(0, 1, 0)
	w.wait(many, func(int) string { return "held-00000000000" })
	c := w.sessions[0]
	c.Slot = 7
	a := &Acquire{Caller: c, Items: []Item{{Name: "held-00000000000"}}, Key: w.key(), Wait: Minute}
	for b.Loop() {
		a.Seq++
		w.do(a)
		if o := w.do(&Cancel{a.Caller}); o.Code != Canceled {
			b.Fatal(o.Code)
		}
	}
}

// BenchmarkExpire ends 100,000 leases in one step, each with somebody waiting.
func BenchmarkExpire(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		w := newWorld(5)
		w.hold(0, many, Second)
		w.wait(many, func(i int) string { return fmt.Sprintf("held-%011d", i) })
		b.StartTimer()
		if r := w.Apply(Entry{Term: 1, StampTerm: 1, Elapsed: Second}); len(r.Settled) != many {
			b.Fatal(len(r.Settled))
		}
	}
}

// BenchmarkKill ends a session that holds 100,000 locks, each with somebody waiting.
func BenchmarkKill(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		w := newWorld(5)
		w.hold(0, many, 0)
		w.wait(many, func(i int) string { return fmt.Sprintf("held-%011d", i) })
		b.StartTimer()
		r := w.Apply(Entry{Term: 1, StampTerm: 1, Commands: []Command{&Kill{Session: w.sessions[0].Session}}})
		if len(r.Settled) != many {
			b.Fatal(len(r.Settled))
		}
	}
}

// BenchmarkSnapshot reads a table of 100,000 holds, and with "applying" lets it go
// on meanwhile: 100 pairs after each chunk.
func BenchmarkSnapshot(b *testing.B) {
	for _, pairs := range []int{0, 100} {
		b.Run(fmt.Sprintf("pairs=%d", pairs), func(b *testing.B) {
			w := newWorld(1)
			w.hold(0, many, 0)
			p := newPair(w.sessions[0], 0)
			p.acquire.Slot, p.release.Slot = 1, 1
			b.SetBytes(int64(len(save(w.Table))))
			for b.Loop() {
				s := w.Snapshot()
				for _, ok := s.Next(); ok; _, ok = s.Next() {
					for range pairs {
						p.run(w.Table)
					}
				}
			}
		})
	}
}

// BenchmarkPairInSnapshot is a pair while a snapshot of 100,000 holds is under way,
// of which a chunk is read every thousand pairs.
func BenchmarkPairInSnapshot(b *testing.B) {
	w := newWorld(1)
	w.hold(0, many, 0)
	p := newPair(w.sessions[0], 0)
	s, n := w.Snapshot(), 0
	b.ReportAllocs()
	for b.Loop() {
		if n++; n%1000 == 0 {
			if _, ok := s.Next(); !ok {
				s = w.Snapshot()
			}
		}
		p.run(w.Table)
	}
}

// BenchmarkRestore makes a table of 100,000 holds from a snapshot.
func BenchmarkRestore(b *testing.B) {
	w := newWorld(1)
	w.hold(0, many, 0)
	saved := save(w.Table)
	b.SetBytes(int64(len(saved)))
	for b.Loop() {
		if _, err := restore(saved); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommands encodes and decodes a pair.
func BenchmarkCommands(b *testing.B) {
	p := newPair(Caller{Session: 77, Attach: 99, Slot: 3, Seq: 12}, 0)
	p.release.Token = 1_700_000_000_000_000
	cmds := []Command{&p.acquire, &p.release}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = AppendCommands(buf[:0], cmds); err != nil {
			b.Fatal(err)
		}
		if _, err := DecodeCommands(buf); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(buf)))
}
