package node

import (
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// behind is how far the table's clock is behind the time. While nothing happens
// nothing moves it, so what is read is corrected by that. Ages grow; what is left
// shrinks, to 0 at most: what is held with nothing left has its end due, and the
// entry that ends it is still to come. What there is not (-1) stays so.
type behind lock.Duration

// behind is called under n.mu.
func (n *Node) behind() behind {
	_, deadline := n.table.NextDeadline()
	return behind(n.clock.behind(time.Now(), n.leads(), deadline) / time.Microsecond)
}

// age corrects what has grown since.
func (b behind) age(d lock.Duration) lock.Duration {
	if d < 0 {
		return d
	}
	return d + lock.Duration(b)
}

// left corrects what has shrunk since.
func (b behind) left(d lock.Duration) lock.Duration {
	if d < 0 {
		return d
	}
	return max(0, d-lock.Duration(b))
}

func (b behind) locks(views []lock.LockView) {
	for i := range views {
		b.lock(&views[i])
	}
}

func (b behind) lock(v *lock.LockView) {
	v.Idle = b.age(v.Idle)
	b.holds(v.Holders)
	b.waits(v.Waiters)
}

func (b behind) holds(views []lock.HoldView) {
	for i := range views {
		v := &views[i]
		v.Age, v.LeaseLeft = b.age(v.Age), b.left(v.LeaseLeft)
	}
}

func (b behind) waits(views []lock.WaitView) {
	for i := range views {
		v := &views[i]
		v.Age, v.GivesUp = b.age(v.Age), b.left(v.GivesUp)
	}
}

func (b behind) sessions(views []lock.SessionView) {
	for i := range views {
		b.session(&views[i])
	}
}

func (b behind) session(v *lock.SessionView) {
	v.Age, v.Left = b.age(v.Age), b.left(v.Left)
}
