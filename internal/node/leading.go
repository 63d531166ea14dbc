package node

import (
	"context"
	"sync"
	"time"
)

// leading is whether the node leads, for those who want to know when it changes.
// The zero value says no.
type leading struct {
	mu      sync.Mutex // held for a few assignments
	now     bool
	changed chan struct{} // closed at the next change; nil: nobody asked
}

func (l *leading) set(now bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// leads reports whether the node leads.
func (n *Node) leads() bool {
	l := &n.leading
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// Leading reports whether the node leads, and returns a channel that is closed
// when that changes.
func (n *Node) Leading() (now bool, changed <-chan struct{}) {
	l := &n.leading
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.now, l.changed
}

// A pulse shows to somebody outside that the node's own loop goes round. It
// belongs to the goroutine of that loop.
type pulse struct {
	tell  func()
	timer *time.Ticker // nil: nobody wants to know
	due   bool
}

func newPulse(every time.Duration, tell func()) *pulse {
	p := &pulse{tell: tell}
	if every > 0 && tell != nil {
		p.timer = time.NewTicker(every)
	}
	return p
}

// ticks says when the loop is to go round though nothing else happens.
func (p *pulse) ticks() <-chan time.Time {
	if p.timer == nil {
		return nil
	}
	return p.timer.C
}

// round is called when the loop has gone round: it has had the table.
func (p *pulse) round() {
	select {
	case <-p.ticks():
		p.due = true
	default:
	}
	if p.due {
		p.due = false
		p.tell()
	}
}

func (p *pulse) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// awaitLead waits for the lead. Meanwhile the loop goes round with whoever
// applies what others lead: it has the table for a moment.
func (n *Node) awaitLead(p *pulse) (context.Context, error) {
	if p.timer == nil {
		return n.journal.Lead(n.ctx)
	}
	type answer struct {
		lead context.Context
		err  error
	}
	led := make(chan answer, 1)
	go func() { // it ends with the wait, which ends with the node
		lead, err := n.journal.Lead(n.ctx)
		led <- answer{lead, err}
	}()
	for {
		select {
		case a := <-led:
			return a.lead, a.err
		case <-p.ticks():
			p.due = true
			n.settings()
			p.round()
		}
	}
}
