package raftlog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// plates is a cluster whose members have disks that forget.
type plates struct {
	*cluster
	disks map[string]*platter
	rand  *rand.Rand

	mu      sync.Mutex
	running map[string]*Journal
	told    []string // acknowledged
}

func openPlates(t *testing.T, seed uint64) *plates {
	t.Helper()
	p := &plates{
		cluster: newCluster(t, "a", "b", "c"), disks: map[string]*platter{},
		rand: rand.New(rand.NewPCG(seed, 1)), running: map[string]*Journal{},
	}
	p.complete = func(c *Config) {
		p.disks[c.Member] = newPlatter(p.rand.Uint64())
		c.fault = p.disks[c.Member].fault
	}
	for _, name := range p.names {
		p.start(name)
	}
	return p
}

func (p *plates) start(name string) {
	p.open(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[name] = p.journals[name]
}

// fail lets the power of a member fail.
func (p *plates) fail(name string) {
	p.mu.Lock()
	delete(p.running, name)
	p.mu.Unlock()
	p.disks[name].cut(p.t, p.journals[name])
	p.journals[name] = nil
}

// reach lets these members reach each other, and no other one anybody.
func (p *plates) reach(names ...string) {
	for _, from := range p.names {
		here := slices.Contains(names, from)
		p.post.sever(from, !here)
		p.networks[from].DisconnectAll()
		for _, to := range names {
			if here && to != from {
				p.networks[from].Connect(raft.ServerAddress(to), p.networks[to])
			}
		}
	}
}

// others are the members but one, in any order.
func (p *plates) others(but string) (one, two string) {
	names := slices.DeleteFunc(slices.Clone(p.names), func(n string) bool { return n == but })
	i := p.rand.IntN(2)
	return names[i], names[1-i]
}

// work proposes lines at one member until it is stopped.
func (p *plates) work(at string, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		p.mu.Lock()
		j := p.running[at]
		p.mu.Unlock()
		text := fmt.Sprintf("%s %d", at, i)
		if j == nil || j.Propose(p.t.Context(), line(text)) != nil {
			<-time.After(10 * time.Millisecond)
			continue
		}
		p.mu.Lock()
		p.told = append(p.told, text)
		p.mu.Unlock()
	}
}

// judge expects all tables to become the same, with everything that was acknowledged once.
func (p *plates) judge() {
	p.t.Helper()
	_, j, _ := p.leader("")
	if err := j.Propose(p.t.Context(), line("the end")); err != nil {
		p.t.Errorf("the end: %v", err)
	}
	same := func() bool {
		a := p.machines["a"].contents()
		return len(a) > 0 && a[len(a)-1] == "the end" && slices.Equal(a, p.machines["b"].contents()) && slices.Equal(a, p.machines["c"].contents())
	}
	for range 1000 {
		if same() {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	if !same() {
		p.t.Error("the tables differ")
	}
	times := map[string]int{}
	for _, l := range p.machines["a"].contents() {
		times[l]++
	}
	for _, l := range p.told {
		if times[l] != 1 {
			p.t.Errorf("%q was acknowledged and is there %d times", l, times[l])
		}
	}
	if len(p.told) < 100 {
		p.t.Errorf("only %d lines were acknowledged: that proves little", len(p.told))
	}
}

// The power of members fails, of those that lead above all, while their disks are slow and
// others are cut off. Nothing that was acknowledged is lost, and no two tables differ.
func TestPowerFails(t *testing.T) {
	for seed := range uint64(4) {
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { failPower(t, openPlates(t, seed)) })
		}) {
			break // what is lost may keep members from ever coming together
		}
	}
}

func failPower(t *testing.T, p *plates) {
	t.Helper()
	defer p.close()
	stop := make(chan struct{})
	var workers sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		workers.Wait()
	})
	defer end()
	for _, name := range p.names {
		workers.Go(func() { p.work(name, stop) })
	}
	wait := func(most time.Duration) { <-time.After(time.Duration(p.rand.Int64N(int64(most)))) }
	for range 12 {
		lead, _, _ := p.leader("")
		near, far := p.others(lead)
		p.reach(lead, near)
		p.disks[lead].slow(1 + time.Duration(p.rand.Int64N(int64(time.Second))))
		wait(300 * time.Millisecond)
		if p.rand.IntN(2) == 0 {
			// It loses its lead to the one that has what it has, and follows with what its
			// disk lacks.
			p.reach(near, far)
			p.leader(lead)
			p.reach(near, lead)
			wait(300 * time.Millisecond)
		}
		p.fail(lead)
		p.start(lead)
		p.reach(lead, far) // which may lack the most
		p.leader(near)
		wait(300 * time.Millisecond)
		p.reach(p.names...)
		wait(300 * time.Millisecond)
	}
	end()
	p.judge()
}

// Entries go to the other members while the leader writes them, and are not acknowledged
// before it has.
func TestLeaderWritesWithItsFollowers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPlates(t, 0)
		defer p.close()
		lead, j, _ := p.leader("")
		if err := j.Propose(t.Context(), line("first")); err != nil {
			t.Fatal(err)
		}
		p.settled(1)
		near, _ := p.others(lead)
		p.reach(lead, near)
		before, _ := j.store.LastIndex()
		gate := p.disks[lead].shut()
		proposed := make(chan error, 1)
		go func() { proposed <- j.Propose(t.Context(), line("x")) }()
		<-time.After(time.Second)
		if after, err := p.journals[near].store.LastIndex(); after != before+1 || err != nil {
			t.Errorf("the follower has entry %d after %d: %v", after, before, err)
		}
		if last, err := j.store.LastIndex(); last != before+1 || err != nil {
			t.Errorf("the leader has entry %d after %d: %v", last, before, err)
		}
		if last, err := j.store.wal.LastIndex(); last != before || err != nil {
			t.Errorf("it is on the leader's disk, which hangs: %d, %v", last, err)
		}
		select {
		case err := <-proposed:
			t.Errorf("it was acknowledged (%v) and is not on the leader's disk", err)
		default:
		}
		close(gate)
		if err := <-proposed; err != nil {
			t.Error(err)
		}
		p.reach(p.names...)
		p.settled(2)
	})
}

