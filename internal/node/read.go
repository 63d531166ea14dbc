package node

import (
	"context"
	"slices"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// How much of a lock reads show.
const (
	maxShownHolders, maxShownWaiters   = 1000, 1000 // by Lookup
	maxListedHolders, maxListedWaiters = 10, 10     // by List
)

// pageLen bounds what is copied while the table is held.
const pageLen = 50

// Lookup returns a lock with up to 1,000 of its holders and as many waiters;
// false if there is no lock of that name. Reads show everything that was
// acknowledged anywhere before the call.
func (n *Node) Lookup(ctx context.Context, name string) (lock.LockView, bool, error) {
	if err := n.catchUp(ctx); err != nil {
		return lock.LockView{}, false, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	v, ok := n.table.Lookup(name, maxShownHolders, maxShownWaiters)
	if ok {
		n.behind().lock(&v)
	}
	return v, ok, nil
}

// Holders returns up to limit holds of a lock, and lock delays that followed
// holds, oldest first, that were granted after the token; none if there is no
// such lock. Going on from the last one's token reads them all.
func (n *Node) Holders(ctx context.Context, name string, after lock.Token, limit int) ([]lock.HoldView, error) {
	if err := n.catchUp(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	holds := n.table.Holders(name, after, min(limit, maxShownHolders))
	n.behind().holds(holds)
	return holds, nil
}

// List returns up to limit locks, each with up to 10 holders and waiters, from
// the place that an earlier call returned on; 0 is the beginning, and the end. A
// lock that lives throughout is listed exactly once.
func (n *Node) List(ctx context.Context, f lock.LockFilter, after uint64, limit int) ([]lock.LockView, uint64, error) {
	if err := n.catchUp(ctx); err != nil {
		return nil, 0, err
	}
	return pages(ctx, after, limit, func(after uint64, limit int) ([]lock.LockView, uint64) {
		n.mu.Lock()
		defer n.mu.Unlock()
		views, next := n.table.List(f, after, limit, maxListedHolders, maxListedWaiters)
		n.behind().locks(views)
		return views, next
	})
}

// LookupSession returns a session; false if there is none of that number.
func (n *Node) LookupSession(ctx context.Context, number lock.SessionNumber) (lock.SessionView, bool, error) {
	if err := n.catchUp(ctx); err != nil {
		return lock.SessionView{}, false, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	v, ok := n.table.LookupSession(number)
	if ok {
		n.behind().session(&v)
	}
	return v, ok, nil
}

// HoldsOf returns up to limit holds of a session, oldest first, and up to as many
// of its places in queues.
func (n *Node) HoldsOf(ctx context.Context, number lock.SessionNumber, limit int) ([]lock.HoldView, []lock.WaitView, error) {
	if err := n.catchUp(ctx); err != nil {
		return nil, nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	holds, waits := n.table.HoldsOf(number, limit), n.table.WaitsOf(number, limit)
	b := n.behind()
	b.holds(holds)
	b.waits(waits)
	return holds, waits, nil
}

// Recent returns the newest events of a lock that are still known, at most so
// many, in the order of their numbers. It looks at all that are kept.
func (n *Node) Recent(name string, most int) []Event {
	var events []Event
	n.herald.ring.newest(name, func(e *logged) bool {
		events = append(events, e.public())
		return len(events) < most
	})
	slices.Reverse(events)
	return events
}

// Sessions returns up to limit sessions, from the place that an earlier call
// returned on, as List does locks.
func (n *Node) Sessions(
	ctx context.Context, after lock.SessionNumber, limit int,
) ([]lock.SessionView, lock.SessionNumber, error) {
	if err := n.catchUp(ctx); err != nil {
		return nil, 0, err
	}
	views, next, err := pages(ctx, uint64(after), limit, func(after uint64, limit int) ([]lock.SessionView, uint64) {
		n.mu.Lock()
		defer n.mu.Unlock()
		views, next := n.table.ListSessions(after, limit)
		n.behind().sessions(views)
		return views, next
	})
	return views, lock.SessionNumber(next), err
}

// Counts returns figures of the table. They may be a moment old.
func (n *Node) Counts() lock.Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.table.Counts()
}

// Token returns the fencing token of the newest grant. It may be a moment old.
func (n *Node) Token() lock.Token {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.table.Token()
}

// QuietLeft is for how long nothing is granted yet, after a restore. It may be a
// moment old.
func (n *Node) QuietLeft() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return timeOf(n.behind().left(max(0, n.table.QuietLeft())))
}

// catchUp returns once what was acknowledged before is in the table.
func (n *Node) catchUp(ctx context.Context) error {
	err := n.journal.Barrier(ctx)
	if err != nil && n.Err() != nil {
		return n.Err()
	}
	return err
}

// pages reads a long page in pieces, so that the table is not held for long.
func pages[T any](
	ctx context.Context, after uint64, limit int, read func(after uint64, limit int) ([]T, uint64),
) ([]T, uint64, error) {
	var all []T
	for len(all) < limit {
		some, next := read(after, min(limit-len(all), pageLen))
		all = append(all, some...)
		if next == 0 {
			return all, 0, nil
		}
		if after = next; ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
	}
	return all, after, nil
}
