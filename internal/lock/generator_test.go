package lock

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// generator draws commands that are mostly sensible: few names, sessions that
// exist, slots in order, now and then a retry or nonsense.
//
// Every choice comes from draw, which returns a number below its argument.
type generator struct {
	draw        func(n int) int
	incarnation []Incarnation
	sessions    []*simSession
	keys        int
	secrets     int
	holds       []Hold
	last        []Command
	beats       uint64
}

type simSession struct {
	number SessionNumber
	attach uint64
	secret SecretHash
	calls  bool
	// detached: it has no connection, so its secret must do.
	detached bool
	seq      [4]uint64
	ids      int
}

// seeded returns a generator that draws from a seed.
func seeded(seed uint64) *generator { return &generator{draw: rand.New(rand.NewPCG(seed, 1)).IntN} }

// key draws a new key, rarely the newest once more.
func (g *generator) key() Key {
	if g.draw(30) > 0 {
		g.keys++
	}
	var k Key
	for i := range 8 {
		k[i] = byte(g.keys >> (8 * i))
	}
	k[15] = 1
	return k
}

func (g *generator) name() string { return fmt.Sprintf("n%d", g.draw(5)) }

func (g *generator) item() Item {
	it := Item{Name: g.name()}
	switch g.draw(4) {
	case 0:
		it.Mode = Shared
	case 1:
		it.Size = uint32(g.draw(4))
		it.Permits = uint32(g.draw(4))
	}
	return it
}

// caller draws a session and the name of a request of it.
func (g *generator) caller() (Caller, *simSession) {
	if len(g.sessions) == 0 || g.draw(20) == 0 {
		g.keys++
		return Caller{RequestID: fmt.Sprintf("r%d", g.keys)}, nil
	}
	s := g.sessions[g.draw(len(g.sessions))]
	c := Caller{Session: s.number, Attach: s.attach}
	if s.calls || s.detached && g.draw(4) > 0 || g.draw(8) == 0 {
		c.Attach, c.Proof = 0, &s.secret
		if g.draw(3) == 0 {
			c.Session = 0
		}
	}
	if g.draw(4) == 0 {
		s.ids++
		c.RequestID = fmt.Sprintf("r%d", s.ids-g.draw(2))
		c.Attempt = uint64(g.draw(3))
	} else {
		c.Slot = uint32(g.draw(len(s.seq)))
		c.Seq = s.seq[c.Slot] + 1
		switch g.draw(16) {
		case 0:
			c.Seq--
		case 1:
			c.Seq++
		}
	}
	return c, s
}

func (g *generator) hold() Hold {
	if len(g.holds) == 0 {
		return Hold{Name: g.name(), Token: Token(g.draw(50))}
	}
	h := g.holds[g.draw(len(g.holds))]
	switch g.draw(3) {
	case 0:
		h.Key = Key{}
	case 1:
		h.All = true
	}
	return h
}

func (g *generator) span() Duration { return Duration(g.draw(40)) * Second / 4 }

func (g *generator) next() Command {
	if c := g.missing(); c != nil && g.draw(2) == 0 {
		return c
	}
	switch n := g.draw(100); {
	case n < 35:
		return g.acquire()
	case n < 55:
		c, _ := g.caller()
		return &Release{Caller: c, Hold: g.hold()}
	case n < 60:
		c, _ := g.caller()
		return &Renew{Caller: c, Hold: g.hold(), Lease: g.span()}
	case n < 63:
		c, _ := g.caller()
		return &Downgrade{Caller: c, Hold: g.hold()}
	case n < 66:
		c, _ := g.caller()
		v := &SetValue{Caller: c, Hold: g.hold(), Value: []byte{byte(n)}}
		if n == 65 {
			v.Hold = Hold{}
		}
		return v
	case n < 72:
		c, _ := g.caller()
		return &Cancel{c}
	case n < 90:
		return g.session()
	default:
		return g.admin()
	}
}

// missing is what the world lacks for anything to happen in it; nil if it is lively.
func (g *generator) missing() Command {
	switch {
	case len(g.incarnation) == 0:
		return g.join()
	case len(g.sessions) < 3:
		return g.open()
	default:
		return nil
	}
}

