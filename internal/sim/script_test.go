package sim

// Scripts make faults meet that seldom do by chance, each so that one rule is
// all that stands between them and harm.

// scripted are the trials that need one.
var scripted = []trial{
	{rule: "StampsBeforeClosing", slow: true, harm: safety, plan: func(p *plan) {
		p.journal, p.ttl, p.leased, p.locks, p.longWork = onDisk, 2*second, 1000, 1, 800
	}, mean: 5 * second, script: closesLate},
	{rule: "ServesBeforeBeat", slow: true, harm: safety, plan: calmFarMember, mean: 15 * second, script: losesBeats},
	{rule: "BeatCountsFromAnswer", harm: safety, plan: calmFarMember, mean: 15 * second, script: hearsOfBeatLate},
	{rule: "OldConnectionsCount", harm: safety, plan: calmFarMember, mean: 15 * second, script: comesBackElsewhere},
	{rule: "IgnoresNumbers", harm: safety, plan: func(p *plan) {
		p.locks, p.longWork = 2, 800
	}, mean: 15 * second, script: hearsOfKeepAliveLate},
}

// calmFarMember is a plan in which the order of commands is elsewhere, and
// nothing goes wrong by itself.
func calmFarMember(p *plan) {
	p.journal, p.ttl, p.memberLease, p.longWork = moving, 2*second, 3*second, 500
}

// someHolder draws a client that believes in a lock, or nobody.
func (w *world) someHolder() *client {
	var holders []*client
	for _, c := range w.clients {
		if c.session == nil {
			continue
		}
		for _, h := range c.session.holds {
			if h.believed() {
				holders = append(holders, c)
				break
			}
		}
	}
	if len(holders) == 0 {
		return nil
	}
	return holders[w.chance.IntN(len(holders))]
}

// newest is the client's newest connection, if it has one.
func (c *client) newest() *plug {
	plugs := c.plugs()
	if len(plugs) == 0 {
		return nil
	}
	return plugs[len(plugs)-1]
}

// stall has nothing arrive at this end for so long.
func (p *plug) stall(d span) { p.last = max(p.last, p.cable.w.now.add(d)) }

// cutOffIn cuts a client off, later and for longer than it believes.
func (c *client) cutOffIn(d span) {
	c.w.in(d, func() {
		c.w.note(c.name(), "is cut off")
		c.machine.cutOffUntil = c.w.now.add(2 * c.ttl)
		for _, p := range c.plugs() {
			p.cable.breakSilently(true, true)
		}
	})
}

// closesLate has one batch stay open for long while others do not; then
// clients stop that have just renewed their leases.
func closesLate(w *world) {
	gather := w.plan.gather
	w.plan.gather = 6 * second
	w.in(200*millisecond, func() { w.plan.gather = gather })
	for _, c := range w.clients {
		w.in(w.between(second, 4*second), func() { c.machine.halt(4*second, false) })
	}
}

// losesBeats starts a member whose beats are lost, and which then loses sight
// of the order.
func losesBeats(w *world) {
	w.restartMember()
	w.in(w.plan.memberDown, func() { w.plan.lose = 600 })
	cut := w.plan.memberDown + w.between(500*millisecond, 1500*millisecond)
	w.in(cut, func() {
		w.plan.lose = 0
		w.member.cutOff(8 * second)
	})
	for _, c := range w.clients {
		if w.happens(700) {
			c.cutOffIn(cut + w.between(2*second, 6*second))
		}
	}
}

// awaits calls f when something has happened, if it does within a few seconds.
func (w *world) awaits(happened func() bool, f func()) {
	const often, long = millisecond, 3 * second
	var look func(span)
	look = func(left span) {
		switch {
		case happened():
			f()
		case left > 0:
			w.in(often, func() { look(left - often) })
		}
	}
	look(long)
}

// hearsOfBeatLate cuts a member off right behind a beat, which is taken. It hears of
// that late, and is cut off again before its next one. Then another one takes its
// place, to which all clients go but one.
func hearsOfBeatLate(w *world) {
	c, old := w.someHolder(), w.member
	if c == nil {
		return
	}
	beat := old.beat
	w.awaits(func() bool { return old.beat > beat }, func() {
		if w.member != old {
			return
		}
		const late = 1900 * millisecond // with every clock before its next beat but one
		old.cutOff(late)
		w.in(late, func() {
			w.awaits(func() bool { return len(old.backlog) == 0 }, func() { w.leaveBehind(old, c) })
		})
	})
}

// leaveBehind cuts a member off with one client, and has another one take its place.
func (w *world) leaveBehind(old *member, with *client) {
	if w.member != old {
		return
	}
	old.cutOff(6 * second)
	w.in(10*millisecond, func() {
		w.replaceNow(old)
		for _, c := range w.clients {
			if c != with {
				c.sever(true, true)
			}
		}
	})
}

// hearsOfKeepAliveLate has a client hear of a keep-alive when it has sent the next one,
// which is lost with everything after it.
func hearsOfKeepAliveLate(w *world) {
	c := w.someHolder()
	if c == nil {
		return
	}
	s, beats := c.session, c.session.beats
	w.awaits(func() bool { return s.beats > beats }, func() {
		p := c.newest()
		if s.over || p == nil {
			return
		}
		late := c.ttl * 39 / 100
		p.stall(late)
		w.in(c.ttl/10, func() { p.cable.breakSilently(true, false) })
		c.cutOffIn(late + 10*millisecond)
	})
}

// comesBackElsewhere has a client that gets no answers resume at the member
// that has just taken the place of its own. Its own still vouches. Then it
// loses the new connection, and at last all.
func comesBackElsewhere(w *world) {
	c, old := w.someHolder(), w.member
	if c == nil || c.newest() == nil {
		return
	}
	old.cutOff(6 * second)
	w.replaceNow(old)
	c.newest().stall(1300 * millisecond)
	w.in(w.between(1500*millisecond, 1900*millisecond), func() { c.sever(true, true) })
	c.cutOffIn(2600 * millisecond)
}
