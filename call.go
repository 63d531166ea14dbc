package ldlm

import (
	"slices"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/clock"
)

// signal wakes the goroutine that made a call.
type signal uint8

const (
	signalQueued signal = iota // the request waits
	signalDone                 // the outcome is there
)

// call is one operation of a session from its first sending to its outcome,
// over as many connections as it takes. It occupies a slot meanwhile.
//
// The fields above the line are set before the call begins and not changed
// until it is done. Those below are guarded by the session's mutex until
// signalDone was sent; then they are the caller's.
type call struct {
	op ldlmv2.Op
	// Bodies of op, here so that frequent calls allocate nothing.
	acquire ldlmv2.Acquire
	release ldlmv2.Release
	renew   ldlmv2.Renew
	// waits says that the call may wait in a queue.
	waits bool
	// stamped says that the time of the first sending matters.
	stamped bool
	// lock is what the call is about: an acquire makes it held.
	lock *Lock
	// background says that nobody waits for the outcome.
	background bool
	// signals has room for both signals, so that sending never blocks.
	signals chan signal
	// patience bounds the wait for the outcome where no context does; made
	// when it is first needed.
	patience *time.Timer

	// ---
	// order numbers the calls of a session as they begin.
	order uint64
	// sent is just before the first sending, if stamped.
	sent clock.Instant
	// queued says that signalQueued was sent; then ahead and self say of the place in
	// the queue what was told of it. The outcome may be there before the caller looks.
	queued bool
	ahead  int
	self   bool
	// canceling: the caller has gone and a cancel decides; a grant does not count.
	canceling bool
	// deferred: refused for the moment, or unknown; it is asked again later.
	deferred bool
	done     bool
	// answer is the outcome, unless err is set.
	answer answer
	err    error
}

// answer is what a server said to an operation.
type answer struct {
	code   ldlmv2.Code
	status *ldlmv2.Status
	token  uint64
	fence  uint64
	fences []uint64
	key    [16]byte
	atOnce bool
	waited time.Duration
}

// read copies what a frame says; the frame's memory is used again.
func (a *answer) read(f *ldlmv2.Answer) {
	*a = answer{
		code: f.GetCode(), status: f.GetStatus(),
		token: f.GetToken(), fence: f.GetFence(), fences: slices.Clone(f.GetFences()),
		atOnce: f.GetAtOnce(), waited: fromMicros(f.GetWaitedUs()),
	}
	copy(a.key[:], f.GetKey())
}

// takeOver makes ca the rest of a call whose caller has its answer: what is left
// is to learn the outcome.
func (ca *call) takeOver(of *call) {
	ca.op.Slot, ca.op.Seq = of.op.Slot, of.op.Seq
	ca.waits, ca.order, ca.sent = of.waits, of.order, of.sent
	ca.canceling = of.isAcquire()
	ca.background = true
	if r := of.op.Release; r != nil {
		ca.op.Release = &ldlmv2.Release{Name: r.Name, Token: r.Token, Key: r.Key, All: r.All}
	}
	if r := of.op.Renew; r != nil {
		ca.op.Renew = &ldlmv2.Renew{Name: r.Name, Token: r.Token, Key: r.Key, LeaseUs: r.LeaseUs, All: r.All}
	}
	ca.op.Downgrade, ca.op.SetValue = of.op.Downgrade, of.op.SetValue
}

// isAcquire reports whether the call asks for locks.
func (ca *call) isAcquire() bool { return ca.op.Acquire != nil || ca.op.AcquireAll != nil }

// settles reports whether an answer of this code ends the call. While a cancel
// is under way neither a place in the queue nor a grant does: the answer to the
// cancel is still to come.
func (ca *call) settles(code ldlmv2.Code) bool {
	switch code {
	case ldlmv2.Code_CODE_QUEUED:
		return false
	case ldlmv2.Code_CODE_OK:
		return !ca.canceling
	default:
		return true
	}
}

// newCall returns a call that is ready to be filled in.
func (s *session) newCall() *call {
	if ca, ok := s.calls.Get().(*call); ok {
		return ca
	}
	return &call{signals: make(chan signal, 2)}
}

// freeCall takes a call back that is done and that nobody looks at any more.
func (s *session) freeCall(ca *call) {
	ca.op.Acquire, ca.op.AcquireAll, ca.op.Release, ca.op.Renew = nil, nil, nil, nil
	ca.op.Downgrade, ca.op.SetValue = nil, nil
	ca.acquire.Note = nil
	ca.waits, ca.stamped, ca.lock, ca.background = false, false, nil, false
	ca.order, ca.sent = 0, clock.Instant{}
	ca.queued, ca.canceling, ca.deferred, ca.done = false, false, false, false
	ca.ahead, ca.self = 0, false
	ca.answer, ca.err = answer{}, nil
	for len(ca.signals) > 0 { // a caller that left did not look
		<-ca.signals
	}
	s.calls.Put(ca)
}
