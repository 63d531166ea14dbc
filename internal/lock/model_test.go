package lock

import (
	"cmp"
	"slices"
)

// model is a second table, made to be believed and not to be quick: slices that
// are searched from one end to the other, no index, no list, no heap, no hash. It
// knows the rules from their words; it shares with the table the commands and what
// comes out, not a line of how.
type model struct {
	now, quiet  Time
	wasQuiet    bool // before time passed in this step
	term        uint64
	token       Token
	fenceFloor  Token
	lastSession SessionNumber
	lastAttach  uint64
	lastLock    uint64
	lastEvent   uint64
	lastMember  Incarnation
	leader      string
	set         Settings

	outside  *modelSession
	sessions []*modelSession // in the order they were opened
	members  []*modelMember  // in the order they joined
	locks    []*modelLock    // in the order they were made
	idle     []*modelLock    // nobody holds them or waits: the longest untouched first
	holds    []*modelHold    // in the order of grants; those of one grant as the locks were made
	waits    []*modelWait    // in the order they began

	settled []Settled
	events  []Event
}

type modelLock struct {
	number  uint64
	name    string
	size    uint32
	fence   Token
	touched Time
}

type modelHold struct {
	lock      *modelLock
	session   *modelSession // nil once only the delay is left
	request   *modelRequest // nil if it had no name
	token     Token
	key       Key
	mode      Mode
	permits   uint32
	since     Time
	end       Time // 0: none
	delay     Duration
	delivered bool
	revoked   bool
	note      *Note
}

func (h *modelHold) shut() bool { return h.session == nil }

// modelItem is one lock that a request wants.
type modelItem struct {
	lock    *modelLock
	mode    Mode
	permits uint32
}

type modelWait struct {
	session *modelSession
	request *modelRequest
	command *Acquire // as it was asked first
	items   []modelItem
	since   Time
	end     Time // 0: never
	caller  Caller
	number  uint64
}

type modelSession struct {
	number   SessionNumber
	secret   SecretHash
	ttl      Duration
	onEnd    OnEnd
	calls    bool
	attach   uint64
	member   *modelMember // nil while it is detached
	end      Time         // 0 while it is attached
	floors   int
	opened   Time
	value    []byte
	requests []*modelRequest
	over     []*modelRequest // those with ids that are over, in the order of their ends
}

type modelMember struct {
	number Incarnation
	name   string
	beat   uint64
	end    Time
	floors int
}

func newModel() *model { return &model{set: DefaultSettings(), outside: &modelSession{}} }

// apply carries out an entry and returns the outcomes.
func (m *model) apply(e Entry) []Outcome {
	m.settled, m.events = nil, nil
	stale := e.Term != e.StampTerm
	if e.Term > m.term {
		m.term = e.Term
		m.floors()
	}
	if !stale {
		m.wasQuiet = m.isQuiet()
		m.now += Time(max(0, e.Elapsed))
		m.endWhatIsDue()
		m.serve()
	}
	var outcomes []Outcome
	for _, c := range e.Commands {
		outcomes = append(outcomes, m.command(c, stale))
		m.serve()
	}
	return outcomes
}

func (m *model) command(c Command, stale bool) Outcome {
	switch c := c.(type) {
	case *Acquire:
		return m.acquire(c)
	case *Release:
		return m.onHold(&c.Caller, &c.Hold, question(c), func(h *modelHold) Outcome { return m.release(c, h) })
	case *Renew:
		return m.onHold(&c.Caller, &c.Hold, question(c), func(h *modelHold) Outcome { return m.renew(c, h) })
	case *Downgrade:
		return m.onHold(&c.Caller, &c.Hold, question(c), m.downgrade)
	case *SetValue:
		return m.setValue(c)
	case *Cancel:
		return m.cancel(c)
	case *Open, *Resume, *KeepAlive, *Detach, *Close, *Kill, *Disown:
		return m.sessionCommand(c)
	case *Join:
		return m.join(c)
	case *Beat:
		return m.beat(c)
	case *EndMember:
		if stale && !c.Own {
			return Outcome{Code: NotLeading}
		}
		return m.endMemberCommand(c)
	case *ForceRelease:
		return m.forceRelease(c)
	case *Resize:
		return m.resize(c)
	}
	if stale {
		return Outcome{Code: NotLeading}
	}
	return m.leaderCommand(c)
}

