package raftlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// post is a courier in memory. It loses the questions of a member that is cut off,
// and of others to it; answers on their way are lost as well.
type post struct {
	mu       sync.Mutex
	journals map[string]*Journal
	cut      map[string]bool
	asked    int
}

func (p *post) connect(name string, j *Journal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.journals[name] = j
}

func (p *post) sever(name string, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut[name] = cut
}

func (p *post) reaches(from, to string) *Journal {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut[from] || p.cut[to] {
		return nil
	}
	return p.journals[to]
}

// postOf is the post as one member has it.
type postOf struct {
	*post
	from string
}

func (p postOf) Ask(ctx context.Context, of Peer, question []byte) ([]byte, error) {
	j := p.reaches(p.from, of.Address)
	if j == nil {
		return nil, refused(errors.New("cut off"))
	}
	p.mu.Lock()
	p.asked++
	p.mu.Unlock()
	answered := make(chan []byte, 1)
	go func() { answered <- j.Serve(context.WithoutCancel(ctx), slices.Clone(question)) }()
	select {
	case a := <-answered:
		if p.reaches(p.from, of.Address) == nil {
			return nil, errors.New("the answer was lost")
		}
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// follower returns a member that does not lead.
func (c *cluster) follower() (string, *Journal) {
	leader, _, _ := c.leader("")
	for _, name := range c.names {
		if name != leader && c.journals[name] != nil {
			return name, c.journals[name]
		}
	}
	c.t.Fatal("there is nobody but the leader")
	return "", nil
}

// What is proposed at any member is in one order everywhere, and is applied where it
// was proposed as the very batch that was given, before Propose returns.
func TestForwarding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		c.leader("")
		const each = 20
		var wait sync.WaitGroup
		for _, name := range c.names {
			wait.Go(func() {
				for i := range each {
					text := fmt.Sprintf("%s%d", name, i)
					if err := c.journals[name].Propose(t.Context(), line(text)); err != nil {
						t.Errorf("%s: %v", text, err)
					} else if !slices.Contains(c.machines[name].contents(), text) {
						t.Errorf("%s is acknowledged at %s before it is applied there", text, name)
					}
				}
			})
		}
		wait.Wait()
		c.settled(3 * each)
		// Each batch but those of the leader came as it was given exactly once.
		for _, name := range c.names {
			c.journals[name].sent.mu.Lock()
			if n := len(c.journals[name].sent.pending); n != 0 {
				t.Errorf("%s still waits for %d batches", name, n)
			}
			c.journals[name].sent.mu.Unlock()
		}
	})
}

// A barrier at a member that follows shows everything that was acknowledged before it
// elsewhere.
func TestBarrierAtFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j := c.follower()
		_, leader, _ := c.leader("")
		for i := range 20 {
			text := fmt.Sprint(i)
			if err := leader.Propose(t.Context(), line(text)); err != nil {
				t.Fatal(err)
			}
			if err := j.Barrier(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(c.machines[name].contents(), text) {
				t.Fatalf("%s was acknowledged before the barrier at %s, and is not there", text, name)
			}
		}
	})
}

// A question is answered by who leads or not at all: it is never passed on, however
// wrong the member that asks is about who leads.
func TestQuestionsDoNotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j := c.follower()
		question := binary.LittleEndian.AppendUint64([]byte{askPropose}, 1)
		question = append(binary.LittleEndian.AppendUint64(question, 2), "looped"...)
		p := c.post
		p.mu.Lock()
		before := p.asked
		p.mu.Unlock()
		_, err := readAnswer(j.Serve(t.Context(), question))
		if !elsewhere(err) {
			t.Errorf("%s follows and answers %v", name, err)
		}
		if p.asked != before {
			t.Errorf("%s has asked others %d times", name, p.asked-before)
		}
		for n, m := range c.machines {
			if slices.Contains(m.contents(), "looped") {
				t.Errorf("%s has applied it", n)
			}
		}
	})
}

// Nobody waits for a lead for long: a member without a majority refuses within the
// time of an election, and at once after that.
func TestNoMajority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j := c.follower()
		c.isolate(name)
		start := time.Now()
		if err := j.Propose(t.Context(), line("nowhere")); !errors.Is(err, journal.ErrRefused) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > 2*j.patient() {
			t.Errorf("it took %v", took)
		}
		<-time.After(2 * j.patient())
		start = time.Now()
		for _, err := range []error{j.Propose(t.Context(), line("nowhere")), j.Barrier(t.Context())} {
			if !errors.Is(err, journal.ErrRefused) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("a member that has been alone for long takes %v to refuse", took)
		}
		c.heal(name)
		for j.Barrier(t.Context()) != nil {
			<-time.After(20 * time.Millisecond)
		}
		if err := j.Propose(t.Context(), line("here")); err != nil {
			t.Error(err)
		}
	})
}

