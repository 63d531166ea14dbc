package grpcapi

import (
	"container/list"
	"log/slog"
	"sync"
	"time"
)

// toldEvery is how often a flood of strangers is logged.
const toldEvery = 10 * time.Second

// strangers are the connections over which nobody has been let in yet. A sound
// client asks for something soon; of those that do not there may be so many, and
// beyond that the one that has been there for longest is closed. Whoever has been
// let in may be silent for as long as it wants.
//
// All methods are safe for concurrent use.
type strangers struct {
	limit int
	log   *slog.Logger

	// mu guards what follows, and the place of a connection; it is held for a few
	// assignments.
	mu    sync.Mutex
	queue list.List // of *connection, the oldest first
	told  time.Time
}

// add counts a new connection in.
func (s *strangers) add(c *connection) {
	s.mu.Lock()
	c.place = s.queue.PushBack(c)
	var oldest *connection
	tell := false
	if s.queue.Len() > s.limit {
		oldest = s.queue.Front().Value.(*connection)
		s.removeLocked(oldest)
		if now := time.Now(); now.Sub(s.told) >= toldEvery {
			s.told, tell = now, true
		}
	}
	s.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close()
	}
	if tell {
		s.log.Warn("Too many connections that ask for nothing; closing the oldest ones", "limit", s.limit)
	}
}

// remove takes a connection out: it has been let in, or is over.
func (s *strangers) remove(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(c)
}

func (s *strangers) removeLocked(c *connection) {
	if c.place != nil {
		s.queue.Remove(c.place)
		c.place = nil
	}
}
