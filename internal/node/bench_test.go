package node

import (
	"context"
	"fmt"
	"testing"

	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// worker takes and gives back locks over a link, a batch of them at a time,
// reusing its commands as a connection would.
type worker struct {
	link     *Link
	acquires []lock.Acquire
	releases []lock.Release
	commands []lock.Command
	notices  []Notice
	seq      uint64
}

func newWorker(l *Link, locks int, name func(i int) string) *worker {
	w := &worker{link: l, acquires: make([]lock.Acquire, locks), releases: make([]lock.Release, locks)}
	for i := range w.acquires {
		c := lock.Caller{Session: l.Session(), Attach: l.Number(), Slot: uint32(i)}
		w.acquires[i] = lock.Acquire{Caller: c, Items: []lock.Item{{Name: name(i), Size: 1}}}
		w.releases[i] = lock.Release{Caller: c, Hold: lock.Hold{Name: name(i)}}
	}
	return w
}

// pair acquires and releases every lock once.
func (w *worker) pair(ctx context.Context) error {
	w.seq++
	w.commands = w.commands[:0]
	for i := range w.acquires {
		w.acquires[i].Seq, w.acquires[i].Key = w.seq, lock.Key{}
		w.commands = append(w.commands, &w.acquires[i])
	}
	if err := w.submit(ctx); err != nil {
		return err
	}
	for _, a := range w.notices {
		w.releases[a.Slot].Token = a.Outcome.Token
	}
	w.seq++
	w.commands = w.commands[:0]
	for i := range w.releases {
		w.releases[i].Seq = w.seq
		w.commands = append(w.commands, &w.releases[i])
	}
	return w.submit(ctx)
}

func (w *worker) submit(ctx context.Context) error {
	if err := w.link.Submit(ctx, w.commands); err != nil {
		return err
	}
	w.notices = w.link.Take(w.notices[:0])
	if len(w.notices) != len(w.commands) {
		return fmt.Errorf("%d answers to %d commands", len(w.notices), len(w.commands))
	}
	for i := range w.notices {
		if c := w.notices[i].Outcome.Code; c != lock.OK {
			return fmt.Errorf("command %d of %d ended with code %d", i, len(w.commands), c)
		}
	}
	return nil
}

func openBench(b *testing.B) (*Node, *Link) {
	b.Helper()
	n, err := Open(Config{}, memory.Open)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = n.Close() })
	return n, benchLink(b, n, 1)
}

func benchLink(b *testing.B, n *Node, secret byte) *Link {
	b.Helper()
	l, o, err := n.Attach(context.Background(), &lock.Open{Secret: lock.SecretHash{secret}})
	if err != nil || o.Code != lock.OK {
		b.Fatalf("attach: code %d, %v", o.Code, err)
	}
	return l
}

// A pair is an acquire and a release of a free lock; all goes through one link,
// a batch of commands at a time.
func BenchmarkLinkPairs(b *testing.B) {
	for _, size := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			_, l := openBench(b)
			w := newWorker(l, size, func(i int) string { return fmt.Sprintf("lock-%011d", i) })
			ctx := context.Background()
			b.ReportAllocs()
			for done := 0; done < b.N; done += size {
				if err := w.pair(ctx); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
		})
	}
}

// The same with a link for each of several callers.
func BenchmarkLinkPairsParallel(b *testing.B) {
	for _, size := range []int{1, 16} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			n, first := openBench(b)
			links := make(chan *Link, 16)
			links <- first
			for i := range cap(links) - 1 {
				links <- benchLink(b, n, byte(i+2))
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				l := <-links
				w := newWorker(l, size, func(i int) string { return fmt.Sprintf("lock-%d-%d", l.Session(), i) })
				for pb.Next() {
					for i := 1; i < size && pb.Next(); i++ {
					}
					if err := w.pair(context.Background()); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
		})
	}
}