// openTail opens a store whose entries all go into the tail, and returns its disk.
func openTail(t *testing.T) (*Journal, *platter) {
	t.Helper()
	disk := newPlatter(0)
	c := small(fastDir(t))
	c.fault = disk.fault
	j := mustBegin(t, c, &tape{})
	if _, err := write(j, []string{"one", "two"}); err != nil {
		t.Fatal(err)
	}
	catchUp(j)
	j.store.shared = func() bool { return true }
	return j, disk
}

// wantBehind expects something to be done when the gate of a disk is open, and not before.
func wantBehind(t *testing.T, gate chan struct{}, do func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	synctest.Wait()
	if len(done) > 0 {
		t.Error("it did not wait for what is in the tail")
	}
	close(gate)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What is in the tail can be read like the rest of the log, and all that raft does with its
// log or its memory comes behind it.
func TestTail(t *testing.T) {
	behind := map[string]func(s *store, last uint64) error{
		"term":   func(s *store, _ uint64) error { return s.SetUint64([]byte("CurrentTerm"), 7) },
		"vote":   func(s *store, _ uint64) error { return s.Set([]byte("LastVoteCand"), []byte("b")) },
		"delete": func(s *store, last uint64) error { return s.DeleteRange(last, last) },
		"members": func(s *store, last uint64) error {
			return s.StoreLog(&raft.Log{Index: last + 1, Term: 9, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(raft.Configuration{})})
		},
		"follower": func(s *store, last uint64) error {
			s.shared = func() bool { return false }
			return s.StoreLog(&raft.Log{Index: last + 1, Term: 9, Type: raft.LogNoop})
		},
		"settle": (*store).settle,
	}
	for name, do := range behind {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j, disk := openTail(t)
				defer j.crash()
				s := j.store
				last, _ := s.LastIndex()
				gate := disk.shut()
				for i := range uint64(3) {
					if err := s.StoreLog(&raft.Log{Index: last + 1 + i, Term: 9, Type: raft.LogCommand, Data: []byte{byte(i)}}); err != nil {
						t.Fatal(err)
					}
				}
				written, _ := s.wal.LastIndex()
				all, _ := s.LastIndex()
				var l raft.Log
				if err := s.GetLog(last+2, &l); written != last || all != last+3 || err != nil || l.Term != 9 || l.Data[0] != 1 {
					t.Errorf("%d is written, %d there, entry %d is %+v: %v", written, all, last+2, l, err)
				}
				if err := s.settle(last); err != nil {
					t.Errorf("what was written before is waited for: %v", err)
				}
				wantBehind(t, gate, func() error { return do(s, last+3) })
				if written, err := s.wal.LastIndex(); written < last+2 || err != nil {
					t.Errorf("entry %d is the last one on the disk: %v", written, err)
				}
			})
		})
	}
}

// When the tail cannot be written everybody who waits for it is told, and nothing is added.
func TestTailFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, disk := openTail(t)
		defer j.crash()
		last, _ := j.store.LastIndex()
		disk.shut()
		l := &raft.Log{Index: last + 1, Term: 9, Type: raft.LogCommand, Data: []byte("x")}
		if err := j.store.StoreLog(l); err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() { waited <- j.store.settle(last + 1) }()
		synctest.Wait()
		close(disk.off)
		if err := <-waited; err == nil {
			t.Error("who waited was told that it is on the disk")
		}
		synctest.Wait()
		if err := j.store.settle(last + 1); err == nil {
			t.Error("who asks later is told that it is on the disk")
		}
		l.Index++
		if err := j.store.StoreLog(l); err == nil {
			t.Error("another one was taken")
		}
	})
}

// A heartbeat of a newer leader may come while entries are stored. They are on the disk
// then before anything else is done with the log.
func TestLeadLostWhileStoring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, disk := openTail(t)
		defer j.crash()
		s := j.store
		last, _ := s.LastIndex()
		gate := disk.shut()
		leads := true
		s.shared = func() bool {
			if led := leads; led {
				leads = false
				return true
			}
			return false
		}
		wantBehind(t, gate, func() error {
			return s.StoreLog(&raft.Log{Index: last + 1, Term: 9, Type: raft.LogCommand, Data: []byte("x")})
		})
		if written, err := s.wal.LastIndex(); written != last+1 || err != nil {
			t.Errorf("entry %d is the last one on the disk: %v", written, err)
		}
	})
}

// Who leads and has the only vote has written an entry when raft counts it; who has other
// voters need not have.
func TestWhoWritesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPlates(t, 0)
		defer p.close()
		lead, j, _ := p.leader("")
		for _, name := range p.names {
			if got := p.journals[name].store.shared(); got != (name == lead) {
				t.Errorf("%s, led by %s, need not write first: %v", name, lead, got)
			}
		}
		for _, name := range p.names {
			if name == lead {
				continue
			}
			if err := j.Remove(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		if j.store.shared() { // and time would stand still for it below
			t.Fatal("it has the only vote and need not write first")
		}
		if err := j.Propose(t.Context(), line("alone")); err != nil {
			t.Error(err)
		}
	})
}
