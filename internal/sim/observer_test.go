package sim

import (
	"fmt"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// harm is what a violation does: safety is two believers, a stale write, or
// the like; liveness a lock that sticks or is lost without cause.
type harm uint8

const (
	safety harm = 1 << iota
	liveness
)

func (h harm) String() string { return map[harm]string{safety: "safety", liveness: "liveness"}[h] }

// violation is a broken promise.
type violation struct {
	harm harm
	kind string
	text string
}

// observer knows the true time and sees everything at once. It looks after
// every event whether the promises hold.
type observer struct {
	w *world
	// muted harms are not reported.
	muted harm

	grants  map[grantName]*grant
	granted int        // how many there were
	newest  lock.Token // ever granted, in all lives of the table
	queues  map[string][]*wait
	waits   map[waitName]*wait
	lives   map[lifeName]span // calm when a session last gave a sign of life
	killed  map[lifeName]bool
	// unheard are sessions that were given up though their clients had spoken.
	unheard map[lifeName]bool
	stores  map[string]*store
	applies int

	// calm is for how long all has been well with the server: what must happen
	// in time must happen within so much of it. troubledUntil and stalledUntil
	// say until when it is not: something went wrong, or somebody stood still.
	calm                        span
	looked                      instant
	troubledUntil, stalledUntil instant
}

type (
	// grantName names a grant among all lives of the table.
	grantName struct {
		life  int
		token lock.Token
	}
	lifeName struct {
		life    int
		session lock.SessionNumber
	}
	waitName struct {
		life    int
		session lock.SessionNumber
		slot    uint32
		seq     uint64
	}
)

// grant is what the observer knows of one.
type grant struct {
	order int // among all grants
	// unbelieved is the calm at which nobody believed in it any more.
	unbelieved  span
	disbelieved bool
	// forced says that an administrator ended it, killed that its session was
	// ended so, revoked that its end was asked for. The holder of a forced one
	// may believe until then.
	forced, killed, revoked bool
	until                   instant
	// over says that one of its holds has ended in the table.
	over bool
}

// wait is a request that waits, in the queue of each of its locks.
type wait struct {
	name     waitName
	locks    []string
	deadline lock.Time
}

// store takes writes of holders, unless it has seen a newer token or fence.
type store struct {
	highest lock.Token
	// newest is the order of the newest exclusive grant that has written.
	newest int
}

func newObserver(w *world) *observer {
	o := &observer{
		w: w, grants: map[grantName]*grant{}, waits: map[waitName]*wait{},
		lives: map[lifeName]span{}, killed: map[lifeName]bool{}, unheard: map[lifeName]bool{}, stores: map[string]*store{},
	}
	o.forgotten()
	for _, name := range lockNames {
		o.stores[name] = &store{}
	}
	return o
}

// forgotten is told that the table begins anew.
func (o *observer) forgotten() {
	for _, g := range o.grants {
		g.over = true
	}
	o.queues = map[string][]*wait{}
	clear(o.waits)
}

// fail reports a violation, the first one.
func (o *observer) fail(h harm, kind, format string, args ...any) {
	if o.w.failure == nil && o.muted&h == 0 {
		o.w.failure = &violation{h, kind, fmt.Sprintf(format, args...)}
	}
}

// trouble says that for so long things may take longer, or be lost.
func (o *observer) trouble(d span) { o.troubledUntil = max(o.troubledUntil, o.w.now.add(d)) }

// look is called after every event.
func (o *observer) look() {
	w := o.w
	leads := w.journal.leader != nil && w.journal.leader.established && !w.journal.leader.machine.halted
	switch {
	case !leads || w.member.down || w.member.machine.halted || w.now < w.member.severedUntil:
		o.stalledUntil = max(o.stalledUntil, w.now.add(second))
	case o.looked >= max(o.troubledUntil, o.stalledUntil):
		o.calm += w.now.since(o.looked)
	}
	o.looked = w.now
	o.checkBelief()
}

// belief sums up who believes in one lock.
type belief struct {
	permits uint32
	shared  int
	holders int
}

// checkBelief finds locks that more clients believe in than there is room for.
func (o *observer) checkBelief() {
	var all [8]belief
	for _, c := range o.w.clients {
		if c.v1 {
			o.addV1(c, &all)
			continue
		}
		for _, s := range c.earlier {
			o.addSession(s, &all)
		}
		if c.session != nil {
			o.addSession(c.session, &all)
		}
	}
	for i, name := range lockNames {
		b := &all[i]
		if b.permits > sizeOf(name) || b.shared > 0 && b.permits > 0 {
			o.fail(safety, "two believers", "%s is believed to be held by %d: %d permits exclusively, %d shared",
				name, b.holders, b.permits, b.shared)
		}
	}
}

func (o *observer) addSession(s *session, all *[8]belief) {
	for _, h := range s.holds {
		if !h.believed() {
			continue
		}
		if g := o.grants[grantName{s.life, h.token}]; g != nil && g.forced {
			if o.w.now > g.until {
				o.fail(safety, "belief after force", "%s believes in token %d longer than it may after a forced release",
					s.client.name(), h.token)
			}
			continue
		}
		for _, it := range h.items {
			all[indexOf(it.Name)].add(it)
		}
	}
}

func (o *observer) addV1(c *client, all *[8]belief) {
	v := c.caller
	if v == nil || !v.believed() {
		return
	}
	for _, h := range v.holds {
		switch g := o.grants[grantName{o.w.journal.life, h.token}]; {
		case g != nil && g.killed && o.w.now > g.until:
			o.fail(safety, "belief after force", "%s believes in token %d longer than it may after its session was killed",
				c.name(), h.token)
		case h.lease > 0 || g != nil && (g.forced || g.revoked):
			// The protocol can neither count a lease nor tell of force.
		default:
			all[indexOf(h.item.Name)].add(h.item)
		}
	}
}

func (b *belief) add(it lock.Item) {
	b.holders++
	if it.Mode == lock.Shared {
		b.shared++
		return
	}
	b.permits += max(it.Permits, 1)
}

func indexOf(name string) int {
	for i, n := range lockNames {
		if n == name {
			return i
		}
	}
	panic("sim: no lock " + name)
}

// write sends a write to the stores of a hold's locks; it may be late.
func (o *observer) write(h *hold) {
	w := o.w
	g := o.grants[grantName{h.s.life, h.token}]
	if g == nil {
		return
	}
	for i, it := range h.items {
		if sizeOf(it.Name) > 1 {
			continue // a token of such a lock only names the grant
		}
		number := h.token
		if it.Mode == lock.Shared {
			number = h.fences[i]
		}
		w.in(w.between(0, w.plan.lateWrite), func() { o.written(it, number, g) })
	}
}

// written is a store's turn: it compares numbers, the observer compares grants.
func (o *observer) written(it lock.Item, number lock.Token, g *grant) {
	s := o.stores[it.Name]
	if number < s.highest {
		if !g.over {
			o.fail(liveness, "write refused", "%s refuses number %d of grant %d, which stands", it.Name, number, g.order)
		}
		return
	}
	s.highest = number
	if g.order < s.newest {
		o.fail(safety, "stale write", "%s takes a write under number %d of grant %d after one of grant %d",
			it.Name, number, g.order, s.newest)
	}
	if it.Mode == lock.Exclusive {
		s.newest = max(s.newest, g.order)
	}
}
