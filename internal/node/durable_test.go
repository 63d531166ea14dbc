package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// durable is a node over a data directory.
type durable struct {
	*house
	journal *raftlog.Journal
	dir     string
	past    past
}

// past has the hashes of the node's table after each entry. The node proposes by
// itself, too, so that nobody knows at which entry a copy of its directory ends; but
// it must be one of them.
type past struct {
	journal.Machine
	mu     sync.Mutex
	more   *sync.Cond
	hashes []lock.Hash
}

func (p *past) Apply(e journal.Entry) {
	p.Machine.Apply(e)
	n := (*Node)(p.Machine.(*machine))
	n.mu.Lock()
	hash := n.table.Hash()
	n.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hashes = append(p.hashes, hash)
	p.more.Broadcast()
}

func (p *past) entries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.hashes)
}

// has waits until an entry after the first so many has left the table like that.
func (p *past) has(h lock.Hash, first int, patience time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	over := false
	timer := time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		over = true
		p.more.Broadcast()
	})
	defer timer.Stop()
	for !over {
		if slices.Contains(p.hashes[max(0, first-1):], h) {
			return true
		}
		p.more.Wait()
	}
	return false
}

func openDurable(t *testing.T, dir string) *durable {
	t.Helper()
	d := &durable{dir: dir}
	d.past.more = sync.NewCond(&d.past.mu)
	c := raftlog.Config{Dir: dir, SegmentBytes: 64 << 10}
	n, err := Open(Config{RestartLease: 10 * time.Minute}, func(m journal.Machine) (journal.Journal, error) {
		d.past.Machine = m
		return raftlog.Opener(c, &d.journal)(&d.past)
	})
	if err != nil {
		t.Fatal(err)
	}
	d.house = &house{Node: n, t: t}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// killed is what the directory of a process looks like that was killed now.
func (d *durable) killed() string {
	d.t.Helper()
	dir := filepath.Join(d.t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(d.dir)); err != nil {
		d.t.Fatal(err)
	}
	return dir
}

// after returns the table as it is when a directory has been read, and before a node
// goes on with it.
func after(t *testing.T, dir string) *lock.Table {
	t.Helper()
	r := &reader{table: lock.New()}
	j, err := raftlog.Open(raftlog.Config{Dir: dir, SegmentBytes: 64 << 10}, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Barrier(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return r.table
}

// reader is a machine that has a table and nothing else.
type reader struct{ table *lock.Table }

func (*reader) StartClock()                  {}
func (*reader) Stamp() int64                 { return 0 }
func (*reader) Unstamp(int64)                {}
func (*reader) WouldWait(journal.Batch) bool { return false }

func (r *reader) Apply(e journal.Entry) {
	var commands []lock.Command
	for _, b := range e.Batches {
		commands = append(commands, b.(*batch).commands...)
	}
	r.table.Apply(lock.Entry{Term: e.Term, StampTerm: e.StampTerm, Elapsed: lock.Duration(e.Elapsed), Commands: commands})
}

func (*reader) Decode(data []byte) (journal.Batch, error) {
	commands, err := lock.DecodeCommands(data)
	return &batch{commands: commands}, err
}

func (r *reader) Snapshot() (func() ([]byte, error), func(), error) {
	s := r.table.Snapshot()
	return func() ([]byte, error) { chunk, _ := s.Next(); return chunk, nil }, s.Close, nil
}

func (r *reader) Restore(next func() ([]byte, error)) error {
	restorer := lock.NewRestorer()
	for {
		chunk, err := next()
		if err != nil {
			return err
		}
		if chunk == nil {
			break
		}
		if err := restorer.Write(chunk); err != nil {
			return err
		}
	}
	table, err := restorer.Table()
	r.table = table
	return err
}

// same kills a node, as far as its directory can tell, and compares its table with
// what is read then.
func (d *durable) same() {
	d.t.Helper()
	acknowledged := d.past.entries()
	read := after(d.t, d.killed())
	if !d.past.has(read.Hash(), acknowledged, time.Minute) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.t.Errorf("before:\n%s\nafter:\n%s", d.table.Describe(), read.Describe())
	}
	if err := read.Check(); err != nil {
		d.t.Error(err)
	}
}

// A random history is the same before and after a restart, in the middle and at its
// end, from the log alone and from a snapshot and the log behind it.
func TestHistorySurvives(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			d := openDurable(t, t.TempDir())
			h := &historian{durable: d, random: rand.New(rand.NewPCG(seed, 1)), links: map[byte]*Link{}, seqs: map[byte]uint64{}}
			for i := range 400 {
				h.step()
				if i == 150 && seed%2 == 1 {
					if err := d.journal.Snapshot(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if i%100 == 99 {
					d.same()
				}
			}
		})
	}
}

// historian makes history: clients that come and go, hold and wait.
type historian struct {
	*durable
	random *rand.Rand
	links  map[byte]*Link
	seqs   map[byte]uint64
	held   []lock.Outcome
	names  []string
}

func (h *historian) step() {
	h.t.Helper()
	secret := byte(1 + h.random.IntN(12))
	l := h.links[secret]
	if l == nil || l.Reason() != nil {
		h.links[secret], h.seqs[secret] = h.linkAs(&lock.Open{
			Secret: lock.SecretHash{secret}, OnEnd: lock.OnEnd(secret % 4), TTL: lock.Duration(2+secret) * lock.Second,
		}), 0
		return
	}
	switch h.random.IntN(10) {
	case 0:
		h.Advance(time.Duration(h.random.IntN(5000)) * time.Millisecond)
	case 1:
		l.Detach(0, secret%2 == 0)
		delete(h.links, secret)
	case 2, 3:
		if len(h.held) > 0 {
			i := h.random.IntN(len(h.held))
			h.call(&lock.Release{Hold: lock.Hold{Name: h.names[i], Key: h.held[i].Key}})
			h.held, h.names = slices.Delete(h.held, i, i+1), slices.Delete(h.names, i, i+1)
		}
	default:
		h.acquire(l, secret)
	}
}

// acquire asks for a lock or two, and waits for them or not.
func (h *historian) acquire(l *Link, secret byte) {
	h.t.Helper()
	h.seqs[secret]++
	name := fmt.Sprint("lock ", h.random.IntN(9))
	a := &lock.Acquire{
		Caller: caller(l, uint32(h.seqs[secret]), 1), Items: []lock.Item{{Name: name, Size: 2}},
		Lease: lock.Duration(h.random.IntN(20)) * lock.Second, Note: &lock.Note{Reason: "history"},
	}
	if h.random.IntN(2) == 0 {
		a.Wait = lock.Duration(h.random.IntN(30)) * lock.Second
	}
	if h.random.IntN(4) == 0 {
		a.Items = append(a.Items, lock.Item{Name: name + " too", Size: 2})
	}
	for _, n := range h.submit(l, a) {
		if n.Kind == Answer && n.Outcome.Code == lock.OK {
			h.held, h.names = append(h.held, n.Outcome), append(h.names, name)
		}
	}
}

// A process is killed. Native sessions come back with their holds and places; the
// holds of clients of the first protocol stay outside sessions, their waits do not;
// tokens grow; time stood still.
func TestRestart(t *testing.T) {
	d := openDurable(t, t.TempDir())
	v1 := d.linkAs(&lock.Open{Secret: lock.SecretHash{1}, OnEnd: lock.OnEndAlways})
	holder, waiter := d.link(2), d.link(3)
	kept := d.house.acquire(v1, 1, "of v1")
	own := d.house.acquire(holder, 1, "native")
	d.submit(v1, queue(v1, 2, 1, "native"))
	d.submit(waiter, queue(waiter, 1, 1, "native"))
	before := d.now()

	d = openDurable(t, d.killed())
	if now := d.now(); now < before || now > before+lock.Time(lock.Second) {
		t.Errorf("the time was %v, and is %v", before, now)
	}
	view, _, err := d.Lookup(t.Context(), "of v1")
	if err != nil || len(view.Holders) != 1 || view.Holders[0].Session != 0 ||
		view.Holders[0].LeaseLeft > 10*lock.Minute || view.Holders[0].LeaseLeft < 9*lock.Minute {
		t.Errorf("of v1: %+v, %v", view.Holders, err)
	}
	if o := d.call(&lock.Renew{Hold: lock.Hold{Name: "of v1", Key: kept.Key}, Lease: lock.Minute}); o.Code != lock.OK {
		t.Errorf("renewed with its key: code %d", o.Code)
	}
	if view, _, _ = d.Lookup(t.Context(), "native"); len(view.Waiters) != 1 || len(view.Holders) != 1 {
		t.Fatalf("native: %s", view)
	}
	holder, waiter = d.resumed(holder, 2, own.Token), d.resumed(waiter, 3)
	d.submit(holder, release(holder, 1, 2, "native", own.Token))
	got := d.await(waiter)
	if len(got) != 1 || got[0].Outcome.Code != lock.OK || got[0].Outcome.Token <= own.Token {
		t.Errorf("the waiter got %+v", got)
	}
	if o := d.call(&lock.Release{Hold: lock.Hold{Name: "of v1", Key: kept.Key}}); o.Code != lock.OK {
		t.Errorf("released with its key: code %d", o.Code)
	}
}

func (d *durable) now() lock.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.table.Now()
}

