package node

import (
	"fmt"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// keptMarks is how many marks a member remembers. One that is forgotten is not compared.
const keptMarks = 16

// A mark is the hash of the table at one place in the order.
type mark struct {
	entry uint64 // 0: there is none
	hash  lock.Hash
	// fresh says that something but beats has happened since the mark before.
	fresh bool
}

// marks are the newest marks. They are guarded by Node.mu.
type marks struct {
	kept    [keptMarks]mark
	next    int
	changed bool // something but beats has happened since the newest one
	// agreed is the newest entry at which a majority had the same hash as this member.
	agreed uint64
}

func (m *marks) note(entry uint64, hash lock.Hash) {
	m.kept[m.next] = mark{entry: entry, hash: hash, fresh: m.changed}
	m.next = (m.next + 1) % keptMarks
	m.changed = false
}

func (m *marks) newest() mark { return m.kept[(m.next+keptMarks-1)%keptMarks] }

// at returns the hash at a mark; false if it is not remembered.
func (m *marks) at(entry uint64) (lock.Hash, bool) {
	for _, k := range m.kept {
		if k.entry == entry && entry != 0 {
			return k.hash, true
		}
	}
	return lock.Hash{}, false
}

// marked is called within Apply for every mark. Whoever had another hash than most
// members had at an earlier one stops.
func (n *Node) marked(c *lock.Mark, o *lock.Outcome, entry uint64) {
	if o.Code != lock.OK {
		return // of an earlier lead
	}
	n.marks.note(entry, o.Hash)
	if own, known := n.marks.at(c.Of); known && own != c.Agreed {
		n.part(fmt.Errorf("%w: at entry %d the table of member %q is not that of the other members: it stops before it tells anybody what is not so. "+
			"Keep its data directory for a report. Start it again; if that comes back, remove the member, and join a new one with an empty directory",
			journal.ErrFatal, c.Of, n.cfg.Member))
	} else if known {
		n.marks.agreed = c.Of
	}
}

// part ends the node because its table is not to be believed. It is called within Apply,
// which applies nothing from then on.
func (n *Node) part(reason error) {
	n.apart.Store(&reason)
	n.tasks.Go(func() { n.broken(reason) })
}

// parted returns why the table is not to be believed, nil if it is.
func (n *Node) parted() error {
	if reason := n.apart.Load(); reason != nil {
		return *reason
	}
	return nil
}
