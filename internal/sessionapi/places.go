package sessionapi

import (
	"sync/atomic"
	"time"
)

// placeLinger is how long the word that a request waits may wait itself for
// something else to be told. Where a lock goes from hand to hand many times
// faster than that, the grant is that something, and the word of the place, which nobody
// needs then, takes no message of its own.
const placeLinger = 10 * time.Millisecond

// placesToTell are the places in queues that gather to be told. The conversation's
// turn guards it.
type placesToTell struct {
	// rouse has the conversation written to; set once.
	rouse func()
	// size is what they take in the frame, waiting says that the timer runs for them.
	size    int
	waiting bool
	timer   *time.Timer
	// due: they have waited long enough.
	due atomic.Bool
}

// mayWait reports whether they may wait for something else to be told. If so,
// rouse is called when they have waited long enough.
func (p *placesToTell) mayWait() bool {
	switch {
	case p.size == 0, p.due.Load():
		return false
	case p.waiting:
	case p.timer == nil:
		p.waiting, p.timer = true, time.AfterFunc(placeLinger, p.isDue)
	default:
		p.waiting = true
		p.timer.Reset(placeLinger)
	}
	return true
}

func (p *placesToTell) isDue() {
	p.due.Store(true)
	p.rouse()
}

// told is called when they are told, alone or beside something else.
func (p *placesToTell) told() {
	if p.size = 0; p.timer == nil {
		return
	}
	p.timer.Stop()
	p.waiting = false
	p.due.Store(false) // also of a timer that ran out meanwhile
}
