package sim

import (
	"slices"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// applied is told what came out of an entry.
func (o *observer) applied(e *entry, r *lock.Result) {
	life := o.w.journal.life
	h := history{o: o, life: life, granted: map[lock.Token]*wait{}, killed: map[lock.SessionNumber]span{}}
	for i, c := range e.Commands {
		h.outcome(c, &r.Outcomes[i])
	}
	for i := range r.Settled {
		h.settled(&r.Settled[i])
	}
	for i := range r.Events {
		h.event(&r.Events[i])
	}
	if o.applies++; o.applies%256 == 0 {
		o.checkTable()
	}
}

// history puts together what came out of one entry: events have an order, but
// do not say which of a session's requests they are about; outcomes and settled
// requests do.
type history struct {
	o    *observer
	life int
	// queued are the requests that began to wait, ended those that ceased to
	// without a grant, each once for each of its locks.
	queued, ended []*wait
	// granted are those that waited and were granted.
	granted map[lock.Token]*wait
	// killed says how long clients of killed sessions may still believe.
	killed map[lock.SessionNumber]span
}

// outcome follows waits, and what administrators do.
func (h *history) outcome(c lock.Command, out *lock.Outcome) {
	o := h.o
	switch c := c.(type) {
	case *lock.Acquire:
		name := waitName{h.life, c.Session, c.Slot, c.Seq}
		if o.waits[name] != nil || out.Code != lock.Queued {
			return
		}
		w := &wait{name: name, deadline: 1 << 62}
		if c.Wait != lock.Forever {
			w.deadline = o.w.journal.table.Now() + lock.Time(c.Wait)
		}
		for _, it := range c.Items {
			w.locks = append(w.locks, it.Name)
			h.queued = append(h.queued, w)
		}
		o.waits[name] = w
	case *lock.ForceRelease:
		if g := o.grants[grantName{h.life, c.Token}]; g != nil && out.Code == lock.OK && !c.Wait {
			o.force(g, out.MayBelieve)
		}
	case *lock.Join:
		o.trouble(second) // a late copy ends the incarnation that an earlier one began
	case *lock.Kill:
		if out.Code == lock.OK {
			h.killed[c.Session] = out.MayBelieve
		}
	}
}

func (h *history) settled(s *lock.Settled) {
	name := waitName{h.life, s.Session, s.Slot, s.Seq}
	w := h.o.waits[name]
	switch {
	case s.Outcome.Code == lock.Superseded:
		return
	case w == nil:
		h.o.fail(safety, "broken history", "session %d slot %d seq %d ends to wait but did not begin", s.Session, s.Slot, s.Seq)
		return
	case s.Outcome.Code == lock.OK:
		h.granted[s.Outcome.Token] = w
	default:
		for range w.locks {
			h.ended = append(h.ended, w)
		}
	}
	delete(h.o.waits, name)
}

func (o *observer) checkTable() {
	if err := o.w.journal.table.Check(); err != nil {
		o.fail(safety, "broken table", "%v", err)
	}
}

// compareTables finds that a copy of the table differs from it.
func (o *observer) compareTables(t *lock.Table) {
	if t.Hash() != o.w.journal.table.Hash() {
		o.fail(safety, "tables differ", "a copy of the table:\n%s", t.Describe())
	}
}

// event follows queues and tokens.
func (h *history) event(e *lock.Event) {
	o := h.o
	switch e.Type {
	case lock.RequestQueued:
		o.note(e, "waits")
		o.queues[e.Name] = append(o.queues[e.Name], h.queued[0])
		h.queued = h.queued[1:]
	case lock.WaitEnded:
		o.note(e, "waits no more")
		w := h.ended[0]
		h.ended = h.ended[1:]
		o.queues[e.Name] = slices.DeleteFunc(o.queues[e.Name], func(v *wait) bool { return v == w })
	case lock.HoldAcquired:
		o.note(e, "granted")
		o.grant(h.life, e)
		h.overtaken(e)
	case lock.HoldForced:
		o.note(e, "forced")
		h.over(e)
		if mayBelieve, ok := h.killed[e.Session]; ok {
			g := o.grants[grantName{h.life, e.Token}]
			g.killed = true
			o.force(g, mayBelieve)
		}
	case lock.HoldRevoked:
		o.note(e, "revoked")
		if g := o.grants[grantName{h.life, e.Token}]; g != nil {
			g.revoked = true
		}
	case lock.HoldExpired, lock.HoldReleased:
		o.note(e, "ends")
		h.over(e)
	case lock.SessionOpened, lock.SessionResumed:
		o.lives[lifeName{h.life, e.Session}] = o.calm
	case lock.SessionEnded:
		o.note(e, "session ends")
		if e.Reason == lock.Forced {
			o.killed[lifeName{h.life, e.Session}] = true
		}
	}
}

func (h *history) over(e *lock.Event) {
	if g := h.o.grants[grantName{h.life, e.Token}]; g != nil {
		g.over = true
	}
}

func (o *observer) note(e *lock.Event, what string) {
	o.w.note("table", "session %d: %s %s, token %d, mode %d, permits %d, reason %d", e.Session, e.Name, what,
		e.Token, e.Mode, e.Permits, e.Reason)
}

// grant takes note of a grant and checks that tokens grow.
func (o *observer) grant(life int, e *lock.Event) {
	name := grantName{life, e.Token}
	if o.grants[name] != nil {
		return // the next lock of several
	}
	if e.Token <= o.newest {
		o.fail(safety, "token went back", "token %d is granted after %d", e.Token, o.newest)
	}
	o.newest = max(o.newest, e.Token)
	o.granted++
	o.grants[name] = &grant{order: o.granted}
}

// overtaken checks that who is granted a lock was first in its queue; who did
// not wait, that there was none.
func (h *history) overtaken(e *lock.Event) {
	o, w := h.o, h.granted[e.Token]
	q := o.queues[e.Name]
	switch {
	case w == nil && len(q) > 0:
		o.fail(safety, "overtaken", "%s is granted at once to session %d, but session %d waits",
			e.Name, e.Session, q[0].name.session)
	case w != nil && (len(q) == 0 || q[0] != w):
		o.fail(safety, "overtaken", "%s is granted to session %d, which was not first in the queue", e.Name, e.Session)
	case w != nil:
		o.queues[e.Name] = q[1:]
	}
}

// force says that a holder may believe in its grant for so long, by whatever
// clock counts least.
func (o *observer) force(g *grant, mayBelieve span) {
	if g.forced {
		return
	}
	g.forced = true
	g.until = o.w.now.add(mayBelieve * 106 / 100)
}

// confirmed is told that a session's client has given a sign of life.
func (o *observer) confirmed(s lock.SessionNumber) {
	name := lifeName{o.w.journal.life, s}
	o.lives[name] = o.calm
	delete(o.unheard, name)
}

// lost judges the end of belief in a session.
func (o *observer) lost(c *client, s *session) {
	if o.unheard[lifeName{s.life, s.number}] {
		o.fail(liveness, "lost without cause", "%s lost session %d: it was given up, and what it had said was not read", c.name(), s.number)
		return
	}
	if o.killed[lifeName{s.life, s.number}] || o.excused(c) {
		return
	}
	o.fail(liveness, "lost without cause", "%s lost session %d though all was well", c.name(), s.number)
}

// excused reports whether there has been trouble enough, lately, for a loss.
func (o *observer) excused(c *client) bool {
	lately := o.w.now.add(-max(3*c.ttl/2, v1Silence))
	return max(o.troubledUntil, o.stalledUntil, c.machine.troubledUntil) > lately
}

// holdLost judges the end of belief in a hold alone.
func (o *observer) holdLost(h *hold, why string) {
	g := o.grants[grantName{h.s.life, h.token}]
	if g == nil || g.forced || g.revoked || o.excused(h.s.client) || h.lease > 0 && o.severed(h.s.client) {
		return
	}
	o.fail(liveness, "lost without cause", "%s lost token %d though all was well: %s", h.s.client.name(), h.token, why)
}

// canceled is told of a request that ended as if its client had cancelled it.
func (o *observer) canceled(s *session, c *call) {
	o.fail(liveness, "lost without cause", "%s has slot %d seq %d cancelled without asking for it", s.client.name(), c.slot, c.seq)
}

// severed reports whether the client has lost a connection lately. That is no
// excuse for the loss of a session, but a lease may be too short for it.
func (o *observer) severed(c *client) bool { return c.severed > o.w.now.add(-2*c.ttl) }

// v1Lost judges the end of a connection of the first protocol.
func (o *observer) v1Lost(v *v1Caller) {
	if !o.excused(v.c) {
		o.fail(liveness, "lost without cause", "%s lost its connection though all was well", v.c.name())
	}
}

// givenUp is told of a client that is taken for silent. What a client has said while the
// member stood still lies there to be read: such a silence is no cause for a loss.
func (o *observer) givenUp(a *attachment) {
	if a.m.stalled && len(a.plug.inbox) > 0 && a.plug.inbox[0].at <= o.w.now {
		o.unheard[lifeName{o.w.journal.life, a.session}] = true
	}
}

// v1Expired judges a lock time-out that was over before it was refreshed. That
// the server stalled is no excuse where it leads: it counts little of such a time.
func (o *observer) v1Expired(v *v1Caller, h *v1Hold) {
	g := o.grants[grantName{o.w.journal.life, h.token}]
	lately := o.w.now.add(-v1Silence)
	troubled := max(o.troubledUntil, v.c.machine.troubledUntil)
	if o.w.plan.journal == moving {
		troubled = max(troubled, o.stalledUntil)
	}
	if g == nil || g.forced || g.revoked || troubled > lately {
		return
	}
	o.fail(liveness, "lost without cause", "%s could not refresh token %d", v.c.name(), h.token)
}
