package sim

import (
	"slices"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// The first protocol: calls on a connection, whose end ends the session. Its
// clients keep no clock; they learn of a loss by the end of the connection.

// v1Hello begins a connection.
type v1Hello struct{}

// v1Call is a call, or the end of the interest in one.
type v1Call struct {
	number uint64
	ask    asking
	cancel bool
}

// v1Reply answers a call.
type v1Reply struct {
	number  uint64
	outcome lock.Outcome
}

// v1Ping and v1Pong tell a connection that is quiet from one that is broken.
type (
	v1Ping struct{}
	v1Pong struct{}
)

// Periods of the first protocol at the member.
const (
	v1PingEvery = 2 * second
	v1Silence   = 6 * second
	// v1Patience is how long the member tries to learn an outcome that a caller
	// waits for; then it ends the connection.
	v1Patience = 4 * second
)

// v1Connection is a connection of the first protocol at the member's end.
type v1Connection struct {
	m       *member
	plug    *plug
	session lock.SessionNumber
	attach  uint64
	early   []v1Call // that came before the session stood
	slots   []*v1Slot
	// heard is when something was read last, pinged when the ping was sent that
	// is not answered yet, 0 if there is none.
	heard, pinged reading
}

// v1Slot carries one call at a time.
type v1Slot struct {
	seq       uint64
	call      uint64 // 0: free
	canceling bool
}

// begin opens the connection's session, with a secret that only the member knows.
func (c *v1Connection) begin() {
	m := c.m
	if m.incarnation == 0 {
		c.shut()
		return
	}
	c.heard = m.machine.boot()
	if !m.mayVouch() {
		m.sendBeat()
	}
	open := &lock.Open{OnEnd: lock.OnEndAlways, TTL: m.w.plan.ttl, Incarnation: m.incarnation, Secret: lock.SecretHash(
		append(slices.Repeat([]byte{2}, 16), sliceOf(m.w.newKey())...))}
	m.pursue([]lock.Command{open}, true, func(o []lock.Outcome) {
		if o[0].Code != lock.OK {
			c.shut()
			return
		}
		c.session, c.attach = o[0].Session, max(c.attach, o[0].Attach)
		m.w.watch.confirmed(c.session)
		if !c.plug.open() {
			c.detach()
			return
		}
		early := c.early
		c.early = nil
		for _, f := range early {
			c.receive(f)
		}
	})
}

func sliceOf(k lock.Key) []byte { return k[:] }

func (c *v1Connection) receive(f frame) {
	c.heard, c.pinged = c.m.machine.boot(), 0
	if c.attach != 0 {
		c.m.w.watch.confirmed(c.session)
	}
	call, ok := f.(v1Call)
	switch {
	case !ok:
	case c.attach == 0:
		c.early = append(c.early, call)
	case call.cancel:
		c.cancel(call)
	default:
		c.call(call)
	}
}

// call gives a call a slot of the session and pursues it.
func (c *v1Connection) call(call v1Call) {
	i := slices.IndexFunc(c.slots, func(s *v1Slot) bool { return s.call == 0 })
	if i < 0 {
		i = len(c.slots)
		c.slots = append(c.slots, &v1Slot{})
	}
	s := c.slots[i]
	s.seq++
	s.call, s.canceling = call.number, false
	c.pursue(i, call.ask)
}

func (c *v1Connection) caller(slot int) lock.Caller {
	return lock.Caller{Session: c.session, Attach: c.attach, Slot: uint32(slot), Seq: c.slots[slot].seq}
}

// pursue asks until the outcome is known. If that takes too long the
// connection ends: on one that stays open the caller would take silence, or an
// error, for "not acquired".
func (c *v1Connection) pursue(slot int, ask asking) {
	m, s := c.m, c.slots[slot]
	seq, known := s.seq, false
	m.pursueOne(ask(c.caller(slot), m.w.newKey()), func(o lock.Outcome) {
		known = true
		if s.seq != seq || c.slots[slot] != s {
			return
		}
		if o.Code == lock.Superseded && c.plug.open() {
			// A late copy of the opening has given the connection a new number.
			m.machine.after(20*millisecond, func() { c.pursue(slot, ask) })
			return
		}
		if o.Code != lock.Queued && !(s.canceling && o.Code == lock.OK && o.Key != lock.Key{}) {
			c.reply(slot, o)
		}
	})
	patience := v1Patience
	if m.w.broken.AnswersUnknown {
		patience = v1Patience / 8
	}
	m.machine.after(patience, func() {
		switch {
		case known || s.seq != seq:
		case m.w.broken.AnswersUnknown:
			c.plug.send(v1Reply{s.call, lock.Outcome{Code: lock.Held}})
			c.slots[slot] = &v1Slot{seq: s.seq, call: ^uint64(0)}
		default:
			m.w.note(m.name(), "does not know an outcome in time, ends cable %d", c.plug.cable.number)
			c.shut()
		}
	})
}

// cancel gives back what a call got or may get.
func (c *v1Connection) cancel(call v1Call) {
	for i, s := range c.slots {
		if s.call == call.number && !s.canceling {
			s.canceling = true
			c.pursue(i, func(who lock.Caller, _ lock.Key) lock.Command { return &lock.Cancel{Caller: who} })
		}
	}
}

// settle answers a call whose wait is over.
func (c *v1Connection) settle(s *lock.Settled) {
	if int(s.Slot) >= len(c.slots) {
		return // only a table that breaks a rule says so
	}
	slot := c.slots[s.Slot]
	if s.Outcome.Code != lock.Superseded && slot.seq == s.Seq && slot.call != 0 && !slot.canceling {
		c.reply(int(s.Slot), s.Outcome)
	}
}

func (c *v1Connection) reply(slot int, o lock.Outcome) {
	s := c.slots[slot]
	c.plug.send(v1Reply{s.call, o})
	s.call = 0
}

// look ends a connection that is broken, or that the member may not vouch for
// until it looks again: its client has no clock of its own to go by.
func (c *v1Connection) look() {
	m := c.m
	now := m.machine.boot()
	switch {
	case c.attach != 0 && !m.mayVouchFor(2*lookEvery) && !m.w.broken.KeepsCallersPastLease:
		c.shut()
	case c.pinged != 0 && now.since(c.pinged) > v1Silence-v1PingEvery:
		c.shut()
	case c.pinged == 0 && now.since(c.heard) > v1PingEvery:
		c.pinged = now
		c.plug.send(v1Ping{})
	}
}

// shut ends the connection, and with it the session.
func (c *v1Connection) shut() {
	c.plug.close()
	c.hangup()
}

// hangup is told of the connection's end.
func (c *v1Connection) hangup() {
	m := c.m
	m.callers = slices.DeleteFunc(m.callers, func(d *v1Connection) bool { return c == d })
	if c.attach != 0 {
		c.detach()
	}
}

func (c *v1Connection) detach() {
	c.m.w.note(c.m.name(), "ends session %d with its connection", c.session)
	c.m.detach(&lock.Detach{Session: c.session, Attach: c.attach, ByClient: true}, func() {})
}

// v1Caller is a connection of the first protocol from its client's side.
type v1Caller struct {
	c     *client
	plug  *plug
	calls []*v1Pending
	count uint64
	holds []*v1Hold
	heard reading
}

type v1Pending struct {
	number uint64
	item   lock.Item
	done   func(lock.Outcome)
}

// v1Hold is what such a client has: a key.
type v1Hold struct {
	item  lock.Item
	key   lock.Key
	token lock.Token // for the observer; the protocol does not tell it
	lease span
	gone  bool
}

func newV1Caller(c *client) *v1Caller {
	v := &v1Caller{c: c}
	v.connect()
	return v
}

func (v *v1Caller) connect() {
	v.c.w.dial(v.c.machine, func(p *plug) {
		if p == nil {
			v.c.machine.after(v.c.w.between(100*millisecond, second), v.connect)
			return
		}
		v.plug, v.heard = p, v.c.machine.boot()
		p.receive, p.hangup = v.receive, v.hangup
		p.send(v1Hello{})
		v.watch(p)
		for _, t := range v.c.tasks {
			t.mayGoOn()
		}
	})
}

// watch gives a connection up on which the member is not heard.
func (v *v1Caller) watch(p *plug) {
	v.c.machine.after(second, func() {
		switch {
		case v.plug != p:
		case v.c.machine.boot().since(v.heard) > v1Silence:
			p.close()
			v.hangup()
		default:
			v.watch(p)
		}
	})
}

// hangup is told of the connection's end: with it goes everything.
func (v *v1Caller) hangup() {
	v.c.w.watch.v1Lost(v)
	v.plug, v.calls, v.holds = nil, nil, nil
	for _, t := range v.c.tasks {
		t.rest()
	}
	v.c.machine.after(v.c.w.between(100*millisecond, second), v.connect)
}

func (v *v1Caller) receive(f frame) {
	v.heard = v.c.machine.boot()
	switch f := f.(type) {
	case v1Ping:
		v.plug.send(v1Pong{})
	case v1Reply:
		i := slices.IndexFunc(v.calls, func(p *v1Pending) bool { return p.number == f.number })
		if i >= 0 {
			p := v.calls[i]
			v.calls = slices.Delete(v.calls, i, i+1)
			p.done(f.outcome)
		}
	}
}

func (v *v1Caller) call(it lock.Item, ask asking, done func(lock.Outcome)) uint64 {
	v.count++
	v.calls = append(v.calls, &v1Pending{v.count, it, done})
	v.plug.send(v1Call{number: v.count, ask: ask})
	return v.count
}

// begin is a task's turn: lock, work, unlock, with a lock time-out now and then
// that is refreshed meanwhile.
func (v *v1Caller) begin(t *task) {
	w := v.c.w
	if v.plug == nil {
		t.waiting = true
		return
	}
	name := lockNames[w.chance.IntN(min(len(lockNames), w.plan.locks))]
	it := lock.Item{Name: name, Size: sizeOf(name), Permits: 1}
	var lease span
	if w.happens(w.plan.leased) {
		lease = w.between(2*second, 4*second)
	}
	wait := lock.Forever
	if w.happens(300) {
		wait = 0
	}
	round := t.round
	number := v.call(it, func(who lock.Caller, k lock.Key) lock.Command {
		return &lock.Acquire{Caller: who, Items: []lock.Item{it}, Wait: wait, Lease: lease, Key: k}
	}, func(o lock.Outcome) {
		switch {
		case t.round != round && o.Code == lock.OK:
			v.unlock(&v1Hold{item: it, key: o.Key})
		case t.round != round:
		case o.Code != lock.OK:
			t.rest()
		default:
			v.work(t, &v1Hold{item: it, key: o.Key, token: o.Token, lease: lease})
		}
	})
	if w.happens(w.plan.giveUp) {
		t.later(w.between(0, w.plan.patience), func() { v.giveUp(t, number) })
	}
}

// giveUp cancels a call that is not answered yet. A grant that crosses the
// cancelling is given back, where the protocol's real clients would forget it.
func (v *v1Caller) giveUp(t *task, number uint64) {
	i := slices.IndexFunc(v.calls, func(p *v1Pending) bool { return p.number == number })
	if i < 0 || v.plug == nil {
		return
	}
	item := v.calls[i].item
	v.calls[i].done = func(o lock.Outcome) {
		if o.Code == lock.OK && v.plug != nil {
			v.unlock(&v1Hold{item: item, key: o.Key})
		}
	}
	v.plug.send(v1Call{number: number, cancel: true})
	t.rest()
}

func (v *v1Caller) work(t *task, h *v1Hold) {
	w := v.c.w
	v.holds = append(v.holds, h)
	w.note(v.c.name(), "has %s, token %d, lease %d", h.item.Name, h.token, h.lease)
	if h.lease > 0 {
		v.refreshLater(t, h)
	}
	length := w.between(0, w.plan.work)
	if w.happens(w.plan.longWork) {
		length = w.between(0, 6*w.plan.ttl)
	}
	t.later(length, func() {
		v.forget(h)
		v.unlock(h)
		t.rest()
	})
}

func (v *v1Caller) unlock(h *v1Hold) {
	v.call(h.item, func(who lock.Caller, _ lock.Key) lock.Command {
		return &lock.Release{Caller: who, Hold: lock.Hold{Name: h.item.Name, Key: h.key}}
	}, func(lock.Outcome) {})
}

func (v *v1Caller) forget(h *v1Hold) {
	h.gone = true
	v.holds = slices.DeleteFunc(v.holds, func(g *v1Hold) bool { return g == h })
}

// refreshLater renews the lock time-out, as that protocol's client does.
func (v *v1Caller) refreshLater(t *task, h *v1Hold) {
	t.later(h.lease/3, func() {
		if h.gone || v.plug == nil {
			return
		}
		v.call(h.item, func(who lock.Caller, _ lock.Key) lock.Command {
			return &lock.Renew{Caller: who, Hold: lock.Hold{Name: h.item.Name, Key: h.key}, Lease: h.lease}
		}, func(o lock.Outcome) {
			switch {
			case h.gone:
			case o.Code == lock.OK:
				v.refreshLater(t, h)
			default:
				v.c.w.watch.v1Expired(v, h)
				v.forget(h)
			}
		})
	})
}

// believed reports whether the holds count: while the connection is whole and
// both its ends run. Beyond that the first protocol promises nothing.
func (v *v1Caller) believed() bool {
	if v.plug == nil || v.c.down || !v.plug.cable.whole() {
		return false
	}
	host := v.plug.other.host
	return !host.halted && v.c.w.now >= host.woke.add(2*lookEvery)
}
