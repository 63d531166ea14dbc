package node

import (
	"context"
	"fmt"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// DisownBound turns the holds of all sessions that are to end with their
// connections to this member, or to any if it is alone, into holds outside sessions, and ends those sessions; their waits are
// dropped first. The holds get Config.RestartLease, unless their own lease is
// shorter, and can still be renewed and released with their keys. It is how a process goes, and
// comes back, whose journal keeps what it has: neither its end nor its restart is
// that of its clients. It does nothing if Config.RestartLease is 0.
func (n *Node) DisownBound(ctx context.Context) error {
	lease := spanOf(n.cfg.RestartLease)
	if lease == 0 {
		return nil
	}
	sessions, holds := 0, 0
	for after := uint64(0); ; {
		commands, next := n.disowns(after, lease)
		b := newBatch(commands...)
		if len(commands) > 0 {
			if err := n.propose(ctx, b); err != nil {
				return fmt.Errorf("keep the holds of sessions that end with their connections: %w", err)
			}
		}
		for _, o := range b.outcomes {
			if o.Code == lock.OK {
				sessions, holds = sessions+1, holds+o.Count
			}
		}
		if after = next; next == 0 {
			break
		}
	}
	if sessions > 0 {
		n.log.InfoContext(ctx, "Holds of clients of the first protocol stay without them",
			"sessions", sessions, "holds", holds, "lease", n.cfg.RestartLease.String())
	}
	return nil
}

// disowns returns the commands for a page of sessions, and where the next begins; 0
// at the end.
func (n *Node) disowns(after uint64, lease lock.Duration) (commands []lock.Command, next uint64) {
	const page = 256
	alone := n.alone()
	n.mu.Lock()
	defer n.mu.Unlock()
	sessions, next := n.table.ListSessions(after, page)
	for i := range sessions {
		if s := &sessions[i]; s.Attached && s.OnEnd >= lock.OnEndAlways && (alone || s.Incarnation == n.incarnation) {
			commands = append(commands, &lock.Disown{Session: s.Number, Lease: lease})
		}
	}
	return commands, next
}
