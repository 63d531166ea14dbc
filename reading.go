package ldlm

import (
	"errors"
	"net"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// reading is whose turn it is to read from a link.
//
// At first that is the read goroutine. Waking the caller of each answer costs
// a change of goroutines, and often one of processors, which is more than
// anything else that a call costs. So while calls come one by one the read
// goroutine stands by, and whoever has made a call reads its answer himself.
//
// Nobody but the read goroutine can wait for two things at once, so a caller
// reads only for a short while: the read goroutine looks now and then and takes
// over if nothing has come, whether a caller is still reading or has gone.
// Until it looks, what the server says of its own accord may lie unread.
//
// Guarded by the session's mutex, but for frame.
type reading struct {
	turn turnToRead
	// frames counts what was read, alone how many of them in a row left no call
	// under way.
	frames uint64
	alone  int
	// hurried says that reads were made to fail, to get a caller out of one.
	hurried bool
	// relief tells the read goroutine that it has the turn; room for one.
	relief chan struct{}

	// frame belongs to whoever has the turn.
	frame ldlmv2.ServerFrame
}

// turnToRead is who reads.
type turnToRead uint8

const (
	ofReader turnToRead = iota // the read goroutine
	ofCaller                   // the caller who has taken it
	ofNobody                   // the next caller, or the read goroutine when it looks
)

const (
	// standByAfter is after how many calls that came one by one the read
	// goroutine stands by.
	standByAfter = 16
	// firstLook is when it then looks whether somebody still reads, lastLook how
	// rarely it does if somebody always did: many clients in one process have many
	// goroutines that look.
	firstLook = 2 * time.Millisecond
	lastLook  = 16 * time.Millisecond
)

// interruptible is a carrier whose Receive can be made to fail with a time-out
// at any time, and go on later.
type interruptible interface {
	// Interrupt has Receive fail, now and until Resume; false if it cannot.
	Interrupt() bool
	Resume() bool
}

// takeTurnToRead gives a caller the turn if nobody has it. Then readFor must
// follow without the session's mutex, which is held.
func (l *link) takeTurnToRead() bool {
	if l.reading.turn != ofNobody {
		return false
	}
	l.reading.turn = ofCaller
	return true
}

// readFor reads, for a caller that has the turn, until its call is done or has
// to wait for longer.
func (l *link) readFor(ca *call) {
	for {
		err := l.carrier.Receive(&l.reading.frame)
		switch {
		case err != nil && l.wasInterrupted(err):
			return
		case err != nil:
			l.session.linkBroke(l, err)
			l.attend()
			return
		case !l.session.handle(l, &l.reading.frame):
			l.attend()
			return
		case !l.keepTurn(ca):
			return
		}
	}
}

// keepTurn reports whether a caller is to read on.
func (l *link) keepTurn(ca *call) bool {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.slots.busy == 0:
		l.reading.turn = ofNobody
		return false
	case ca.done, ca.queued, s.slots.busy > 1:
		l.reading.turn = ofNobody
		l.attendLocked()
		return false
	}
	return true
}

// attend has the read goroutine read again. It does not wait.
func (l *link) attend() {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	l.reading.turn = ofNobody
	l.attendLocked()
}

// attendLocked is attend if nobody has the turn. The session's mutex is held.
func (l *link) attendLocked() {
	if l.reading.turn == ofNobody {
		l.reading.turn = ofReader
		l.reading.relief <- struct{}{} // has room: the turn is given once
	}
}

// wasInterrupted gives the turn up if that was asked for: then the error of a
// read means nothing else.
func (l *link) wasInterrupted(err error) bool {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.reading.hurried || !isTimeout(err) {
		return false
	}
	l.reading.turn = ofNobody
	l.attendLocked()
	return true
}

// note notes that a frame was read which left so many calls under way.
func (r *reading) note(f *ldlmv2.ServerFrame, busy int) {
	r.frames++
	switch {
	case busy > 0:
		r.alone = 0
	case len(f.Answers) > 0:
		r.alone++
	}
}

// mayStandBy reports whether the read goroutine, which has just read a frame,
// is to leave the next ones to callers.
func (l *link) mayStandBy() bool {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &l.reading
	if r.alone < standByAfter || s.slots.busy > 0 || s.link != l {
		return false
	}
	r.alone = 0
	if i, ok := l.carrier.(interruptible); !ok || !i.Resume() {
		return false
	}
	r.turn = ofNobody
	return true
}

// standBy leaves reading to callers until it is the read goroutine's turn again.
// It reports false if the link was closed.
func (l *link) standBy() bool {
	t := time.NewTimer(firstLook)
	defer t.Stop()
	seen := uint64(0)
	for next := firstLook; ; {
		select {
		case <-l.reading.relief:
			l.resumeReading()
			return true
		case <-l.gone:
			return false
		case <-t.C:
			seen = l.lookAtReading(seen)
			next = min(2*next, lastLook)
			t.Reset(next)
		}
	}
}

// lookAtReading takes the turn if nothing was read since the last look, or has
// the caller who reads give it up. It returns how much was read.
func (l *link) lookAtReading(seen uint64) uint64 {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &l.reading
	switch {
	case r.frames != seen:
	case r.turn == ofNobody:
		l.attendLocked()
	case r.turn == ofCaller:
		r.hurried = l.carrier.(interruptible).Interrupt()
	}
	return r.frames
}

// resumeReading makes reads wait again.
func (l *link) resumeReading() {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.reading.hurried {
		l.reading.hurried = false
		l.carrier.(interruptible).Resume() // a read fails if it does
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