func (g *generator) join() Command {
	return &Join{Member: fmt.Sprintf("m%d", g.draw(2)), SameDirectory: g.draw(2) == 0}
}

func (g *generator) open() Command {
	g.secrets++
	o := &Open{TTL: 2*Second + 4*g.span(), OnEnd: OnEnd(g.draw(4)), Incarnation: g.someIncarnation()}
	o.Secret[0], o.Secret[1], o.Secret[2] = byte(g.secrets), byte(g.secrets>>8), 1
	if g.draw(3) == 0 {
		o.Incarnation = 0
	}
	return o
}

func (g *generator) acquire() Command {
	c, _ := g.caller()
	a := &Acquire{Caller: c, Key: g.key(), Items: []Item{g.item()}}
	if g.draw(4) == 0 {
		a.Items = append(a.Items, g.item(), g.item())
	}
	switch g.draw(3) {
	case 0:
		a.Wait = Forever
	case 1:
		a.Wait = g.span()
	}
	if g.draw(2) == 0 || c.Session == 0 {
		a.Lease = g.span()
	}
	if g.draw(4) == 0 {
		a.LockDelay = g.span()
	}
	if g.draw(4) == 0 {
		a.Note = &Note{Reason: "because", Value: []byte("v")}
	}
	return a
}

func (g *generator) someSession() *simSession {
	if len(g.sessions) == 0 {
		return &simSession{number: 77}
	}
	return g.sessions[g.draw(len(g.sessions))]
}

func (g *generator) someIncarnation() Incarnation {
	if len(g.incarnation) == 0 {
		return 1
	}
	return g.incarnation[len(g.incarnation)-1-g.draw(min(2, len(g.incarnation)))]
}

func (g *generator) session() Command {
	s := g.someSession()
	switch g.draw(20) {
	case 0, 1, 2:
		return g.open()
	case 3, 4, 5, 6, 7:
		return &Resume{Session: s.number, Secret: s.secret, Incarnation: g.someIncarnation(), OnEnd: OnEnd(g.draw(4))}
	case 8, 9, 10, 11:
		return &Detach{Session: s.number, Attach: s.attach, Silent: g.span() / 2, ByClient: g.draw(2) == 0}
	case 12, 13, 14, 15, 16:
		return &KeepAlive{Caller{Session: s.number, Proof: &s.secret}}
	case 17:
		return &Close{Caller{Session: s.number, Attach: s.attach, Proof: &s.secret}}
	case 18:
		return &Kill{Session: s.number, Reason: "why"}
	default:
		return &Disown{Session: s.number, Lease: g.span()}
	}
}

func (g *generator) admin() Command {
	switch g.draw(32) {
	default:
		g.beats++
		return &Beat{Incarnation: g.someIncarnation(), Number: g.beats - uint64(g.draw(8)/7)}
	case 0:
		return g.join()
	case 1:
		return &EndMember{Incarnation: g.someIncarnation(), Own: g.draw(2) == 0}
	case 2, 3, 4, 5:
		h := g.hold()
		return &ForceRelease{Name: h.Name, Token: h.Token, Wait: g.draw(2) == 0, Reason: "why"}
	case 6, 7, 8:
		return &Resize{Name: g.name(), Size: uint32(1 + g.draw(3))}
	case 9:
		return &Birth{Wall: uint64(g.draw(1000)), Quiet: g.span() / 8 * Duration(g.draw(2))}
	case 10, 11, 12:
		return &Collect{Idle: g.span(), Max: 2}
	case 13:
		return &Lead{Member: fmt.Sprintf("m%d", g.draw(2))}
	case 14:
		return &Mark{Of: uint64(g.draw(3)), Agreed: Hash{uint64(g.draw(2)), 7}}
	}
}

