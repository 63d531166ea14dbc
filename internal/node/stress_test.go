package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// Many callers on links and by Call, some of whom give up, watched by readers
// that live and readers that do not: no lock has two holders, nobody is
// forgotten, and nothing is left over.
func TestEverybodyAtOnce(t *testing.T) {
	n, err := Open(Config{CollectEvery: time.Millisecond, CollectIdle: time.Millisecond}, memory.Open)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	s := &stress{t: t, node: n}
	ctx := context.Background()
	s.watch(false)
	s.watch(true)
	s.watch(true)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { s.overLink(ctx, byte(i+1)) })
		wg.Go(func() { s.byCalls(ctx, byte(i+101)) })
	}
	wg.Wait()
	if s.grants.Load() == 0 {
		t.Error("nothing was granted")
	}
	if c := n.Counts(); c.Holds != 0 || c.Waiters != 0 || c.Sessions != 0 {
		t.Errorf("left over: %+v", c)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.waiters) != 0 || len(n.links) != 0 {
		t.Errorf("left over: %d waiters, %d links", len(n.waiters), len(n.links))
	}
	if err := n.table.Check(); err != nil {
		t.Error(err)
	}
}

const stressRounds = 200

type stress struct {
	t      *testing.T
	node   *Node
	inside [3]atomic.Int32 // holders of each lock, by their own account
	grants atomic.Int64
}

// watch subscribes, and reads if the watcher is to live.
func (s *stress) watch(lives bool) {
	w, err := s.node.Watch(WatchFilter{Prefix: "shared"}, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(w.Close)
	if lives {
		go s.read(w)
	}
}

func (s *stress) read(w *Watch) {
	for {
		if _, err := w.Next(context.Background()); err != nil {
			return // reset, if this machine is slow, or closed at the end
		}
	}
}

// hold is called with a lock, and counts its holders.
func (s *stress) hold(lock int) {
	if n := s.inside[lock].Add(1); n != 1 {
		s.t.Errorf("lock %d has %d holders", lock, n)
	}
	s.grants.Add(1)
	s.inside[lock].Add(-1)
}

func sharedName(i int) string { return fmt.Sprintf("shared%d", i) }

// overLink takes locks over connections, a new one now and then.
func (s *stress) overLink(ctx context.Context, secret byte) {
	open := &lock.Open{Secret: lock.SecretHash{secret}, OnEnd: lock.OnEndKeep}
	l, o, err := s.node.Attach(ctx, open)
	if err != nil || o.Code != lock.OK {
		s.t.Errorf("attach: code %d, %v", o.Code, err)
		return
	}
	for i := range uint64(stressRounds) {
		if i%50 == 49 {
			newer, o, err := s.node.Resume(ctx, &lock.Resume{Session: l.Session(), Secret: open.Secret})
			if err != nil || o.Code != lock.OK {
				s.t.Errorf("resume: code %d, %v", o.Code, err)
				return
			}
			l.Detach(0, true)
			l = newer
		}
		name := int(i+uint64(secret)) % len(s.inside)
		a := queue(l, 0, 2*i+1, sharedName(name))
		got := s.answerTo(ctx, l, a)
		if got.Code != lock.OK {
			s.t.Errorf("acquire: code %d", got.Code)
			return
		}
		s.hold(name)
		if _, ok := l.Confirm(); !ok {
			s.t.Error("not confirmed")
		}
		s.answerTo(ctx, l, release(l, 0, 2*i+2, sharedName(name), got.Token))
	}
	if _, err := s.node.Call(ctx, &lock.Close{Caller: unnamed(l)}); err != nil {
		s.t.Errorf("close: %v", err)
	}
	<-l.Ended()
}

// answerTo submits a command and waits for its final answer.
func (s *stress) answerTo(ctx context.Context, l *Link, c lock.Command) lock.Outcome {
	if err := l.Submit(ctx, []lock.Command{c}); err != nil {
		s.t.Errorf("submit: %v", err)
		return lock.Outcome{Code: lock.SessionLost}
	}
	want := callerOf(c)
	for {
		for _, x := range l.Take(nil) {
			if x.Kind == Answer && x.Slot == want.Slot && x.Seq == want.Seq && x.Outcome.Code != lock.Queued {
				return x.Outcome
			}
		}
		<-l.Wake()
	}
}

// byCalls takes locks by unary calls, and gives up on every third.
func (s *stress) byCalls(ctx context.Context, secret byte) {
	proof := lock.SecretHash{secret}
	o, err := s.node.Call(ctx, &lock.Open{Secret: proof, TTL: lock.Minute})
	if err != nil || o.Code != lock.OK {
		s.t.Errorf("open: code %d, %v", o.Code, err)
		return
	}
	c := lock.Caller{Session: o.Session, Proof: &proof}
	for i := range stressRounds {
		name := i % len(s.inside)
		patience, stop := context.WithCancel(ctx)
		if i%3 == 0 {
			go stop()
		}
		a := c
		a.RequestID, a.Attempt = fmt.Sprint(i), 1
		o, err := s.node.Call(patience, &lock.Acquire{
			Caller: a, Items: []lock.Item{{Name: sharedName(name)}}, Wait: lock.Forever,
		})
		stop()
		switch {
		case errors.Is(err, context.Canceled):
			continue
		case err != nil || o.Code != lock.OK:
			s.t.Errorf("acquire: code %d, %v", o.Code, err)
			return
		}
		s.hold(name)
		hold := lock.Hold{Name: sharedName(name), Key: o.Key}
		if o, err := s.node.Call(ctx, &lock.Release{Hold: hold}); err != nil || o.Code != lock.OK {
			s.t.Errorf("release: code %d, %v", o.Code, err)
		}
	}
	if _, err := s.node.Call(ctx, &lock.Close{Caller: c}); err != nil {
		s.t.Errorf("close: %v", err)
	}
}

// Close meets callers in every state; each of them comes back.
func TestCloseMeetsEverybody(t *testing.T) {
	for range 20 {
		n, err := Open(Config{}, memory.Open)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var granted atomic.Int64
		for i := range 8 {
			wg.Go(func() {
				l, _, err := n.Attach(context.Background(), &lock.Open{Secret: lock.SecretHash{byte(i + 1)}})
				for seq := uint64(1); err == nil; seq += 2 {
					var o lock.Outcome
					if o, err = n.Call(context.Background(), queue(l, 0, seq, "a")); err == nil {
						granted.Add(1)
						_, err = n.Call(context.Background(), release(l, 0, seq+1, "a", o.Token))
					}
				}
				if !errors.Is(err, ErrClosed) {
					t.Errorf("got error %v, want one that wraps %q", err, ErrClosed)
				}
				if l != nil {
					<-l.Ended()
				}
			})
		}
		for granted.Load() < 50 {
			runtime.Gosched()
		}
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		wg.Wait()
	}
}

// A batch over a link costs no allocation per command beside those of the table.
func TestSubmitAllocations(t *testing.T) {
	n, err := Open(Config{}, memory.Open)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx := context.Background()
	l, _, err := n.Attach(ctx, &lock.Open{Secret: lock.SecretHash{1}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorker(l, 64, func(i int) string { return fmt.Sprintf("lock-%011d", i) })
	got := testing.AllocsPerRun(100, func() {
		if err := w.pair(ctx); err != nil {
			t.Fatal(err)
		}
	})
	if got > 8 {
		t.Errorf("64 pairs make %v allocations, want a handful", got)
	}
}