// A pair by Call, as the unary protocols do it.
func BenchmarkCallPairs(b *testing.B) {
	for _, wait := range []lock.Duration{0, lock.Forever} {
		b.Run(fmt.Sprintf("wait=%d", wait), func(b *testing.B) {
			n, l := openBench(b)
			ctx := context.Background()
			c := lock.Caller{Session: l.Session(), Attach: l.Number()}
			b.ReportAllocs()
			for b.Loop() {
				c.Seq++
				o, err := n.Call(ctx, &lock.Acquire{Caller: c, Items: []lock.Item{{Name: "a"}}, Wait: wait})
				if err != nil || o.Code != lock.OK {
					b.Fatalf("acquire: code %d, %v", o.Code, err)
				}
				c.Seq++
				o, err = n.Call(ctx, &lock.Release{Caller: c, Hold: lock.Hold{Name: "a", Token: o.Token}})
				if err != nil || o.Code != lock.OK {
					b.Fatalf("release: code %d, %v", o.Code, err)
				}
			}
		})
	}
}

// A hand-off is a release that grants the lock to the next of 16 links that
// wait for it.
func BenchmarkHandOff(b *testing.B) {
	n, first := openBench(b)
	links := []*Link{first}
	for i := range 15 {
		links = append(links, benchLink(b, n, byte(i+2)))
	}
	ctx := context.Background()
	seq := uint64(0)
	var notices []Notice
	ask := func(l *Link, c lock.Command) []Notice {
		if err := l.Submit(ctx, []lock.Command{c}); err != nil {
			b.Fatal(err)
		}
		notices = l.Take(notices[:0])
		return notices
	}
	acquire := func(l *Link) lock.Token {
		seq++
		c := lock.Caller{Session: l.Session(), Attach: l.Number(), Slot: 0, Seq: seq}
		return ask(l, &lock.Acquire{Caller: c, Items: []lock.Item{{Name: "a"}}, Wait: lock.Forever})[0].Outcome.Token
	}
	seqs := map[*Link]uint64{}
	token := acquire(links[0])
	seqs[links[0]] = seq
	for _, l := range links[1:] {
		seq = 0
		acquire(l)
		seqs[l] = seq
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		holder, next := links[i%16], links[(i+1)%16]
		i++
		c := lock.Caller{Session: holder.Session(), Attach: holder.Number(), Slot: 1, Seq: uint64((i-1)/16 + 1)}
		if o := ask(holder, &lock.Release{Caller: c, Hold: lock.Hold{Name: "a", Token: token}})[0].Outcome; o.Code != lock.OK {
			b.Fatalf("release: code %d", o.Code)
		}
		seqs[holder]++
		seq = seqs[holder] - 1
		acquire(holder)
		notices = next.Take(notices[:0])
		if len(notices) != 1 || notices[0].Outcome.Code != lock.OK {
			b.Fatalf("the next one was told %v", notices)
		}
		token = notices[0].Outcome.Token
	}
}

// What watchers cost those who work: none, dead ones, ones of other locks that
// wait for events, and ones that read everything.
func BenchmarkWatchedPairs(b *testing.B) {
	for _, bm := range []struct {
		name       string
		dead, idle int
		live       int
	}{
		{"none", 0, 0, 0}, {"dead=100", 100, 0, 0}, {"idle=100", 0, 100, 0}, {"live=1", 0, 0, 1},
	} {
		b.Run(bm.name, func(b *testing.B) {
			n, l := openBench(b)
			for range bm.dead {
				w, err := n.Watch(WatchFilter{}, 0)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(w.Close)
			}
			for i := range bm.idle {
				go follow(n, WatchFilter{Name: fmt.Sprint("other", i)})
			}
			for range bm.live {
				go follow(n, WatchFilter{})
			}
			w := newWorker(l, 16, func(i int) string { return fmt.Sprintf("lock-%011d", i) })
			b.ReportAllocs()
			for done := 0; done < b.N; done += 16 {
				if err := w.pair(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// follow reads events until the node is closed.
func follow(n *Node, f WatchFilter) {
	for n.Err() == nil {
		w, err := n.Watch(f, 0)
		for err == nil {
			_, err = w.Next(context.Background())
		}
		if w != nil {
			w.Close()
		}
	}
}
