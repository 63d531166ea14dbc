package sessionapi_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// fakeNode is a node that does what a test tells it: for what the real one, in
// memory, never does, such as taking long.
type fakeNode struct {
	ttl lock.Duration
	// submit is what its link does with a batch.
	submit func(l *fakeLink, commands []lock.Command) error
	// attachErr is what attaching fails with.
	attachErr error
	links     chan *fakeLink
}

func (n *fakeNode) Attach(context.Context, *lock.Open) (sessionapi.Link, lock.Outcome, error) {
	if n.attachErr != nil {
		return nil, lock.Outcome{}, n.attachErr
	}
	l := &fakeLink{node: n, ended: make(chan struct{}), confirms: true, rouse: func() {}}
	n.links <- l
	return l, lock.Outcome{Session: 1, Attach: 1, TTL: n.ttl}, nil
}

func (n *fakeNode) Resume(ctx context.Context, _ *lock.Resume) (sessionapi.Link, lock.Outcome, error) {
	return n.Attach(ctx, nil)
}

func (n *fakeNode) NewRound() sessionapi.Round { return nil } // there are no pollers

type fakeLink struct {
	node  *fakeNode
	ended chan struct{}

	mu       sync.Mutex
	rouse    func()
	box      []sessionapi.Notice
	batches  [][]lock.Command
	confirms bool
	ends     []sessionapi.Notice // of what ends right before the next confirmation
	detached []time.Duration     // how long the client had been silent
	byClient bool
}

func (l *fakeLink) Session() lock.SessionNumber      { return 1 }
func (l *fakeLink) Number() uint64                   { return 1 }
func (l *fakeLink) Ended() <-chan struct{}           { return l.ended }
func (l *fakeLink) Why() (lock.Code, lock.EndReason) { return lock.MemberEnded, lock.NotEnded }

func (l *fakeLink) Submit(ctx context.Context, commands []lock.Command) error {
	l.mu.Lock()
	l.batches = append(l.batches, append([]lock.Command(nil), commands...))
	l.mu.Unlock()
	return l.node.submit(l, commands)
}

func (l *fakeLink) Notify(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rouse = f
}

// put adds a notice and tells of it.
func (l *fakeLink) put(n sessionapi.Notice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.box = append(l.box, n)
	l.rouse()
}

func (l *fakeLink) Take(each func(*sessionapi.Notice)) {
	l.mu.Lock()
	box := l.box
	l.box = nil
	l.mu.Unlock()
	for i := range box {
		each(&box[i])
	}
}

func (l *fakeLink) Confirm() (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.box, l.ends = append(l.box, l.ends...), nil
	return time.Duration(l.node.ttl) * time.Microsecond * 100 / 112, l.confirms
}

func (l *fakeLink) setConfirms(ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirms = ok
}

func (l *fakeLink) Detach(silent time.Duration, byClient bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.detached) == 0 {
		close(l.ended)
		l.byClient = byClient
		l.rouse()
	}
	l.detached = append(l.detached, silent)
}

// endBeforeConfirming lets a hold end in the moment before the next confirmation.
func (l *fakeLink) endBeforeConfirming(n sessionapi.Notice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, n)
}

// sizes are how many commands came in each batch.
func (l *fakeLink) sizes() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sizes []int
	for _, b := range l.batches {
		sizes = append(sizes, len(b))
	}
	return sizes
}

// answerAll answers every command with an outcome.
func (l *fakeLink) answerAll(commands []lock.Command, o lock.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range commands {
		switch c := c.(type) {
		case *lock.Acquire:
			l.box = append(l.box, sessionapi.Notice{Slot: c.Slot, Seq: c.Seq, Outcome: &o})
		case *lock.Release:
			l.box = append(l.box, sessionapi.Notice{Slot: c.Slot, Seq: c.Seq, Outcome: &o})
		case *lock.Renew:
			l.box = append(l.box, sessionapi.Notice{Slot: c.Slot, Seq: c.Seq, Outcome: &o})
		}
	}
}

