package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"slices"
	"sync"
)

// question is what a client asks the store. A read and the write after it carry the
// token of the lock under which they are made.
type question struct {
	Process int    `json:"process"`
	Name    string `json:"name"`
	Token   uint64 `json:"token"`
	// Fenced and Bare are what is to be written to the two sets of the name; both nil
	// for a read.
	Fenced []uint64 `json:"fenced,omitempty"`
	Bare   []uint64 `json:"bare,omitempty"`
}

// reply has the sets that were there; of a write, whether the fenced one took it.
type reply struct {
	Fenced []uint64 `json:"fenced,omitempty"`
	Bare   []uint64 `json:"bare,omitempty"`
	Taken  bool     `json:"taken,omitempty"`
}

// pair are the two sets of a name: one that looks at tokens, and one that does not.
type pair struct {
	newest       uint64
	fenced, bare []uint64
}

// store is a storage that clients change under locks: read, add one, write all. It
// finds what a write takes away that another one had added.
type store struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu    sync.Mutex
	pairs map[string]*pair
	conns map[net.Conn]bool
	// trap is called before a process is answered that has just read; nil if not.
	trap    map[int]func(name string)
	closed  bool
	writes  int
	refused int
	// fencedLost and bareLost count what was taken away.
	fencedLost, bareLost int
}

func newStore(ctx context.Context, path string) (*store, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	s := &store{listener: l, pairs: map[string]*pair{}, conns: map[net.Conn]bool{}, trap: map[int]func(string){}}
	s.serving.Go(s.accept)
	return s, nil
}

func (s *store) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			c.Close()
		} else {
			s.conns[c] = true
			s.serving.Go(func() { s.serve(c) })
		}
		s.mu.Unlock()
	}
}

func (s *store) serve(c net.Conn) {
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		c.Close()
	}()
	in, out := json.NewDecoder(bufio.NewReader(c)), json.NewEncoder(c)
	for {
		var q question
		if err := in.Decode(&q); err != nil {
			return
		}
		r := s.answer(&q)
		if err := out.Encode(&r); err != nil {
			return
		}
	}
}

// answer carries a question out.
func (s *store) answer(q *question) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pairs[q.Name]
	if p == nil {
		p = &pair{}
		s.pairs[q.Name] = p
	}
	fresh := q.Token >= p.newest
	p.newest = max(p.newest, q.Token)
	if q.Fenced == nil && q.Bare == nil {
		r := reply{Fenced: p.fenced, Bare: p.bare, Taken: fresh}
		if spring := s.trap[q.Process]; spring != nil {
			delete(s.trap, q.Process)
			spring(q.Name)
		}
		return r
	}
	s.writes++
	s.bareLost += takenAway(p.bare, q.Bare)
	p.bare = q.Bare
	if !fresh {
		s.refused++
		return reply{}
	}
	s.fencedLost += takenAway(p.fenced, q.Fenced)
	p.fenced = q.Fenced
	return reply{Taken: true}
}

// takenAway counts what is in before and not in after.
func takenAway(before, after []uint64) (n int) {
	for _, e := range before {
		if !slices.Contains(after, e) {
			n++
		}
	}
	return n
}

// catch has f called when a process reads the next time, before it is answered.
func (s *store) catch(process int, f func(name string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trap[process] = f
}

// release takes back what catch has set.
func (s *store) release(process int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.trap, process)
}

func (s *store) close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	_ = s.listener.Close() // nobody comes any more
	s.serving.Wait()
}
