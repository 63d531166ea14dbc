package wire

import "time"

// pace decides whether a poller sleeps when nothing has come. To sleep and to be
// woken up can take longer than all else that is done for a request, while the next
// one may be a few microseconds away. So when the last sleeps were short, the poller
// looks again and again for a while before the next one, and when that was in vain,
// it sleeps until sleeps are short again. A server that has nothing to do, or rarely,
// never spins; one that does not get what it spins for wastes a bounded part of
// its time.
type pace struct {
	// may be: there is more than one processor.
	may bool
	// short is how many of the last sleeps, in a row, would have been spared.
	short int
}

const (
	// spinFor is how long the poller looks for more before it sleeps. It is about
	// what it takes another process to be woken up by an answer and to ask anew.
	spinFor = 100 * time.Microsecond
	// spinsAfter is how many short sleeps in a row it takes.
	spinsAfter = 4
)

// spins reports whether to look again. began is when there was nothing left to do.
func (p *pace) spins(began time.Time) bool {
	if !p.may || p.short < spinsAfter {
		return false
	}
	if time.Since(began) > spinFor {
		p.short = 0
		return false
	}
	return true
}

// slept notes how long a sleep was.
func (p *pace) slept(d time.Duration) {
	if d > spinFor {
		p.short = 0
	} else {
		p.short++
	}
}
