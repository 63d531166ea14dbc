package auth

import (
	"maps"
	"sync"
)

// An Excess is that somebody who was let in wanted more than it may have.
type Excess struct {
	// Pass is whose, Via how it came. Remote says from where, if it is asked for that.
	Pass   *Pass
	Via    string
	Remote func() string
	// Field is the limit in the words of the native protocol, one of few, and Limit how
	// much may be.
	Field string
	Limit int64
}

// Exceed counts an excess and writes it down; the others are counted where one principal,
// or one address of those without a name, has many within a second.
func (g *Gate) Exceed(e *Excess) {
	g.limits.add(e.Field)
	name := e.Pass.Principal().Name
	client := "principal " + name
	if name == "" {
		client = addressOf(e.Remote())
	}
	if suppressed, ok := g.limitsTold.Admit(client); ok {
		g.log.Warn("A client has reached a limit, and was refused", withSuppressed(suppressed,
			"field", e.Field, "limit", e.Limit, "principal", name, "client_addr", e.Remote(), "transport", e.Via)...)
	}
}

// LimitsReached returns how often each limit was in somebody's way since the gate was
// made, by their fields; those that never were are not in it.
func (g *Gate) LimitsReached() map[string]uint64 { return g.limits.get() }

// limitsReached counts by field. The zero value has counted nothing.
type limitsReached struct {
	mu     sync.Mutex // guards what follows; held for a few assignments
	counts map[string]uint64
}

func (x *limitsReached) add(field string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.counts == nil {
		x.counts = map[string]uint64{}
	}
	x.counts[field]++
}

func (x *limitsReached) get() map[string]uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return maps.Clone(x.counts)
}
