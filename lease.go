package ldlm

import (
	"container/heap"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/clock"
)

// leaseState is what a hold has of a life of its own. The zero value has none.
type leaseState struct {
	// from and length are the belief: when the acquire or renewal that counts
	// was first sent, and for how long it is good, margin taken off. Length 0
	// is no lease, or one that has not begun to count.
	from   clock.Instant
	length time.Duration
	// asked is the lease as the server has it.
	asked time.Duration
	// since is when the hold began, where MaxHold bounds it.
	since clock.Instant
	// renewing says that a renewal is under way, putOff when one was refused,
	// or could not be sent.
	renewing bool
	putOff   clock.Instant
	// due orders the queue: when something is to be done, on a scale of the
	// queue's own. place is 1 more than the index there, 0 if it is not in it.
	due   time.Duration
	place int
}

// margin is the part of a server's time that a client may believe in: clocks
// may differ by 5 percent in rate, and whoever waits for a belief to end waits
// longer.
func margin(d time.Duration) time.Duration { return d / 112 * 100 }

// renewed notes that a lease counts from the time that a message was sent.
func (ls *leaseState) renewed(sent clock.Instant, lease time.Duration) {
	ls.from, ls.length, ls.asked = sent, margin(lease), lease
}

// shorten notes that a renewal is sent, for the first time or again. It counts
// from then on if it makes the lease shorter: the server may carry it out although
// its answer never comes.
func (ls *leaseState) shorten(sent clock.Instant, lease time.Duration) {
	if ls.length > 0 && sent.Sub(ls.from)+margin(lease) < ls.length {
		ls.renewed(sent, lease)
	}
}

// answered notes that a renewal was carried out. One that was sent before the
// one that counts makes the lease no longer.
func (ls *leaseState) answered(sent clock.Instant, lease time.Duration) {
	if ls.length == 0 || sent.Sub(ls.from) >= 0 || ls.from.Sub(sent)+ls.length > margin(lease) {
		ls.renewed(sent, lease)
	}
}

// left is how long the lease is good for as of now.
func (ls *leaseState) left(c *Client) time.Duration {
	if ls.length == 0 {
		return never
	}
	return ls.length - c.since(ls.from)
}

// leaseQueue has the holds with a lease or a MaxHold, the next to be looked at first.
type leaseQueue struct {
	holds []*Lock
	// epoch is the zero of the scale on which holds are ordered.
	epoch clock.Instant
	// renewals counts those under way.
	renewals int
}

// maxRenewals bounds the renewals under way at once, so that a client with very
// many leases leaves slots for others.
const maxRenewals = 1024

func (q *leaseQueue) Len() int           { return len(q.holds) }
func (q *leaseQueue) Less(i, j int) bool { return q.holds[i].lease.due < q.holds[j].lease.due }
func (q *leaseQueue) Swap(i, j int) {
	q.holds[i], q.holds[j] = q.holds[j], q.holds[i]
	q.holds[i].lease.place, q.holds[j].lease.place = i+1, j+1
}

// Push is for package heap.
func (q *leaseQueue) Push(x any) {
	l := x.(*Lock)
	q.holds = append(q.holds, l)
	l.lease.place = len(q.holds)
}

// Pop is for package heap.
func (q *leaseQueue) Pop() any {
	n := len(q.holds) - 1
	l := q.holds[n]
	q.holds[n] = nil
	q.holds = q.holds[:n]
	l.lease.place = 0
	return l
}

func (q *leaseQueue) remove(l *Lock) {
	if l.lease.place > 0 {
		heap.Remove(q, l.lease.place-1)
	}
}

// plan puts a hold where its next deadline belongs.
func (q *leaseQueue) plan(l *Lock, c *Client) {
	left := nextLook(l, c)
	if q.epoch.IsZero() {
		q.epoch = clock.Now()
	}
	l.lease.due = c.since(q.epoch) + left
	if l.lease.place > 0 {
		heap.Fix(q, l.lease.place-1)
		return
	}
	heap.Push(q, l)
}

// nextLook is how long a hold needs no attention.
func nextLook(l *Lock, c *Client) time.Duration {
	next := min(l.lease.left(c), maxHoldLeft(l, c))
	if l.renews() && !l.lease.renewing {
		next = min(next, renewalDue(l, c))
	}
	return max(next, 0)
}