// resumed resumes the session of a link of an earlier life, which must still have
// these tokens.
func (d *durable) resumed(l *Link, secret byte, tokens ...lock.Token) *Link {
	d.t.Helper()
	again, o, err := d.Resume(context.Background(), &lock.Resume{Session: l.Session(), Secret: lock.SecretHash{secret}})
	if err != nil || o.Code != lock.OK || !slices.Equal(o.Alive.Tokens, tokens) {
		d.t.Fatalf("resume: code %d, %+v, %v", o.Code, o.Alive, err)
	}
	return again
}

// A process ends in order. It is the same for clients of the first protocol, and
// nothing is worse than after a kill.
func TestEndInOrder(t *testing.T) {
	d := openDurable(t, t.TempDir())
	v1 := d.linkAs(&lock.Open{Secret: lock.SecretHash{1}, OnEnd: lock.OnEndAlways})
	d.house.acquire(v1, 1, "of v1")
	if err := d.DisownBound(t.Context()); err != nil {
		t.Fatal(err)
	}
	v1.Detach(0, true)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = openDurable(t, d.dir)
	if view, _, err := d.Lookup(t.Context(), "of v1"); err != nil || len(view.Holders) != 1 || view.Holders[0].LeaseLeft < 9*lock.Minute {
		t.Errorf("of v1: %s, %v", view, err)
	}
}