// prompt is a submit that grants everything.
func prompt(l *fakeLink, commands []lock.Command) error {
	l.answerAll(commands, lock.Outcome{Token: 1, Key: lock.Key{1}, AtOnce: true})
	return nil
}

// withFake runs a test on fake time with a client whose session a fake node has.
func withFake(t *testing.T, n *fakeNode, config sessionapi.Config, test func(t *testing.T, c *client, l *fakeLink)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n.links = make(chan *fakeLink, 1)
		if n.ttl == 0 {
			n.ttl = 10 * lock.Second
		}
		config.Node = n
		s := sessionapi.New(config)
		defer s.Close()
		c := dial(t, s)
		c.open()
		test(t, c, <-n.links)
	})
}

var errBroken = errors.New("the disk is gone")

func TestKeepAlivesAreAnsweredWhileTheNodeIsSlow(t *testing.T) {
	slow := &fakeNode{submit: func(l *fakeLink, commands []lock.Command) error {
		<-time.After(8 * time.Second)
		return prompt(l, commands)
	}}
	withFake(t, slow, sessionapi.Config{}, func(t *testing.T, c *client, l *fakeLink) {
		c.ask(acquire(0, 1, "x", 0))
		answers := uint32(0)
		for n := uint64(1); answers < 7; n++ {
			<-time.After(1900 * time.Millisecond)
			c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: n}})
			if n < 4 { // what is asked meanwhile goes to the node together
				c.ask(acquire(uint32(n*2-1), 1, "x", 0))
				c.ask(acquire(uint32(n*2), 1, "x", 0))
			}
			start := time.Now()
			for confirmed := false; !confirmed; {
				f := c.next()
				for _, a := range f.GetAnswers() {
					if a.GetSlot() != answers {
						t.Errorf("slot %d is answered, want %d", a.GetSlot(), answers)
					}
					answers++
				}
				k := f.GetKeepAlive()
				if confirmed = k != nil; confirmed && (k.GetNumber() != n || k.GetValidForUs() != 8_928_571) {
					t.Errorf("keep-alive %d is answered by %v", n, k)
				}
			}
			if took := time.Since(start); took != 0 {
				t.Errorf("keep-alive %d is answered after %v", n, took)
			}
		}
		if got := l.sizes(); len(got) != 2 || got[0] != 1 || got[1] != 6 {
			t.Errorf("batches of %v commands, want 1 and 6", got)
		}
	})
}

func TestAnswersWhenTheNodeFails(t *testing.T) {
	tests := []struct {
		name      string
		immediate bool
		err       error
		code      ldlmv2.Code
		ending    ldlmv2.Ending
	}{
		{"refused", true, fmt.Errorf("%w: %w", sessionapi.ErrRefused, errBroken), ldlmv2.Code_CODE_UNAVAILABLE, ldlmv2.Ending_ENDING_REFUSED},
		{"refused, later", false, fmt.Errorf("%w: %w", sessionapi.ErrRefused, errBroken), ldlmv2.Code_CODE_UNAVAILABLE, ldlmv2.Ending_ENDING_REFUSED},
		{"full disk", true, fmt.Errorf("%w: %w", sessionapi.ErrRefused, journal.ErrDiskFull), ldlmv2.Code_CODE_UNAVAILABLE, ldlmv2.Ending_ENDING_REFUSED},
		{"unknown", true, errBroken, ldlmv2.Code_CODE_UNKNOWN_OUTCOME, ldlmv2.Ending_ENDING_UNKNOWN},
		{"unknown, later", false, errBroken, ldlmv2.Code_CODE_UNKNOWN_OUTCOME, ldlmv2.Ending_ENDING_UNKNOWN},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fails := true
			n := &fakeNode{submit: func(l *fakeLink, commands []lock.Command) error {
				if fails {
					return tt.err
				}
				return prompt(l, commands)
			}}
			withFake(t, n, sessionapi.Config{Immediate: tt.immediate}, func(t *testing.T, c *client, l *fakeLink) {
				ops := everyOp()
				c.ask(ops...)
				answers := c.next().GetAnswers()
				if len(answers) != len(ops) {
					t.Fatalf("%d answers to %d operations", len(answers), len(ops))
				}
				for i, a := range answers {
					if a.GetCode() != tt.code || a.GetStatus().GetEnding() != tt.ending || a.GetSlot() != uint32(i) || a.GetSeq() != 1 {
						t.Errorf("operation %d is answered by %v", i, a)
					}
				}
				fails = false
				c.gets(ok, acquire(0, 1, "x", 0))
				c.send(&ldlmv2.ClientFrame{Close: &ldlmv2.CloseSession{}})
			})
		})
	}
}

