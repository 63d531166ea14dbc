package ldlm

import (
	"maps"
	"math"
	"time"
)

// request is what a program asks for: the names and what options made of it.
type request struct {
	op    string
	names []string
	one   [1]string // where names lies if there is one

	size      int
	permits   int
	shared    bool
	wait      time.Duration // forever, 0: try
	lease     time.Duration
	lockDelay time.Duration
	maxHold   time.Duration
	noRenewal bool
	reason    string
	labels    map[string]string
	value     []byte
}

// newRequest returns a hold to be, with what is asked for.
func newRequest(op, name string, wait time.Duration) *Lock {
	l := &Lock{}
	r := &l.request
	r.op, r.wait, r.one[0] = op, wait, name
	r.names = r.one[:]
	return l
}

// forever as a wait ends only with the context.
const forever = -1 * time.Microsecond

// LockOption is an option of [Client.Lock], [Client.LockAll], [Client.Do] and
// [Client.Locker].
type LockOption interface{ applyLock(*request) }

// TryOption is an option of [Client.TryLock].
type TryOption interface{ applyTry(*request) }

// SharedOption is an option of [Client.RLock].
type SharedOption interface{ applyShared(*request) }

// HoldOption is an option of every call that asks for a lock, and of
// [Client.Election].
type HoldOption interface {
	LockOption
	TryOption
	SharedOption
	applyHold(*request)
}

// ShapeOption says how much of a lock is wanted: an option of the calls that
// do not fix it themselves.
type ShapeOption interface {
	LockOption
	TryOption
}

// WaitOption is an option of the calls that wait.
type WaitOption interface {
	LockOption
	SharedOption
}

type holdOption func(*request)

func (f holdOption) applyLock(r *request)   { f(r) }
func (f holdOption) applyTry(r *request)    { f(r) }
func (f holdOption) applyShared(r *request) { f(r) }
func (f holdOption) applyHold(r *request)   { f(r) }

type shapeOption func(*request)

func (f shapeOption) applyLock(r *request) { f(r) }
func (f shapeOption) applyTry(r *request)  { f(r) }

type waitOption func(*request)

func (f waitOption) applyLock(r *request)   { f(r) }
func (f waitOption) applyShared(r *request) { f(r) }

// Size says how many permits the lock has. Whoever takes a new lock first fixes
// its size; with another size than the lock has, the call ends with
// [ErrSizeMismatch]. Without it, or with 0, any size is right and a new lock
// has size 1. Of several locks it is the size of each.
func Size(n int) ShapeOption { return shapeOption(func(r *request) { r.size = n }) }

// Permits says how many permits to take; 0 and the default are 1. Of several
// locks as many of each.
func Permits(n int) ShapeOption { return shapeOption(func(r *request) { r.permits = n }) }

// Shared asks for a hold that others may share but that keeps exclusive ones
// out. Only locks of size 1 can be shared.
func Shared() ShapeOption { return shapeOption(func(r *request) { r.shared = true }) }

// WaitAtMost bounds the wait by the server's clock: then the call ends with
// [ErrWaitTimeout], and says who was in the way. 0 does not wait at all.
// Without it only the context bounds the wait.
func WaitAtMost(d time.Duration) WaitOption {
	if d < 0 {
		d = math.MinInt64 // which nobody takes for forever
	}
	return waitOption(func(r *request) { r.wait = d })
}

// Lease gives the hold a life of its own inside that of the session: it ends
// so long after it was last renewed. The client renews it in time, with slack,
// as long as it can; see [NoRenewal]. 0 and the default are none: the hold
// lives as long as the session.
func Lease(d time.Duration) HoldOption { return holdOption(func(r *request) { r.lease = d }) }

// NoRenewal leaves the renewal of a [Lease] to the program: without
// [Lock.Renew] the hold ends by itself, also if it is never released.
func NoRenewal() HoldOption { return holdOption(func(r *request) { r.noRenewal = true }) }

// LockDelay keeps the permits shut for so long after an involuntary end of the
// hold, so that what its holder sent before it knew can arrive first.
func LockDelay(d time.Duration) HoldOption { return holdOption(func(r *request) { r.lockDelay = d }) }

// MaxHold bounds the time that the lock is held, however well it is renewed:
// then it is lost, with [ReasonMaxHold], and released. 0 and the default do
// not bound it.
func MaxHold(d time.Duration) HoldOption { return holdOption(func(r *request) { r.maxHold = d }) }

// Reason tells others why the lock is held or waited for.
func Reason(text string) HoldOption { return holdOption(func(r *request) { r.reason = text }) }

// Labels tells others more about the hold. Given twice, labels add up.
func Labels(labels map[string]string) HoldOption {
	labels = maps.Clone(labels)
	return holdOption(func(r *request) {
		if r.labels == nil {
			r.labels = make(map[string]string, len(labels))
		}
		maps.Copy(r.labels, labels)
	})
}

// Value puts a small value beside the hold for others to read. See
// [Lock.SetValue].
func Value(v []byte) HoldOption { return holdOption(func(r *request) { r.value = v }) }