// BenchmarkRestart measures how long it takes until a node is ready that holds
// 100,000 locks, after a kill and after an end in order.
func BenchmarkRestart(b *testing.B) {
	for _, name := range []string{"killed", "ended"} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			var j *raftlog.Journal
			n, err := Open(Config{}, raftlog.Opener(raftlog.Config{Dir: dir}, &j))
			if err != nil {
				b.Fatal(err)
			}
			l, _, err := n.Attach(context.Background(), &lock.Open{Secret: lock.SecretHash{1}})
			if err != nil {
				b.Fatal(err)
			}
			for i := range 100_000 / 500 {
				var commands []lock.Command
				for k := range 500 {
					commands = append(commands, ask(l, uint32(k), uint64(i+1), fmt.Sprintf("a lock with a name %d", i*500+k)))
				}
				if err := l.Submit(context.Background(), commands); err != nil {
					b.Fatal(err)
				}
				l.Take(nil)
			}
			from := filepath.Join(b.TempDir(), "killed")
			if err := os.CopyFS(from, os.DirFS(dir)); err != nil {
				b.Fatal(err)
			}
			if err := n.Close(); err != nil {
				b.Fatal(err)
			}
			if name == "ended" {
				from = dir
			}
			for b.Loop() {
				b.StopTimer()
				here := filepath.Join(b.TempDir(), "data")
				if err := os.CopyFS(here, os.DirFS(from)); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				n, err := Open(Config{}, raftlog.Opener(raftlog.Config{Dir: here}, &j))
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if got := n.Counts().Holds; got != 100_000 {
					b.Fatalf("%d holds", got)
				}
				if err := n.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