// everyOp returns an operation of each kind, one that says nothing included.
func everyOp() []*ldlmv2.Op {
	return []*ldlmv2.Op{
		acquire(0, 1, "x", 0),
		{Slot: 1, Seq: 1},
		{Slot: 2, Seq: 1, AcquireAll: &ldlmv2.AcquireAll{Items: []*ldlmv2.Item{{Name: "x"}}, Note: &ldlmv2.Note{Labels: map[string]string{"a": "b"}}}},
		release(3, 1, "x", 1),
		{Slot: 4, Seq: 1, Renew: &ldlmv2.Renew{Name: "x"}},
		{Slot: 5, Seq: 1, Downgrade: &ldlmv2.Downgrade{Name: "x"}},
		{Slot: 6, Seq: 1, SetValue: &ldlmv2.SetValue{Name: "x"}},
		{Slot: 7, Seq: 1, Cancel: &ldlmv2.Cancel{}},
	}
}

func TestAFarewellThatTheNodeCannotTake(t *testing.T) {
	n := &fakeNode{submit: func(*fakeLink, []lock.Command) error { return sessionapi.ErrRefused }}
	withFake(t, n, sessionapi.Config{Immediate: true}, func(t *testing.T, c *client, l *fakeLink) {
		c.send(&ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(0, 1, "x", 0)}, Close: &ldlmv2.CloseSession{}})
		if a := c.answer(); a.GetCode() != ldlmv2.Code_CODE_UNAVAILABLE {
			t.Errorf("answered by %v", a)
		}
		if s := c.end(); s.GetCode() != ldlmv2.Code_CODE_UNAVAILABLE {
			t.Errorf("sent away with %v", s)
		}
	})
}

// A node that has failed may hold whoever submits for ever. Neither the connection nor the
// server waits for it, and the client is told.
func TestNobodyWaitsForWhatANodeHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held, failed := make(chan struct{}), make(chan struct{})
		n := &fakeNode{ttl: 60 * lock.Second, links: make(chan *fakeLink, 1), submit: func(*fakeLink, []lock.Command) error {
			<-held
			return errBroken
		}}
		s := sessionapi.New(sessionapi.Config{Node: n, Failed: failed})
		c := dial(t, s)
		c.open()
		l := <-n.links
		c.ask(acquire(0, 1, "x", 0))
		<-time.After(time.Second)
		c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 1}})
		if k := c.next().GetKeepAlive(); k.GetNumber() != 1 {
			t.Errorf("the keep-alive is answered by %v", k)
		}
		close(failed)
		l.Detach(0, false) // which ends the link
		if code := c.end().GetCode(); code != ldlmv2.Code_CODE_UNAVAILABLE {
			t.Errorf("sent away with %v", code)
		}
		s.Close()
		close(held)
	})
}