// The leader is cut off again and again, while all members propose: what was
// acknowledged is everywhere once, what was refused nowhere, and nothing twice.
func TestForwardingThroughPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		ctx, stop := context.WithCancel(t.Context())
		var mu sync.Mutex
		var wait sync.WaitGroup
		done, refusals := map[string]bool{}, map[string]bool{}
		for _, name := range c.names {
			wait.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					text := fmt.Sprintf("%s%d", name, i)
					err := c.journals[name].Propose(t.Context(), line(text)) //nolint:contextcheck // what is under way comes to its end
					mu.Lock()
					switch {
					case err == nil:
						done[text] = true
					case errors.Is(err, journal.ErrRefused):
						refusals[text] = true
					case !errors.Is(err, journal.ErrUnknown):
						t.Errorf("%s: %v", text, err)
					}
					mu.Unlock()
					<-time.After(30 * time.Millisecond)
				}
			})
		}
		for range 30 {
			name, _, _ := c.leader("")
			c.isolate(name)
			c.leader(name)
			<-time.After(300 * time.Millisecond)
			c.heal(name)
			<-time.After(300 * time.Millisecond)
		}
		stop()
		wait.Wait()
		c.leader("")
		for _, name := range c.names {
			for c.journals[name].Barrier(t.Context()) != nil {
				<-time.After(20 * time.Millisecond)
			}
			count := map[string]int{}
			for _, l := range c.machines[name].contents() {
				count[l]++
				if refusals[l] || count[l] > 1 {
					t.Errorf("%s has %q %d times; refused: %v", name, l, count[l], refusals[l])
				}
			}
			for l := range done {
				if count[l] != 1 {
					t.Errorf("%s was acknowledged and is %d times at %s", l, count[l], name)
				}
			}
		}
		if len(done) < 500 {
			t.Errorf("only %d lines were acknowledged", len(done))
		}
	})
}

// A batch that a snapshot has overtaken is unknown to the member that proposed it.
func TestOvertaken(t *testing.T) {
	s := newSent()
	p := newProposal(line("overtaken"))
	s.add(p)
	s.fail(unknown(errOvertaken))
	if err := <-p.done; !errors.Is(err, journal.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if s.take(p.from) != nil {
		t.Error("it is still waited for")
	}
}

// What an answer says of an error is that error, not that and what kind it is once more.
func TestAnswersKeepErrors(t *testing.T) {
	full := errors.New("the disk is full")
	for _, err := range []error{
		refused(full), refused(refused(full)), unknown(full), refused(fmt.Errorf("write: %w", full)), refused(&movedError{Peer{"b", "h2"}}),
	} {
		_, got := readAnswer(writeAnswer(err, 7))
		if got == nil || got.Error() != err.Error() {
			t.Errorf("%v became %v", err, got)
		}
		for _, kind := range []error{journal.ErrRefused, journal.ErrUnknown, errElsewhere} {
			if errors.Is(got, kind) != errors.Is(err, kind) {
				t.Errorf("%v became %v", err, got)
			}
		}
	}
}

// Batches whose callers have gone are not kept for ever.
func TestLeftAreForgotten(t *testing.T) {
	s := newSent()
	for range 2 * maxLeft {
		p := newProposal(line("left"))
		s.add(p)
		s.leave(p)
	}
	if n := len(s.pending); n != maxLeft {
		t.Errorf("%d are kept", n)
	}
}

// A member is added to one that was alone, gets a vote when it has everything, and
// goes again; the lead is handed over without a failure.
func TestJoinTransferRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, "a")
		defer c.close()
		c.open("a")
		_, a, _ := c.leader("")
		if err := a.Propose(t.Context(), line("first")); err != nil {
			t.Fatal(err)
		}
		c.join = true
		for _, name := range []string{"b", "c"} {
			c.names = append(c.names, name)
			c.dirs[name] = fastDir(t)
			c.open(name)
			// Whoever follows sends it on to who leads.
			if err := c.journals[name].Join(t.Context(), Peer{Address: "a"}); err != nil {
				t.Fatal(err)
			}
			if err := c.journals[name].Join(t.Context(), Peer{Address: "a"}); err != nil {
				t.Errorf("again: %v", err)
			}
		}
		for _, m := range a.Members() {
			if !m.Votes {
				t.Errorf("%s has no vote", m.Member)
			}
		}
		c.settled(1)
		if err := c.journals["c"].Transfer(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		if name, _, _ := c.leader("a"); name != "b" {
			t.Errorf("%s leads", name)
		}
		if err := a.Propose(t.Context(), line("second")); err != nil {
			t.Error(err)
		}
		const nobody = `refused: there is no member "nobody": see the list of the members`
		if err := a.Remove(t.Context(), "nobody"); !errors.Is(err, journal.ErrRefused) || err.Error() != nobody {
			t.Errorf("got %v", err)
		}
		if err := a.Remove(t.Context(), "c"); err != nil {
			t.Error(err)
		}
		if _, is := a.member("c"); is {
			t.Error("c is still a member")
		}
		if err := c.journals["b"].Yield(); err != nil {
			t.Error(err)
		}
		c.leader("b")
	})
}
