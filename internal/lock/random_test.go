package lock

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// generator draws commands that are mostly sensible: few names, sessions that
// exist, slots in order, now and then a retry or nonsense.
type generator struct {
	r           *rand.Rand
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
	seq    [4]uint64
	ids    int
}

func newGenerator(seed uint64) *generator {
	return &generator{r: rand.New(rand.NewPCG(seed, 1))}
}

func (g *generator) key() Key {
	g.keys++
	var k Key
	for i := range 8 {
		k[i] = byte(g.keys >> (8 * i))
	}
	k[15] = 1
	return k
}

func (g *generator) name() string { return fmt.Sprintf("n%d", g.r.IntN(5)) }

func (g *generator) item() Item {
	it := Item{Name: g.name()}
	switch g.r.IntN(4) {
	case 0:
		it.Mode = Shared
	case 1:
		it.Size = uint32(g.r.IntN(4))
		it.Permits = uint32(g.r.IntN(4))
	}
	return it
}

// caller draws a session and the name of a request of it.
func (g *generator) caller() (Caller, *simSession) {
	if len(g.sessions) == 0 || g.r.IntN(20) == 0 {
		g.keys++
		return Caller{RequestID: fmt.Sprintf("r%d", g.keys)}, nil
	}
	s := g.sessions[g.r.IntN(len(g.sessions))]
	c := Caller{Session: s.number, Attach: s.attach}
	if s.calls || g.r.IntN(8) == 0 {
		c.Attach, c.Proof = 0, &s.secret
	}
	if g.r.IntN(4) == 0 {
		s.ids++
		c.RequestID = fmt.Sprintf("r%d", s.ids-g.r.IntN(2))
		c.Attempt = uint64(g.r.IntN(3))
	} else {
		c.Slot = uint32(g.r.IntN(len(s.seq)))
		s.seq[c.Slot]++
		c.Seq = s.seq[c.Slot] - uint64(g.r.IntN(8)/7)
	}
	return c, s
}

func (g *generator) hold() Hold {
	if len(g.holds) == 0 {
		return Hold{Name: g.name(), Token: Token(g.r.IntN(50))}
	}
	h := g.holds[g.r.IntN(len(g.holds))]
	switch g.r.IntN(3) {
	case 0:
		h.Key = Key{}
	case 1:
		h.All = true
	}
	return h
}

func (g *generator) span() Duration { return Duration(g.r.IntN(40)) * Second / 4 }

func (g *generator) next() Command {
	switch n := g.r.IntN(100); {
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
		return &SetValue{Caller: c, Hold: g.hold(), Value: []byte{byte(n)}}
	case n < 72:
		c, _ := g.caller()
		return &Cancel{c}
	case n < 90:
		return g.session()
	default:
		return g.admin()
	}
}

func (g *generator) acquire() Command {
	c, _ := g.caller()
	a := &Acquire{Caller: c, Key: g.key(), Items: []Item{g.item()}}
	if g.r.IntN(4) == 0 {
		a.Items = append(a.Items, g.item(), g.item())
	}
	switch g.r.IntN(3) {
	case 0:
		a.Wait = Forever
	case 1:
		a.Wait = g.span()
	}
	if g.r.IntN(3) == 0 || c.Session == 0 {
		a.Lease = g.span()
	}
	if g.r.IntN(4) == 0 {
		a.LockDelay = g.span()
	}
	if g.r.IntN(4) == 0 {
		a.Note = &Note{Reason: "because", Value: []byte("v")}
	}
	return a
}

func (g *generator) someSession() *simSession {
	if len(g.sessions) == 0 {
		return &simSession{number: 77}
	}
	return g.sessions[g.r.IntN(len(g.sessions))]
}

func (g *generator) someIncarnation() Incarnation {
	if len(g.incarnation) == 0 {
		return 1
	}
	return g.incarnation[len(g.incarnation)-1-g.r.IntN(min(2, len(g.incarnation)))]
}

func (g *generator) session() Command {
	s := g.someSession()
	switch g.r.IntN(12) {
	case 0, 1, 2:
		g.secrets++
		o := &Open{TTL: 2*Second + g.span(), OnEnd: OnEnd(g.r.IntN(4)), Incarnation: g.someIncarnation()}
		o.Secret[0], o.Secret[1], o.Secret[2] = byte(g.secrets), byte(g.secrets>>8), 1
		if g.r.IntN(3) == 0 {
			o.Incarnation = 0
		}
		return o
	case 3, 4, 5:
		return &Resume{Session: s.number, Secret: s.secret, Incarnation: g.someIncarnation(), OnEnd: OnEnd(g.r.IntN(4))}
	case 6, 7:
		return &Detach{Session: s.number, Attach: s.attach, Silent: g.span(), ByClient: g.r.IntN(2) == 0}
	case 8:
		return &KeepAlive{Caller{Session: s.number, Proof: &s.secret}}
	case 9:
		return &Close{Caller{Session: s.number, Attach: s.attach, Proof: &s.secret}}
	case 10:
		return &Kill{Session: s.number}
	default:
		return &Disown{Session: s.number, Lease: g.span()}
	}
}

