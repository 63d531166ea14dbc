package grpcapi

import (
	"context"
	"sync"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// place is the name of one call in the table: a slot of its session, which
// carries one request at a time, and the number of the request in it.
type place struct {
	slot uint32
	seq  uint64
}

// caller is on whose behalf the call at a place is made.
func (p place) caller(n lock.SessionNumber, attach uint64) lock.Caller {
	return lock.Caller{Session: n, Attach: attach, Slot: p.slot, Seq: p.seq}
}

// slots hands out places to the calls of one session, and knows how to cancel
// those that wait. All methods are safe for concurrent use.
type slots struct {
	// mu guards what follows; it is held for a few assignments.
	mu   sync.Mutex
	free []place // the one used last is used next
	next uint32  // the lowest slot never used
	// waiting has the cancel functions of calls that may wait.
	waiting map[place]context.CancelFunc
}

// take returns a place for a new request.
func (s *slots) take() place {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeLocked()
}

func (s *slots) takeLocked() place {
	if n := len(s.free); n > 0 {
		p := s.free[n-1]
		s.free = s.free[:n-1]
		return p
	}
	p := place{slot: s.next, seq: 1}
	s.next++
	return p
}

// takeToWait is take for a call that may wait: until give, cancel ends it.
func (s *slots) takeToWait(cancel context.CancelFunc) place {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.takeLocked()
	if s.waiting == nil {
		s.waiting = map[place]context.CancelFunc{}
	}
	s.waiting[p] = cancel
	return p
}

// give takes a place back. The next request in it has the next number, unless
// the table has not seen this one. There is none if it may be seen yet.
func (s *slots) give(p place, how ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, p)
	switch how {
	case known:
		s.free = append(s.free, place{p.slot, p.seq + 1})
	case refused:
		s.free = append(s.free, p)
	case unknown:
		// Not to be used again.
	}
}

// cancelWaiting cancels every call that may wait.
func (s *slots) cancelWaiting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cancel := range s.waiting {
		cancel()
	}
}
