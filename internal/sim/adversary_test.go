package sim

import (
	"fmt"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// torment puts into the agenda what goes wrong.
func (w *world) torment() {
	p := &w.plan
	w.every(p.stop, func() { w.someClient().machine.halt(w.between(0, p.stopMost), false) })
	w.every(p.suspend, func() { w.someClient().machine.halt(w.between(0, p.suspendMost), true) })
	w.every(p.cutOff, func() { w.someClient().cutOff(w.between(0, p.cutOffMost)) })
	w.every(p.sever, func() { w.someClient().sever(true, true) })
	w.every(p.half, func() { up := w.happens(500); w.someClient().sever(up, !up) })
	w.every(p.reset, func() { w.someClient().reset() })
	w.every(p.crash, func() { w.someClient().crashAndStart() })
	w.every(p.memberStop, func() { w.member.machine.halt(w.between(0, p.memberStopMost), false) })
	w.every(p.memberCrash, w.restartMember)
	w.every(p.memberCut, func() { w.member.cutOff(w.between(0, p.memberCutMost)) })
	w.every(p.replace, w.replaceMember)
	w.every(p.elect, w.electSomebody)
	w.every(p.leaderStop, w.stopLeader)
	w.every(p.force, w.forceSomething)
	w.every(p.kill, w.killSomebody)
	w.every(p.collect, func() { w.propose(&lock.Collect{Idle: second, Max: 2}) })
}

func (w *world) someClient() *client { return w.clients[w.chance.IntN(len(w.clients))] }

// plugs are the client's ends of its connections, the newest last.
func (c *client) plugs() []*plug {
	var all []*plug
	if s := c.session; s != nil {
		for _, l := range s.old {
			all = append(all, l.plug)
		}
		if s.link != nil {
			all = append(all, s.link.plug)
		}
	}
	if c.caller != nil && c.caller.plug != nil {
		all = append(all, c.caller.plug)
	}
	return all
}

// cutOff takes the client off the network. Its connections survive it, or do not.
func (c *client) cutOff(d span) {
	c.w.note(c.name(), "is cut off for %s", d)
	c.machine.cutOffUntil = c.w.now.add(d)
	c.machine.trouble(d)
	if c.v1 {
		c.machine.trouble(d + v1Silence)
	}
	if c.w.happens(500) {
		for _, p := range c.plugs() {
			p.cable.breakSilently(true, true)
		}
	}
}

// sever breaks the client's newest connection without a word. Who loses a
// session by one such break has done something wrong; by several, perhaps not.
func (c *client) sever(toServer, toClient bool) {
	plugs := c.plugs()
	if len(plugs) == 0 {
		return
	}
	cable := plugs[len(plugs)-1].cable
	c.w.note(c.name(), "cable %d breaks: to server %v, to client %v", cable.number, toServer, toClient)
	cable.breakSilently(toServer, toClient)
	if c.v1 || c.w.now < c.severed.add(2*c.ttl) {
		c.machine.trouble(c.ttl + v1Silence)
	}
	c.severed = c.w.now
}

// reset has something on the way end the connection. Where that would look
// like the client's end to a session that ends with it, there is nothing on
// the way.
func (c *client) reset() {
	plugs := c.plugs()
	if len(plugs) == 0 || c.onEnd != lock.OnEndKeep {
		return
	}
	if c.v1 {
		c.machine.trouble(c.ttl)
	}
	cable := plugs[len(plugs)-1].cable
	c.w.note(c.name(), "cable %d is reset", cable.number)
	cable.reset()
}

func (c *client) crashAndStart() {
	if c.down {
		return
	}
	c.crash(c.w.happens(c.w.plan.machineToo))
	c.w.in(c.w.between(10*millisecond, 2*c.ttl), c.start)
}

// restartMember ends the member's process and starts another one.
func (w *world) restartMember() {
	if w.member.down {
		return
	}
	d := w.between(10*millisecond, w.plan.memberDown)
	w.watch.trouble(d)
	w.member.crash()
	w.in(d, w.startMember)
}

// startMember starts the member on what its journal remembers: a disk all, a
// memory nothing.
func (w *world) startMember() {
	j, m := w.journal, w.member
	switch {
	case w.plan.journal == inMemory:
		w.watch.forgotten()
		j.begin(m.wall(), w.plan.quiet())
		w.watch.trouble(w.plan.quiet())
	case w.plan.journal == onDisk:
		j.reload()
	}
	if w.plan.journal != moving {
		j.elect(j.seats[0])
	}
	m.startUp()
}

// cutOff keeps the order of commands from the member, and what it proposes from
// the order. Its clients still reach it.
func (m *member) cutOff(d span) {
	m.w.note(m.name(), "is cut off from the order for %s", d)
	m.severedUntil = max(m.severedUntil, m.w.now.add(d))
}

// replaceMember has another machine take the place of the member, which stands
// still, or is cut off: somebody takes it for dead.
func (w *world) replaceMember() {
	old := w.member
	if old.down {
		return
	}
	d := w.between(second, w.plan.replaceMost)
	if w.happens(500) {
		old.machine.halt(d, w.happens(500))
	} else {
		old.cutOff(d)
	}
	w.in(w.between(0, d), func() {
		if w.member != old || old.down {
			return
		}
		w.replaceNow(old)
	})
}

func (w *world) replaceNow(old *member) {
	w.watch.trouble(w.plan.memberLease + second) // so long the old one is believed
	old.replaced = true
	w.replaced++
	w.member = newMember(w, newMachine(w, fmt.Sprintf("member %d", w.replaced)))
	w.note(w.member.name(), "takes the place of %s", old.name())
	w.member.startUp()
}

// wall is the member's wall clock, which goes with its clock.
func (m *member) wall() uint64 { return 1_700_000_000_000_000 + uint64(m.machine.boot()) }

// electSomebody has the lead lost, and after a while somebody has it.
func (w *world) electSomebody() {
	if w.member.down && w.plan.journal == onDisk {
		return
	}
	w.journal.depose()
	d := w.between(10*millisecond, w.plan.vacancy)
	w.watch.trouble(d + second)
	w.in(d, func() {
		if w.journal.leader == nil && !(w.member.down && w.plan.journal == onDisk) {
			w.journal.elect(w.journal.seats[w.chance.IntN(len(w.journal.seats))])
		}
	})
}

// stopLeader stops the machine that leads. After a while another one leads.
func (w *world) stopLeader() {
	if w.journal.leader == nil {
		return
	}
	m := w.journal.leader.machine
	d := w.between(0, w.plan.leaderStopMost)
	m.halt(d, w.happens(300))
	w.watch.trouble(d)
	w.in(w.between(500*millisecond, 1500*millisecond), func() {
		if m.halted {
			w.electSomebody()
		}
	})
}

// propose is for commands of administrators, who do not try twice.
func (w *world) propose(c lock.Command) {
	if w.member.down {
		return
	}
	w.journal.propose(&proposal{
		commands: []lock.Command{c},
		member:   w.member,
		life:     w.member.machine.life,
		applied:  func([]lock.Outcome) {},
		refused:  func() {},
	})
}

// forceSomething ends a hold against its holder's will, or asks for it. Grants
// of several locks are left alone: see the package's doc.
func (w *world) forceSomething() {
	table := w.journal.table
	sessions, _ := table.ListSessions(0, 100)
	var single []lock.HoldView
	for _, s := range sessions {
		holds := table.HoldsOf(s.Number, 100)
		for i, h := range holds {
			if (i == 0 || holds[i-1].Token != h.Token) && (i+1 == len(holds) || holds[i+1].Token != h.Token) {
				single = append(single, h)
			}
		}
	}
	if len(single) == 0 {
		return
	}
	h := single[w.chance.IntN(len(single))]
	wait := w.happens(500)
	w.note("admin", "forces token %d of %s, waiting %v", h.Token, h.Name, wait)
	w.propose(&lock.ForceRelease{Name: h.Name, Token: h.Token, Wait: wait, Reason: "because"})
}

func (w *world) killSomebody() {
	views, _ := w.journal.table.ListSessions(0, 100)
	if len(views) == 0 {
		return
	}
	n := views[w.chance.IntN(len(views))].Number
	w.note("admin", "kills session %d", n)
	w.watch.trouble(second)
	w.propose(&lock.Kill{Session: n, Reason: "because"})
}
