package sim

import "github.com/ldlm-io/ldlm/internal/lock"

// auditEvery is how often the observer compares the table with the clients.
const auditEvery = 250 * millisecond

// audit finds what should be over and is not.
func (o *observer) audit() {
	o.w.in(auditEvery, o.audit)
	if o.muted&liveness != 0 {
		return
	}
	o.auditHolds()
	o.auditSessions()
	now := o.w.journal.table.Now()
	for name, wait := range o.waits {
		if now > wait.deadline {
			o.fail(liveness, "waits on", "slot %d seq %d of session %d waits longer than it asked for",
				name.slot, name.seq, name.session)
			return
		}
	}
}

// auditHolds finds holds that nobody has known of for too long.
func (o *observer) auditHolds() {
	known := o.known()
	views, _ := o.w.journal.table.List(lock.LockFilter{}, 0, 1000, 1000, 0)
	for i := range views {
		for j := range views[i].Holders {
			h := &views[i].Holders[j]
			g := o.grants[grantName{o.w.journal.life, h.Token}]
			switch {
			case h.Delay:
			case known[h.Token]:
				g.disbelieved = false
			case !g.disbelieved:
				g.disbelieved, g.unbelieved = true, o.calm
			case o.calm-g.unbelieved > o.patience():
				o.fail(liveness, "stuck", "nobody has believed in token %d of %s for %s", h.Token, h.Name, o.calm-g.unbelieved)
				return
			}
		}
	}
}

// patience is how long a hold may outlast the belief in it: its holder may be
// away for a ttl, come back, and go again.
func (o *observer) patience() span { return 2*o.w.plan.ttl + o.silence(o.w.plan.ttl) }

// known are the tokens that clients believe in.
func (o *observer) known() map[lock.Token]bool {
	known := map[lock.Token]bool{}
	for _, c := range o.w.clients {
		if s := c.session; s != nil && s.life == o.w.journal.life {
			for _, h := range s.holds {
				known[h.token] = known[h.token] || h.believed()
			}
		}
		if c.caller != nil && !c.down {
			for _, h := range c.caller.holds {
				known[h.token] = true
			}
		}
	}
	return known
}

// auditSessions finds sessions that live although nobody has given a sign of
// life for longer than their ttl.
func (o *observer) auditSessions() {
	views, _ := o.w.journal.table.ListSessions(0, 1000)
	for i := range views {
		v := &views[i]
		silent := o.calm - o.lives[lifeName{o.w.journal.life, v.Number}]
		if silent > o.silence(v.TTL) {
			o.fail(liveness, "stuck", "session %d lives, %d holds and %d waits, though its client is silent for %s",
				v.Number, v.Holds, v.Waits, silent)
			return
		}
	}
}

// silence is how long a client may be silent before its session must be over:
// its ttl; where its member can end elsewhere, what is left of that one's lease;
// and up to three times what a change of leaders gives it.
func (o *observer) silence(ttl span) span {
	most := max(ttl, v1Silence)*106/100 + 3*second
	if o.w.plan.journal == moving {
		most += o.w.plan.memberLease
	}
	if o.w.journal.term > 1 {
		most += 3 * min(ttl, o.w.plan.memberLease)
	}
	return most
}