// learn takes in what came out, so that later commands can refer to it.
func (g *generator) learn(cmds []Command, r *Result) {
	for i, c := range cmds {
		o := &r.Outcomes[i]
		g.learnSlot(c, o)
		if o.Code == MemberEnded {
			g.forgetMember(c)
		}
		if o.Code != OK {
			continue
		}
		switch c := c.(type) {
		case *Open:
			g.learnOpen(c, o)
		case *Resume:
			g.learnAttach(o)
		case *Join:
			g.incarnation = append(g.incarnation, o.Incarnation)
		}
	}
	for i := range r.Events {
		g.learnEvent(&r.Events[i])
	}
	if len(g.holds) > 12 {
		g.holds = g.holds[len(g.holds)-12:]
	}
}

// learnEvent forgets most of what has ended. A little stays, to be asked for in vain.
func (g *generator) learnEvent(e *Event) {
	switch e.Type {
	case HoldAcquired:
		g.holds = append(g.holds, Hold{Name: e.Name, Key: e.Key, Token: e.Token})
	case HoldReleased, HoldExpired, HoldForced:
		if g.draw(4) > 0 {
			g.holds = slices.DeleteFunc(g.holds, func(h Hold) bool { return h.Name == e.Name && h.Token == e.Token })
		}
	case SessionEnded:
		if g.draw(8) > 0 {
			g.sessions = slices.DeleteFunc(g.sessions, func(s *simSession) bool { return s.number == e.Session })
		}
	case SessionDetached:
		for _, s := range g.sessions {
			s.detached = s.detached || s.number == e.Session
		}
	}
}

// forgetMember drops an incarnation that turned out to be over.
func (g *generator) forgetMember(c Command) {
	var over Incarnation
	switch c := c.(type) {
	case *Open:
		over = c.Incarnation
	case *Resume:
		over = c.Incarnation
	case *Beat:
		over = c.Incarnation
	case *EndMember:
		over = c.Incarnation
	}
	g.incarnation = slices.DeleteFunc(g.incarnation, func(in Incarnation) bool { return in == over })
}

func (g *generator) learnOpen(c *Open, o *Outcome) {
	if o.Alive != nil {
		g.learnAttach(o)
		return
	}
	g.sessions = append(g.sessions, &simSession{
		number: o.Session, attach: o.Attach, secret: c.Secret, calls: c.Incarnation == 0,
	})
	if len(g.sessions) > 8 {
		g.sessions = g.sessions[1:]
	}
}

func (g *generator) learnAttach(o *Outcome) {
	for _, s := range g.sessions {
		if s.number == o.Session {
			s.attach, s.detached = o.Attach, false
		}
	}
}

// learnSlot takes the seq of a request that was taken.
func (g *generator) learnSlot(c Command, o *Outcome) {
	switch o.Code {
	case Stale, SlotMisused, Superseded, SessionLost:
		return
	}
	caller := callerOf(c)
	if caller == nil || caller.RequestID != "" || caller.Seq == 0 {
		return
	}
	for _, s := range g.sessions {
		if s.number == caller.Session {
			s.seq[caller.Slot] = max(s.seq[caller.Slot], caller.Seq)
		}
	}
}

// callerOf returns the part of a command that names a request; nil if it has none.
func callerOf(c Command) *Caller {
	switch c := c.(type) {
	case *Acquire:
		return &c.Caller
	case *Release:
		return &c.Caller
	case *Renew:
		return &c.Caller
	case *Downgrade:
		return &c.Caller
	case *SetValue:
		return &c.Caller
	case *Cancel:
		return &c.Caller
	default:
		return nil
	}
}

func (g *generator) entry(term uint64) Entry {
	e := Entry{Term: term, StampTerm: term}
	switch g.draw(12) {
	case 0:
		e.Elapsed = g.span()
	case 1, 2, 3:
		e.Elapsed = g.span() / 10
	}
	for range 1 + g.draw(3) {
		if len(g.last) > 0 && g.draw(10) == 0 {
			e.Commands = append(e.Commands, g.last[g.draw(len(g.last))])
		} else {
			e.Commands = append(e.Commands, g.next())
		}
	}
	g.last = append(g.last, e.Commands...)
	if len(g.last) > 10 {
		g.last = g.last[len(g.last)-10:]
	}
	if g.draw(50) == 0 {
		e.StampTerm--
	}
	return e
}