func (g *generator) admin() Command {
	switch g.r.IntN(12) {
	case 0, 1, 2, 3:
		g.beats++
		return &Beat{Incarnation: g.someIncarnation(), Number: g.beats}
	case 4:
		return &Join{Member: fmt.Sprintf("m%d", g.r.IntN(2)), SameDirectory: g.r.IntN(2) == 0}
	case 5:
		return &EndMember{Incarnation: g.someIncarnation(), Own: g.r.IntN(2) == 0}
	case 6, 7:
		h := g.hold()
		return &ForceRelease{Name: h.Name, Token: h.Token, Wait: g.r.IntN(2) == 0}
	case 8:
		return &Resize{Name: g.name(), Size: uint32(1 + g.r.IntN(3))}
	case 9:
		return &Birth{Wall: uint64(g.r.IntN(1000)), Quiet: g.span() / 8 * Duration(g.r.IntN(2))}
	case 10:
		return &Collect{Idle: g.span(), Max: 2}
	default:
		return &Lead{Member: fmt.Sprintf("m%d", g.r.IntN(2))}
	}
}

// learn takes in what came out, so that later commands can refer to it.
func (g *generator) learn(cmds []Command, r *Result) {
	for i, c := range cmds {
		o := &r.Outcomes[i]
		switch c := c.(type) {
		case *Open:
			if o.Code == OK && o.Alive == nil {
				g.sessions = append(g.sessions, &simSession{number: o.Session, attach: o.Attach, secret: c.Secret, calls: c.Incarnation == 0})
			}
		case *Resume:
			for _, s := range g.sessions {
				if s.number == o.Session && o.Code == OK {
					s.attach = o.Attach
				}
			}
		case *Join:
			if o.Code == OK {
				g.incarnation = append(g.incarnation, o.Incarnation)
			}
		}
	}
	for _, e := range r.Events {
		if e.Type == HoldAcquired {
			g.holds = append(g.holds, Hold{Name: e.Name, Key: e.Key, Token: e.Token})
		}
	}
	if len(g.holds) > 12 {
		g.holds = g.holds[len(g.holds)-12:]
	}
	if len(g.sessions) > 8 {
		g.sessions = g.sessions[1:]
	}
}

func (g *generator) entry(term uint64) Entry {
	e := Entry{Term: term, StampTerm: term}
	switch g.r.IntN(6) {
	case 0:
		e.Elapsed = g.span()
	case 1:
		e.Elapsed = Duration(g.r.IntN(1000)) * Millisecond
	}
	for range 1 + g.r.IntN(3) {
		if len(g.last) > 0 && g.r.IntN(10) == 0 {
			e.Commands = append(e.Commands, g.last[g.r.IntN(len(g.last))])
		} else {
			e.Commands = append(e.Commands, g.next())
		}
	}
	g.last = append(g.last, e.Commands...)
	if len(g.last) > 10 {
		g.last = g.last[len(g.last)-10:]
	}
	if g.r.IntN(50) == 0 {
		e.StampTerm--
	}
	return e
}

// restored saves a table and restores it.
func restored(t *testing.T, table *Table, between func()) *Table {
	t.Helper()
	s, r := table.Snapshot(), NewRestorer()
	for {
		chunk, ok := s.Next()
		if !ok {
			break
		}
		if err := r.Write(chunk); err != nil {
			t.Fatal(err)
		}
		if between != nil {
			between()
		}
	}
	copied, err := r.Table()
	if err != nil {
		t.Fatalf("%v\n%s", err, table.Describe())
	}
	return copied
}

// TestRandomCommands applies random entries to two tables, one of which is
// saved and restored now and then, and checks both after each.
func TestRandomCommands(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		g := newGenerator(seed)
		a, b := New(), New()
		start := Entry{Term: 1, StampTerm: 1, Commands: []Command{&Join{Member: "m0"}}}
		g.learn(start.Commands, a.Apply(start))
		b.Apply(start)
		term := uint64(1)
		for step := range 400 {
			if g.r.IntN(100) == 0 {
				term++
			}
			e := g.entry(term)
			ra := a.Apply(e)
			rb := b.Apply(e)
			if x, y := fmt.Sprint(ra.Outcomes, ra.Settled, ra.Events), fmt.Sprint(rb.Outcomes, rb.Settled, rb.Events); len(x) != len(y) {
				t.Fatalf("seed %d step %d: outcomes differ:\n%s\n%s", seed, step, x, y)
			}
			g.learn(e.Commands, ra)
			if err := a.Check(); err != nil {
				t.Fatalf("seed %d step %d: %v\nafter %s\n%s", seed, step, err, describeCommands(e), a.Describe())
			}
			if a.Hash() != b.Hash() {
				t.Fatalf("seed %d step %d: hashes differ after %s\n%s\n%s", seed, step, describeCommands(e), a.Describe(), b.Describe())
			}
			if g.r.IntN(20) == 0 {
				c := restored(t, b, nil)
				if c.Hash() != b.Hash() || c.Describe() != b.Describe() {
					t.Fatalf("seed %d step %d: restored table differs", seed, step)
				}
				b = c
			}
		}
	}
}

func describeCommands(e Entry) string {
	s := fmt.Sprintf("+%s", e.Elapsed)
	for _, c := range e.Commands {
		s += fmt.Sprintf(" %T%+v", c, c)
	}
	return s
}
