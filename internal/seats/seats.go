// Package seats bounds how many connections there are, in total and for each
// principal, so that one of many clients cannot take what is there for all.
//
// It knows numbers and names. It does not know what a connection is, nor how
// whoever gets no seat is told.
package seats

import (
	"fmt"
	"sync"
)

// Fields that a refusal names.
const (
	Total       = "connections"
	OfPrincipal = "connections_of_principal"
)

// Seats are what connections take when somebody was let in over them. Nil has a seat
// for everybody. Make others with [New]. All methods are safe for concurrent use.
type Seats struct {
	max, each int

	mu    sync.Mutex // guards what follows; held for a few assignments
	taken int
	by    map[string]int
}

// New returns so many seats, and as many for each principal that has no limit of its
// own. 0 is no limit.
func New(total, each int) *Seats { return &Seats{max: total, each: each, by: map[string]int{}} }

// Full is why somebody got no seat.
type Full struct {
	// Field is the limit that was reached, and Limit how much it is.
	Field string
	Limit int
}

func (f *Full) Error() string {
	return fmt.Sprintf("the limit on %s is reached (limit %d); close some, or have the limit raised", words[f.Field], f.Limit)
}

var words = map[string]string{Total: "connections of this server", OfPrincipal: "connections of one principal"}

// Take takes a seat for a principal, whose own limit is 0 if it has none, and
// returns what gives it back, which may be called again. Whoever has no name is
// counted in total alone: there may be many of them.
func (s *Seats) Take(principal string, own int) (leave func(), full *Full) {
	if s == nil {
		return func() {}, nil
	}
	limit := own
	if limit == 0 {
		limit = s.each
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.max > 0 && s.taken >= s.max:
		return nil, &Full{Total, s.max}
	case principal != "" && limit > 0 && s.by[principal] >= limit:
		return nil, &Full{OfPrincipal, limit}
	}
	s.taken++
	if principal != "" {
		s.by[principal]++
	}
	return sync.OnceFunc(func() { s.leave(principal) }), nil
}

func (s *Seats) leave(principal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if principal == "" {
		return
	}
	if s.by[principal]--; s.by[principal] == 0 {
		delete(s.by, principal)
	}
}

// Taken returns how many seats are taken.
func (s *Seats) Taken() int {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}
