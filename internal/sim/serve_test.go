package sim

import (
	"slices"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// attachment is a connection of the native protocol at the member's end, and
// the session on it.
type attachment struct {
	m       *member
	plug    *plug
	session lock.SessionNumber
	attach  uint64
	ttl     span
	hello   hello
	// confirmed is when the newest hello or keep-alive was read that was
	// confirmed. Silence counts from then, but from no earlier than the attaching
	// was applied: until then another connection of the session, newer for its
	// client, may have been confirmed.
	confirmed reading
	leaving   bool // its detach is on the way
	asked     []question
}

// accept takes a new connection; its first frame says what it is.
func (m *member) accept(p *plug) {
	p.hangup = func() {}
	p.receive = func(f frame) {
		switch f := f.(type) {
		case hello:
			a := &attachment{m: m, plug: p, hello: f}
			p.receive, p.hangup = a.receive, a.hangup
			m.sessions = append(m.sessions, a)
			a.begin(m.machine.boot())
		case v1Hello:
			c := &v1Connection{m: m, plug: p}
			p.receive, p.hangup = c.receive, c.hangup
			m.callers = append(m.callers, c)
			c.begin()
		}
	}
}

// begin opens or resumes the session.
func (a *attachment) begin(read reading) {
	m, h := a.m, a.hello
	if m.incarnation == 0 {
		a.shut()
		return
	}
	if !m.mayVouch() {
		m.sendBeat()
	}
	var c lock.Command = &lock.Open{
		Secret: h.secret, TTL: h.ttl, OnEnd: h.onEnd, Incarnation: m.incarnation,
	}
	if h.session != 0 {
		c = &lock.Resume{Session: h.session, Secret: h.secret, OnEnd: h.onEnd, Incarnation: m.incarnation}
	}
	m.pursue([]lock.Command{c}, true, func(o []lock.Outcome) { a.begun(read, o[0]) })
}

// begun answers hello.
func (a *attachment) begun(read reading, o lock.Outcome) {
	m := a.m
	switch {
	case o.Code == lock.SessionLost:
		a.finish()
		return
	case o.Code != lock.OK:
		a.shut()
		return
	}
	m.w.note(m.name(), "session %d is attached as %d on cable %d, open %v", o.Session, o.Attach, a.plug.cable.number, a.plug.open())
	a.session, a.attach, a.ttl = o.Session, max(a.attach, o.Attach), o.TTL
	if !m.w.broken.SilenceFromRead {
		read = m.machine.boot()
	}
	if a.confirmed = max(a.confirmed, read); !a.plug.open() {
		m.w.watch.trouble(second) // a late copy takes the session from its connection
		if !m.w.broken.ComparesNothing {
			a.detach(false)
		}
		return
	}
	if !a.vouched() {
		a.shut()
		return
	}
	m.w.watch.confirmed(o.Session)
	a.plug.send(welcome{
		session: a.session, attach: a.attach, ttl: o.TTL, validFor: m.w.margin(o.TTL), alive: o.Alive,
	})
	m.dropOlder(a)
}

// dropOlder closes the connections on which the session was before.
func (m *member) dropOlder(a *attachment) {
	for _, old := range slices.Clone(m.sessions) {
		if old.session == a.session && old.attach < a.attach {
			old.shut()
		}
	}
}

// vouched reports whether the member may confirm the client's life: its own
// table shows the session attached to it under this connection's number, and
// it knows itself to be alive.
func (a *attachment) vouched() bool {
	m := a.m
	if m.w.broken.ConfirmsUnlooked {
		return true
	}
	return m.mayVouch() && m.table().Attached(a.session, a.attach, m.incarnation)
}

// receive takes a frame of the client.
func (a *attachment) receive(f frame) {
	switch f := f.(type) {
	case keepAlive:
		a.keepAlive(f)
	case question:
		a.question(f)
	case goodbye:
		if a.attach != 0 {
			c := lock.Caller{Session: a.session, Attach: a.attach}
			a.m.pursueOne(&lock.Close{Caller: c}, func(lock.Outcome) {})
		}
	}
}

func (a *attachment) keepAlive(f keepAlive) {
	m, read := a.m, a.m.machine.boot()
	if !a.vouched() {
		return
	}
	if !m.w.broken.AnswersAfterDetach || !a.leaving {
		a.confirmed = read
	}
	if !m.w.broken.ConfirmsUnlooked {
		m.w.watch.confirmed(a.session)
	}
	a.plug.send(confirmation{number: f.number, validFor: m.w.margin(a.ttl)})
}

// question proposes what the client asks for.
func (a *attachment) question(f question) {
	if a.attach == 0 {
		return
	}
	m := a.m
	caller := lock.Caller{Session: a.session, Attach: a.attach, Slot: f.slot, Seq: f.seq}
	if m.w.broken.CancelsWithConnection || m.w.broken.CancelsUnnumbered {
		a.asked = append(a.asked, f)
	}
	m.pursueOne(f.ask(caller, m.w.newKey()), func(o lock.Outcome) {
		a.answer(answer{f.slot, f.seq, o})
	})
}

func (a *attachment) answer(f answer) {
	if f.outcome.Code != lock.Queued {
		a.asked = slices.DeleteFunc(a.asked, func(q question) bool { return q.slot == f.slot && q.seq == f.seq })
	}
	a.plug.send(f)
}

// cancelAll is what a member must not do when a connection ends: cancel what
// was asked on it. It does so under the connection's number, or with the
// session's secret.
func (a *attachment) cancelAll() {
	for _, q := range a.asked {
		c := lock.Caller{Session: a.session, Attach: a.attach, Slot: q.slot, Seq: q.seq}
		if a.m.w.broken.CancelsUnnumbered {
			c.Attach, c.Proof = 0, &a.hello.secret
		}
		a.m.pursueOne(&lock.Cancel{Caller: c}, func(lock.Outcome) {})
	}
	a.asked = nil
}

// settle answers a question whose wait is over, on the connection that asked last.
func (m *member) settle(s *lock.Settled) {
	for _, a := range m.sessions {
		if a.session == s.Session && a.attach == s.Attach && s.Outcome.Code != lock.Superseded {
			a.answer(answer{s.Slot, s.Seq, s.Outcome})
		}
	}
	for _, c := range m.callers {
		if c.session == s.Session {
			c.settle(s)
		}
	}
}

// tell passes on what concerns a client that did not ask for it.
func (m *member) tell(e *lock.Event) {
	if e.Type == lock.SessionEnded {
		m.tellEnd(e)
		return
	}
	n := notice{name: e.Name, token: e.Token, reason: e.Reason, revoked: e.Type == lock.HoldRevoked}
	if n.revoked || e.Type == lock.HoldForced || e.Type == lock.HoldExpired && e.Reason == lock.Expired {
		for _, a := range m.sessions {
			if a.session == e.Session && a.attach == e.Attach {
				a.notify(n)
			}
		}
	}
}

// notify sends a notice. It leaves before whatever is confirmed later.
func (a *attachment) notify(n notice) {
	if a.m.w.broken.NoticesLag {
		a.m.machine.after(a.m.w.between(0, 40*second), func() { a.plug.send(n) })
		return
	}
	a.plug.send(n)
}

func (m *member) tellEnd(e *lock.Event) {
	if m.w.broken.KeepsEndedConnections {
		return
	}
	for _, a := range slices.Clone(m.sessions) {
		if a.session == e.Session {
			a.finish()
		}
	}
	for _, c := range slices.Clone(m.callers) {
		if c.session == e.Session {
			c.shut()
		}
	}
}

// finish tells the client that its session is over, and closes.
func (a *attachment) finish() {
	a.plug.send(ended{})
	a.shut()
}

// shut closes the connection and forgets it.
func (a *attachment) shut() {
	a.plug.close()
	a.forget()
}

func (a *attachment) forget() {
	m := a.m
	m.sessions = slices.DeleteFunc(m.sessions, func(b *attachment) bool { return a == b })
}

// hangup is told that the client's side has ended the connection.
func (a *attachment) hangup() {
	a.forget()
	if a.attach != 0 {
		a.detach(true)
	}
}

// detach reports the end of the connection.
func (a *attachment) detach(byClient bool) {
	m := a.m
	a.cancelAll()
	silent := m.machine.boot().since(a.confirmed)
	if m.w.broken.HidesSilence {
		silent = 0
	}
	if m.w.broken.EndsWithStream && byClient {
		silent = a.ttl
	}
	m.w.note(m.name(), "detaches session %d as %d, silent for %s, by client %v", a.session, a.attach, silent, byClient)
	d := &lock.Detach{Session: a.session, Attach: a.attach, Silent: silent, ByClient: byClient}
	m.detach(d, func() {
		if m.w.broken.AnswersAfterDetach {
			a.shut()
		}
	})
}

// detach pursues a detach. Until it is known, comparing says nothing new.
func (m *member) detach(d *lock.Detach, done func()) {
	if m.detaching[d.Attach] {
		return
	}
	m.detaching[d.Attach] = true
	m.pursueOne(d, func(lock.Outcome) {
		delete(m.detaching, d.Attach)
		done()
	})
}

// look gives the client up if it has been silent for half its ttl.
func (a *attachment) look() {
	m := a.m
	if a.attach == 0 || a.leaving || m.w.broken.NeverGivesUp {
		return
	}
	if m.machine.boot().since(a.confirmed) <= a.ttl/2 {
		return
	}
	m.w.watch.givenUp(a)
	if !m.w.broken.AnswersAfterDetach {
		a.shut()
	}
	a.leaving = true
	a.detach(false)
}
