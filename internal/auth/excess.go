package auth

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"time"
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
// or one address of those without a name, has many within a second. It returns for how
// long nothing more should be read from where it came, so that who is refused and asks
// again at once takes little from others; 0 for all who keep the [Tempo].
func (g *Gate) Exceed(e *Excess) (rest time.Duration) {
	g.limits.add(e.Field)
	name, client := e.Pass.Principal().Name, clientOf(e.Pass, e.Remote)
	if suppressed, ok := g.limitsTold.Admit(client); ok {
		g.log.Warn("A client has reached a limit, and was refused", withSuppressed(suppressed,
			"field", e.Field, "limit", e.Limit, "principal", name, "client_addr", e.Remote(), "transport", e.Via)...)
	}
	return g.haste.add(client, time.Now())
}

// Owed returns for how long nothing should be read from a new connection: a client that is to
// rest does so whatever it comes by.
func (g *Gate) Owed(p *Pass, remote func() string) (rest time.Duration) {
	return g.haste.owed(clientOf(p, remote), time.Now())
}

// clientOf is whom an excess is put down to: the principal, or the address of those who have
// no name.
func clientOf(p *Pass, remote func() string) string {
	if name := p.Principal().Name; name != "" {
		return "principal " + name
	}
	return addressOf(remote())
}

// Tempo says how often limits may be reached, for each client by itself, before it rests.
// Zero fields take their defaults.
type Tempo struct {
	// Every is how often a client may be refused. Default 1 ms.
	Every time.Duration
	// Free is how many refusals beyond that cost nothing. Default 1,000.
	Free int
	// Longest is the longest rest. Keep-alives come the same way, so it is short beside
	// the shortest ttl. Default 200 ms.
	Longest time.Duration
}

func (t Tempo) withDefaults() Tempo {
	return Tempo{cmp.Or(t.Every, time.Millisecond), cmp.Or(t.Free, 1000), cmp.Or(t.Longest, 200*time.Millisecond)}
}

// Rest waits for as long as [Gate.Exceed] has returned, but no longer than half of what
// is left until the deadline of ctx, so that there is time to say why, and not once ctx
// has ended.
func Rest(ctx context.Context, rest time.Duration) {
	if end, bound := ctx.Deadline(); bound {
		rest = min(rest, time.Until(end)/2)
	}
	if rest <= 0 {
		return
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// maxHasty is how many clients are remembered. By default each is forgotten in little
// more than a second.
const maxHasty = 4096

// haste knows who is refused too often. All methods are safe for concurrent use.
type haste struct {
	tempo Tempo
	mu    sync.Mutex // guards what follows; held for a few assignments, or one look at all of them
	// paid says, by client, until when its refusals would take at the tempo.
	paid map[string]time.Time
}

func newHaste(t Tempo) *haste { return &haste{tempo: t.withDefaults(), paid: map[string]time.Time{}} }

// add adds a refusal and returns how long its client is to rest.
func (h *haste) add(client string, now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	paid, known := h.paid[client]
	if !known {
		h.makeRoom(now)
	}
	if paid.Before(now) {
		paid = now
	}
	ahead := min(paid.Add(h.tempo.Every).Sub(now), h.free()+h.tempo.Longest)
	h.paid[client] = now.Add(ahead)
	return max(0, ahead-h.free())
}

// free is how far ahead a client may be without a rest.
func (h *haste) free() time.Duration { return time.Duration(h.tempo.Free) * h.tempo.Every }

// owed returns how long a client is to rest that was not refused now.
func (h *haste) owed(client string, now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	paid, known := h.paid[client]
	if !known {
		return 0
	}
	return max(0, paid.Sub(now)-h.free())
}

// makeRoom forgets clients that would not rest, and all if those are too few.
func (h *haste) makeRoom(now time.Time) {
	if len(h.paid) < maxHasty {
		return
	}
	maps.DeleteFunc(h.paid, func(_ string, paid time.Time) bool { return !now.Before(paid) })
	if len(h.paid) >= maxHasty {
		clear(h.paid)
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