func TestASlowSubmitIsGivenUp(t *testing.T) {
	n := &fakeNode{}
	synctest.Test(t, func(t *testing.T) {
		n.links, n.ttl = make(chan *fakeLink, 1), 60*lock.Second
		s := sessionapi.New(sessionapi.Config{Node: ctxNode{n}})
		defer s.Close()
		c := dial(t, s)
		c.open()
		c.ask(acquire(0, 1, "x", 0))
		start := time.Now()
		if a := c.answer(); a.GetCode() != ldlmv2.Code_CODE_UNKNOWN_OUTCOME {
			t.Errorf("answered by %v", a)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("given up after %v, want 10s", took)
		}
	})
}

// ctxNode is a node whose links submit until the context ends.
type ctxNode struct{ *fakeNode }

func (n ctxNode) Attach(ctx context.Context, o *lock.Open) (sessionapi.Link, lock.Outcome, error) {
	l, out, err := n.fakeNode.Attach(ctx, o)
	return ctxLink{l.(*fakeLink)}, out, err
}

type ctxLink struct{ *fakeLink }

func (l ctxLink) Submit(ctx context.Context, _ []lock.Command) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAttachingFails(t *testing.T) {
	for err, want := range map[error]ldlmv2.Code{
		sessionapi.ErrRefused: ldlmv2.Code_CODE_UNAVAILABLE, errBroken: ldlmv2.Code_CODE_UNKNOWN_OUTCOME,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := sessionapi.New(sessionapi.Config{Node: &fakeNode{attachErr: err}})
			defer s.Close()
			c := dial(t, s)
			c.send(&ldlmv2.ClientFrame{Hello: c.hello()})
			if st := c.end(); st.GetCode() != want {
				t.Errorf("after %v sent away with %v, want %v", err, st, want)
			}
			if got := <-c.served; !errors.Is(got, err) {
				t.Errorf("Serve returned %v, want %v", got, err)
			}
		})
	}
}

func TestTheServersEndEndsAttaching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sessionapi.New(sessionapi.Config{Node: stuckNode{}})
		c := dial(t, s)
		c.send(&ldlmv2.ClientFrame{Hello: c.hello()})
		synctest.Wait()
		start := time.Now()
		s.Close()
		if took := time.Since(start); took != 0 {
			t.Errorf("closing took %v", took)
		}
		if err := <-c.served; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// stuckNode is a node that cannot attach anything.
type stuckNode struct{}

func (stuckNode) Attach(ctx context.Context, _ *lock.Open) (sessionapi.Link, lock.Outcome, error) {
	<-ctx.Done()
	return nil, lock.Outcome{}, ctx.Err()
}

func (n stuckNode) Resume(ctx context.Context, _ *lock.Resume) (sessionapi.Link, lock.Outcome, error) {
	return n.Attach(ctx, nil)
}

func (stuckNode) NewRound() sessionapi.Round { return nil } // there are no pollers

func TestAKeepAliveThatMayNotBeConfirmed(t *testing.T) {
	withFake(t, &fakeNode{submit: prompt}, sessionapi.Config{}, func(t *testing.T, c *client, l *fakeLink) {
		l.setConfirms(false)
		<-time.After(2 * time.Second)
		c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 1}})
		c.quiet()
		l.setConfirms(true)
		c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 2}})
		if k := c.next().GetKeepAlive(); k.GetNumber() != 2 {
			t.Errorf("confirmed %v", k)
		}
		l.setConfirms(false)
		<-time.After(time.Second)
		c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 3}})
		c.cut()
		// What was not confirmed is no sign of life.
		if got := l.detached[0]; got < time.Second || got >= 2*time.Second {
			t.Errorf("detached as silent for %v, want 1s", got)
		}
		if !l.byClient {
			t.Error("the end is not put down to the client")
		}
	})
}

