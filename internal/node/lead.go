package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// runLead waits for the lead, again and again, and does a leader's work while
// it lasts.
func (n *Node) runLead() {
	p := newPulse(n.cfg.PulseEvery, n.cfg.Pulse)
	defer p.stop()
	for r := (retry{}); ; {
		lead, err := n.awaitLead(p)
		switch {
		case n.Err() != nil:
			return
		case errors.Is(err, journal.ErrFatal):
			n.broken(err)
			return
		case err != nil:
			n.log.WarnContext(n.ctx, "cannot wait for the lead", "err", err)
			if !r.pause(n.ctx, n) {
				return
			}
			continue
		}
		n.log.InfoContext(lead, "leading")
		n.work(lead, p)
		n.log.InfoContext(lead, "leading no more", "cause", context.Cause(lead))
	}
}

// work returns when the lead, or the node, has ended.
func (n *Node) work(lead context.Context, p *pulse) {
	select {
	case <-n.begun: // nothing comes before the birth of the table
	case <-lead.Done():
		return
	case <-n.ctx.Done():
		return
	}
	n.announce(lead)
	n.leading.set(true)
	defer n.leading.set(false)
	var tasks sync.WaitGroup
	tasks.Go(func() { n.collect(lead) })
	tasks.Go(func() { n.holdCensus(lead) })
	n.keepTime(lead, p)
	tasks.Wait()
}

// announce tells the table who leads, if it believes something else.
func (n *Node) announce(lead context.Context) {
	n.mu.Lock()
	known := n.table.Leader()
	n.mu.Unlock()
	if known == n.cfg.Member {
		return
	}
	if _, err := n.ask(lead, &lock.Lead{Member: n.cfg.Member}); err != nil {
		n.log.WarnContext(lead, "cannot announce the lead", "err", err)
	}
}

// keepTime looks at the clock while there is any deadline, and lets time pass
// in the table when the next one is reached.
func (n *Node) keepTime(lead context.Context, p *pulse) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for r := (retry{}); lead.Err() == nil && n.Err() == nil; {
		wait, bound := n.look()
		p.round()
		if bound && wait == 0 {
			if err := n.propose(lead, newBatch()); err == nil {
				r = retry{}
			} else {
				n.log.WarnContext(lead, "cannot let time pass", "err", err)
				r.pause(lead, n)
			}
			continue
		}
		var ring <-chan time.Time
		if bound {
			timer.Reset(wait)
			ring = timer.C
		}
		select {
		case <-ring:
		case <-n.wakeTimekeeper:
		case <-p.ticks():
			p.due = true
		case <-lead.Done():
		case <-n.ctx.Done():
		}
	}
}

// look looks at the clock and says how long to sleep until the next look; 0 if
// a deadline is reached, false if there is none.
func (n *Node) look() (wait time.Duration, bound bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	next, bound := n.table.NextDeadline()
	n.clock.look(time.Now(), bound)
	if !bound {
		n.clock.planNothing()
		return 0, false
	}
	return n.clock.plan(lock.Duration(next - n.table.Now())), true
}

// collect forgets idle locks from time to time.
func (n *Node) collect(lead context.Context) {
	t := time.NewTicker(max(n.cfg.CollectEvery, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-lead.Done():
			return
		case <-n.ctx.Done():
			return
		}
		cleared := 0
		for more := true; more; {
			var count int
			count, more = n.collectSome(lead)
			cleared += count
		}
		if cleared > 0 {
			n.log.InfoContext(lead, fmt.Sprintf("Lock garbage collection cleared %d locks", cleared))
		}
	}
}

// collectSome forgets a bounded number of idle locks and reports how many, and
// whether there may be more. If every lock is held there is nothing to ask the
// table for.
func (n *Node) collectSome(lead context.Context) (count int, more bool) {
	const most = 1000
	if c := n.Counts(); c.Locks == c.Held {
		return 0, false
	}
	idle := max(spanOf(n.cfg.CollectIdle), lock.Millisecond)
	o, err := n.ask(lead, &lock.Collect{Idle: idle, Max: most})
	if err != nil {
		return 0, false
	}
	return o.Count, o.Count == most
}
