package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// what an operation of the model does.
type what uint8

const (
	grants what = iota
	ends
	refuses
	reads
)

// operation is one step of a lock.
type operation struct {
	what what
	// hold is the ID of the request that holds.
	hold   uint64
	shared bool
	size   int
	token  uint64
	tokens []uint64 // that a read has shown, of those that are known
	// excused: a hold that nobody knows of may be the reason of a refusal.
	excused bool
}

// holder is one of a lock.
type holder struct {
	hold, token uint64
	shared      bool
}

// state is a lock: who holds it, and the newest token that is known. It is never
// changed, only replaced.
type state struct {
	newest  uint64
	holders []holder
}

// model is a lock with tokens, as one order of operations would have it.
func model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{} },
		Step: func(s, input, _ any) (bool, any) {
			ok, next := s.(state).step(input.(*operation))
			return ok, next
		},
		Equal: func(a, b any) bool {
			x, y := a.(state), b.(state)
			return x.newest == y.newest && slices.Equal(x.holders, y.holders)
		},
		DescribeOperation: func(input, _ any) string { return input.(*operation).String() },
		DescribeState:     func(s any) string { return s.(state).String() },
	}
}

// step reports whether the operation can happen now, and what it leaves.
func (s state) step(o *operation) (bool, state) {
	switch o.what {
	case grants:
		if !s.room(o) || o.token != 0 && o.token <= s.newest {
			return false, s
		}
		next := state{newest: max(s.newest, o.token)}
		next.holders = append(slices.Clone(s.holders), holder{o.hold, o.token, o.shared})
		slices.SortFunc(next.holders, func(a, b holder) int { return cmp.Compare(a.hold, b.hold) })
		return true, next
	case ends:
		i := slices.IndexFunc(s.holders, func(h holder) bool { return h.hold == o.hold })
		if i < 0 {
			return false, s
		}
		return true, state{s.newest, slices.Delete(slices.Clone(s.holders), i, i+1)}
	case refuses:
		return o.excused || s.refuses(o), s
	default:
		return slices.Equal(s.tokens(), o.tokens), s
	}
}

// room reports whether another hold fits.
func (s state) room(o *operation) bool {
	if o.size > 1 || !o.shared {
		return len(s.holders) < o.size
	}
	return !slices.ContainsFunc(s.holders, func(h holder) bool { return !h.shared })
}

// refuses reports whether a try can be refused. A shared one can wherever somebody
// holds: others may be waiting for the lock alone.
func (s state) refuses(o *operation) bool { return len(s.holders) >= o.size }

// tokens are those of the holders that are known, in order.
func (s state) tokens() []uint64 {
	var all []uint64
	for _, h := range s.holders {
		if h.token != 0 {
			all = append(all, h.token)
		}
	}
	slices.Sort(all)
	return all
}

func (o *operation) String() string {
	switch o.what {
	case grants:
		return fmt.Sprintf("granted %d, token %d", o.hold, o.token)
	case ends:
		return fmt.Sprintf("%d ends", o.hold)
	case refuses:
		return fmt.Sprintf("%d refused", o.hold)
	default:
		return fmt.Sprintf("read %d", o.tokens)
	}
}

func (s state) String() string {
	var b strings.Builder
	for _, h := range s.holders {
		fmt.Fprintf(&b, "%d (token %d) ", h.hold, h.token)
	}
	return fmt.Sprintf("held by [%s], newest %d", strings.TrimSpace(b.String()), s.newest)
}