// renews reports whether the client renews the hold's lease.
func (l *Lock) renews() bool {
	return l.lease.length > 0 && !l.request.noRenewal && l.state == held
}

// renewalDue is when the next renewal is: after a third of the lease, and not
// at once again when one failed.
func renewalDue(l *Lock, c *Client) time.Duration {
	due := l.lease.asked/3 - c.since(l.lease.from)
	if l.lease.putOff.IsZero() {
		return due
	}
	return max(due, l.lease.asked/12-c.since(l.lease.putOff))
}

func maxHoldLeft(l *Lock, c *Client) time.Duration {
	if l.request.maxHold <= 0 {
		return never
	}
	return l.request.maxHold - c.since(l.lease.since)
}

// lookAtLeases ends what is over, renews what is due, and returns when to look
// again. mu is held.
func (s *session) lookAtLeases(r *received) time.Duration {
	for len(s.leases.holds) > 0 {
		l := s.leases.holds[0]
		if left := nextLook(l, s.client); left > 0 {
			return left
		}
		switch {
		case l.lease.left(s.client) <= 0:
			s.expire(l, ReasonExpired, r)
		case maxHoldLeft(l, s.client) <= 0:
			s.expire(l, ReasonMaxHold, r)
		default:
			s.renewInBackground(l)
			s.leases.plan(l, s.client)
		}
	}
	return never
}

// expire ends a hold by the client's own clock. What the server still sees of it
// is given back, unless the client leaves renewals to the program: then the
// server's time is what counts for everybody else, such as the users of a rate
// limit, and who has the key may renew it yet. mu is held.
func (s *session) expire(l *Lock, reason EndReason, r *received) {
	if s.lose(l, reason) {
		r.lost = append(r.lost, l)
	}
	if reason == ReasonExpired && l.request.noRenewal {
		return
	}
	s.releaseInBackground(l)
}

// renewInBackground sends a renewal that nobody waits for, or puts it off if
// too many are under way. mu is held.
func (s *session) renewInBackground(l *Lock) {
	l.lease.putOff = clock.Now()
	if s.leases.renewals >= maxRenewals {
		return
	}
	ca := s.newCall()
	ca.background = true
	s.askRenewal(ca, l, l.lease.asked)
	if s.enter(ca) != nil {
		s.freeCall(ca)
		return
	}
	l.lease.renewing = true
	s.leases.renewals++
}

// askRenewal fills in a call that renews a hold's lease.
func (s *session) askRenewal(ca *call, l *Lock, lease time.Duration) {
	ca.lock, ca.stamped = l, true
	r := &ca.renew
	r.Name, r.Token, r.Key, r.All, r.LeaseUs = l.Name(), l.token, "", len(l.request.names) > 1, toMicros(lease)
	ca.op.Renew = r
}

// askRelease fills in a call that releases a hold.
func (s *session) askRelease(ca *call, l *Lock) {
	ca.lock = l
	r := &ca.release
	r.Name, r.Token, r.Key, r.All = l.Name(), l.token, "", len(l.request.names) > 1
	ca.op.Release = r
}

// settleRenewal takes the outcome of a renewal in. Whatever comes late does not
// revive a hold. mu is held.
func (s *session) settleRenewal(ca *call, r *received) {
	l := ca.lock
	if l == nil {
		return // by key, for somebody else
	}
	if l.lease.renewing && ca.background {
		s.leases.renewals--
		l.lease.renewing = false
	}
	if l.state != held {
		return
	}
	switch ca.answer.code {
	case ldlmv2.Code_CODE_OK:
		if l.lease.left(s.client) <= 0 {
			s.expire(l, ReasonExpired, r)
			return
		}
		l.lease.answered(ca.sent, fromMicros(ca.op.GetRenew().GetLeaseUs()))
	case ldlmv2.Code_CODE_WRONG_KEY, ldlmv2.Code_CODE_NOT_FOUND, ldlmv2.Code_CODE_ENDED:
		if s.lose(l, ReasonExpired) {
			r.lost = append(r.lost, l)
		}
		return
	case ldlmv2.Code_CODE_REVOKED:
		if s.revoke(l) {
			r.lost = append(r.lost, l)
		}
	default:
		s.logger.Warn("ldlm: lease not renewed", "lock", shortened(l.Name()),
			"error", statusError("renew", l.Name(), ca.answer.status))
	}
	if l.lease.length > 0 {
		s.leases.plan(l, s.client)
		s.lookNow()
	}
}
