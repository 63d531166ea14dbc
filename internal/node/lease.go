package node

import (
	"context"
	"errors"
	"time"

	clocks "github.com/ldlm-io/ldlm/internal/clock"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// memberLease is what a member knows of its own life. Others end it when they have
// not heard of it for the length of a lease, so it may answer for its clients' sessions only
// while it is certain that they have not. It is guarded by Node.mu.
type memberLease struct {
	sent map[uint64]clocks.Instant // beats that are on their way, by number
	// from is when the newest beat was sent that the table took, as this member has
	// seen itself; zero if there is none yet. length is how long the member lives by it, less
	// the margin for clocks that go at different rates.
	from   clocks.Instant
	length time.Duration
}

// mostBeats bounds the beats that are remembered. Without a lead they gather.
const mostBeats = 1024

// sendNow notes that a beat is about to be sent.
func (l *memberLease) sendNow(number uint64) {
	if l.sent == nil || len(l.sent) >= mostBeats {
		l.sent = map[uint64]clocks.Instant{}
	}
	l.sent[number] = clocks.Now()
}

// taken notes that the table took a beat.
func (l *memberLease) taken(number uint64, lease lock.Duration) {
	at, known := l.sent[number]
	delete(l.sent, number)
	if known && (l.from.IsZero() || at.Sub(l.from) > 0) {
		l.from, l.length = at, validFor(lease)
	}
}

// left is how long the member may still answer for its clients; not positive if it
// may not.
func (l *memberLease) left() time.Duration {
	if l.from.IsZero() {
		return 0
	}
	return l.length - clocks.Since(l.from)
}

// beaten is called within Apply for every beat of this member, whoever proposed it.
func (n *Node) beaten(c *lock.Beat, o *lock.Outcome) {
	if o.Code == lock.OK && c.Incarnation == n.incarnation {
		n.lease.taken(c.Number, o.TTL)
	}
}

// alone reports whether only this process could end what it answers for.
func (n *Node) alone() bool { return n.votesAlone == nil || n.votesAlone() }

// lookEvery is how often a member that has others looks at its lease.
const lookEvery = 250 * time.Millisecond

// runWarden ends all links before the member's lease does: clients of the first
// protocol have no clock of their own to go by, and the others are better off at a
// member that can answer.
func (n *Node) runWarden() {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-n.ctx.Done():
			return
		}
		if n.alone() {
			continue
		}
		if ended := n.lapse(); ended > 0 {
			n.log.WarnContext(n.ctx, "The other members have not confirmed for too long that this one lives: its clients have to go elsewhere",
				"member", n.cfg.Member, "sessions", ended)
		}
	}
}

var errOverdue = errors.New("the other members may have given this one up")

// overdue reports whether the others may have given this member up, and then ends all
// links: a member that stood still must not tell a client of a grant that is
// somebody else's by now, before it ends the client's connection.
func (n *Node) overdue() bool {
	if !n.cfg.Shared || n.alone() {
		return false
	}
	n.mu.Lock()
	left := n.lease.left()
	n.mu.Unlock()
	if left > 0 {
		return false
	}
	n.lapse()
	return true
}

// lapse ends all links if the lease ends before the next looks, and counts them.
func (n *Node) lapse() (ended int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lease.left() > 2*lookEvery {
		return 0
	}
	return n.endLinks()
}

// Dismiss ends all links, and counts them: this member can do nothing for its clients any
// more, and their sessions may be resumed at another one.
func (n *Node) Dismiss() (ended int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.endLinks()
}

// endLinks ends all links, and counts them. n.mu is held.
func (n *Node) endLinks() (ended int) {
	ended = len(n.links)
	for session, l := range n.links {
		l.finish(ErrDetached)
		n.clerk.add(&lock.Detach{Session: session, Attach: l.number})
	}
	clear(n.links)
	return ended
}

// beatOnce renews the lease, or has tried to when the next beat is due. One that is applied
// later counts as well.
func (n *Node) beatOnce() {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.BeatEvery)
	defer cancel()
	_, beat := n.beatNow()
	// Whatever its ending, the next beat comes in time; if the member has ended,
	// Apply has ended all links.
	_, _ = n.ask(ctx, beat)
}