func (m *model) leaderCommand(c Command) Outcome {
	switch c := c.(type) {
	case *Birth:
		if wall := Token(c.Wall); wall > m.token {
			m.token, m.fenceFloor = wall, wall
			for _, l := range m.locks {
				l.fence = wall
			}
		}
		if c.Quiet > 0 {
			m.quiet = max(m.quiet, m.now+Time(c.Quiet))
		}
		return Outcome{Token: m.token}
	case *SetSettings:
		s := c.Settings.WithDefaults()
		s.Format = max(s.Format, m.set.Format)
		m.set = s
	case *Collect:
		return m.collect(c)
	case *Lead:
		if m.leader != c.Member {
			m.leader = c.Member
			m.say(Event{Type: LeaderChanged, Text: c.Member})
		}
	}
	return Outcome{}
}

// say adds an event.
func (m *model) say(e Event) {
	m.lastEvent++
	e.Number, e.Time = m.lastEvent, m.now
	m.events = append(m.events, e)
}

// floors gives members and detached sessions the time that they lost between two
// leaders, three times at most.
func (m *model) floors() {
	lease := m.set.MemberLease
	for _, x := range m.members {
		if at := m.now + Time(lease); x.floors < 3 && x.end < at {
			x.end = at
			x.floors++
		}
	}
	for _, s := range m.sessions {
		if at := m.now + Time(min(lease, s.ttl)); s.member == nil && s.floors < 3 && s.end < at {
			s.end = at
			s.floors++
		}
	}
}

// due is something whose time is over.
type due struct {
	at           Time
	kind         int // sessions, waits, holds, delays
	number, lock uint64
	session      *modelSession
	wait         *modelWait
	self         bool // the wait is for a hold of its own session
	hold         *modelHold
}

// endWhatIsDue drops the waits of all that is due, and then ends it, in order.
func (m *model) endWhatIsDue() {
	for {
		i := slices.IndexFunc(m.members, func(x *modelMember) bool { return x.end <= m.now })
		for j, x := range m.members {
			if x.end <= m.now && x.end < m.members[i].end {
				i = j
			}
		}
		if i < 0 {
			break
		}
		m.endMember(m.members[i], m.members[i].end)
	}
	list := m.listDue()
	for _, d := range list {
		if d.session != nil {
			m.dropWaits(d.session, d.session.reasonOfEnd())
		}
		if d.wait != nil && slices.Contains(m.waits, d.wait) {
			m.endWait(d.wait, Outcome{Code: WaitTimeout, Reason: TimedOut, Self: d.self})
		}
	}
	for _, d := range list {
		switch {
		case d.session != nil:
			m.endSession(d.session, d.session.reasonOfEnd(), true)
		case d.hold != nil && slices.Contains(m.holds, d.hold) && d.hold.shut() == (d.kind == 3):
			m.endDueHold(d.hold)
		}
	}
}

func (m *model) listDue() []due {
	var list []due
	for _, s := range m.sessions {
		if s.member == nil && s.end <= m.now {
			list = append(list, due{at: s.end, number: uint64(s.number), session: s})
		}
	}
	for _, w := range m.waits {
		if w.end != 0 && w.end <= m.now {
			list = append(list, due{at: w.end, kind: 1, number: w.number, wait: w, self: m.holdsInTheWay(w)})
		}
	}
	for _, h := range m.holds {
		if h.end != 0 && h.end <= m.now {
			d := due{at: h.end, kind: 2, number: uint64(h.token), lock: h.lock.number, hold: h}
			if h.shut() {
				d.kind = 3
			}
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b due) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.kind, b.kind),
			cmp.Compare(a.number, b.number), cmp.Compare(a.lock, b.lock))
	})
	return list
}

func (m *model) endDueHold(h *modelHold) {
	switch {
	case h.shut():
		m.dropHold(h)
	case h.revoked:
		m.endHold(h, Forced, true)
	default:
		m.endHold(h, Expired, true)
	}
}

// isQuiet says that nothing may be granted.
func (m *model) isQuiet() bool { return m.quiet > m.now }