func TestFramesThatCameTogetherGoTogether(t *testing.T) {
	for _, immediate := range []bool{true, false} {
		withFake(t, &fakeNode{submit: prompt}, sessionapi.Config{Immediate: immediate}, func(t *testing.T, c *client, l *fakeLink) {
			var together []byte
			for i := range uint32(10) {
				together = append(together, frame(&ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(i, 1, "x", 0), acquire(i+10, 1, "x", 0)}})...)
			}
			together = append(together, frame(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 1}})...)
			together = append(together, frame(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 2}})...)
			if err := c.conn.WriteFrames(together); err != nil {
				t.Fatal(err)
			}
			answers, confirmed := 0, uint64(0)
			for answers < 20 || confirmed == 0 {
				f := c.next()
				answers += len(f.GetAnswers())
				confirmed = max(confirmed, f.GetKeepAlive().GetNumber())
				if immediate && answers != 20 {
					t.Errorf("%d answers in the first frame, want 20", answers)
				}
			}
			if confirmed != 2 {
				t.Errorf("keep-alive %d is confirmed, want the newest", confirmed)
			}
			if got := l.sizes(); len(got) != 1 || got[0] != 20 {
				t.Errorf("batches of %v commands, want one of 20", got)
			}
			c.quiet()
		})
	}
}

func TestALargeFrameGoesToTheNodeInPieces(t *testing.T) {
	for _, immediate := range []bool{true, false} {
		withFake(t, &fakeNode{submit: prompt}, sessionapi.Config{Immediate: immediate}, func(t *testing.T, c *client, l *fakeLink) {
			const many = 5000
			var ops []*ldlmv2.Op
			for i := range uint32(many) {
				ops = append(ops, acquire(i, 1, "x", 0))
			}
			c.ask(ops...)
			for answers := 0; answers < many; {
				answers += len(c.next().GetAnswers())
			}
			for _, n := range l.sizes() {
				if n > 1024 {
					t.Errorf("a batch of %d commands", n)
				}
			}
		})
	}
}

func TestManyAnswersAreCutIntoFrames(t *testing.T) {
	withFake(t, &fakeNode{submit: prompt}, sessionapi.Config{}, func(t *testing.T, c *client, l *fakeLink) {
		const many = 20_000
		l.mu.Lock()
		for i := range uint32(many) {
			l.box = append(l.box, sessionapi.Notice{Slot: i, Seq: 1, Outcome: &lock.Outcome{Code: lock.SessionLost}})
		}
		l.mu.Unlock()
		l.put(sessionapi.Notice{Kind: sessionapi.Lost, Name: "x", Token: 5})
		answers, frames := 0, 0
		for lost := false; !lost; frames++ {
			f := c.next()
			answers += len(f.GetAnswers())
			lost = len(f.GetLost()) > 0
			if len(f.GetAnswers()) > 1000 {
				t.Fatalf("%d answers in one frame", len(f.GetAnswers()))
			}
		}
		if answers != many || frames < 20 {
			t.Errorf("%d answers in %d frames", answers, frames)
		}
	})
}

func TestWhoNeverReadsIsCut(t *testing.T) {
	for _, immediate := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := &fakeNode{submit: prompt, links: make(chan *fakeLink, 1), ttl: 60 * lock.Second}
			s := sessionapi.New(sessionapi.Config{Node: n, Immediate: immediate})
			defer s.Close()
			c := dial(t, s)
			c.open()
			l := <-n.links
			c.stopReading()
			start, sent := time.Now(), 0
			ops := make([]*ldlmv2.Op, 100)
			for {
				for i := range ops {
					ops[i] = acquire(uint32(sent%60_000), uint64(1+sent/60_000), "x", 0)
					sent++
				}
				if c.conn.WriteClient(&ldlmv2.ClientFrame{Ops: ops}) != nil || sent > 1_000_000 {
					break
				}
			}
			if took := time.Since(start); took < writeTimeout || took > 2*writeTimeout {
				t.Errorf("cut after %v, want after %v", took, writeTimeout)
			}
			if sent > 1_000_000 {
				t.Fatalf("%d operations were taken from who never reads", sent)
			}
			<-c.served
			if l.byClient {
				t.Error("the end is put down to the client")
			}
		})
	}
}
