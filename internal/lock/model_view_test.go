package lock

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// picture renders all that the model has, in the words that pictureOf has for a
// table: so two states are compared as texts.
func (m *model) picture() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, leader %q, next deadline %s\n%+v\n", m.now, m.leader, m.nextDeadline(), m.counts())
	for _, l := range m.locks {
		b.WriteString(lockPicture(m.viewLock(l)))
	}
	for _, s := range m.sessions {
		b.WriteString(sessionPicture(m.viewSession(s)))
	}
	return b.String()
}

// pictureOf renders a table.
func pictureOf(t *Table) string {
	var b strings.Builder
	next, _ := t.NextDeadline()
	counts := t.Counts()
	counts.Bytes = 0 // the model counts no texts; Check does
	fmt.Fprintf(&b, "%s, leader %q, next deadline %s\n%+v\n", t.Now(), t.Leader(), next, counts)
	locks, _ := t.List(LockFilter{}, 0, 1<<30, 1<<30, 1<<30)
	slices.SortFunc(locks, func(a, b LockView) int { return cmp.Compare(a.Number, b.Number) })
	for _, v := range locks {
		b.WriteString(lockPicture(v))
	}
	sessions, _ := t.ListSessions(0, 1<<30)
	slices.SortFunc(sessions, func(a, b SessionView) int { return cmp.Compare(a.Number, b.Number) })
	for _, v := range sessions {
		b.WriteString(sessionPicture(v))
	}
	return b.String()
}

func lockPicture(v LockView) string {
	var b strings.Builder
	holders, waiters := v.Holders, v.Waiters
	v.Holders, v.Waiters = nil, nil
	fmt.Fprintf(&b, "lock %+v\n", v)
	for _, h := range holders {
		note := noteWords(h.Note)
		h.Note = nil
		fmt.Fprintf(&b, "  hold {%s} %s\n", wordsOf(h), note)
	}
	for _, w := range waiters {
		note := noteWords(w.Note)
		w.Note = nil
		fmt.Fprintf(&b, "  wait {%s} %s\n", wordsOf(w), note)
	}
	return b.String()
}

func sessionPicture(v SessionView) string { return "session {" + wordsOf(v) + "}\n" }

func (m *model) viewLock(l *modelLock) LockView {
	v := LockView{Number: l.number, Name: l.name, Size: l.size, Fence: l.fence, Idle: -1}
	v.Held, v.Shared = m.taken(l)
	if slices.Contains(m.idle, l) {
		v.Idle = Duration(m.now - l.touched)
	}
	for _, h := range m.holdersOf(l) {
		v.Holders = append(v.Holders, m.viewHold(h))
	}
	for _, w := range m.waiters(l) {
		for _, it := range w.items {
			if it.lock == l {
				v.Waiters = append(v.Waiters, m.viewWait(w, it))
			}
		}
	}
	v.HolderCount, v.WaiterCount = len(v.Holders), len(v.Waiters)
	if v.WaiterCount > 0 && v.Shared == 0 && v.Held < v.Size {
		v.FreeBehindHead = v.Size - v.Held
	}
	return v
}

func (m *model) viewHold(h *modelHold) HoldView {
	v := HoldView{
		Name: h.lock.name, Token: h.token, Key: h.key, Mode: h.mode, Permits: h.permits,
		Age: Duration(m.now - h.since), LeaseLeft: -1, Note: h.note, Revoked: h.revoked, Delay: h.shut(),
	}
	if !h.shut() {
		v.Session = h.session.number
	}
	if h.end != 0 {
		v.LeaseLeft = Duration(h.end - m.now)
	}
	return v
}

func (m *model) viewWait(w *modelWait, it modelItem) WaitView {
	v := WaitView{
		Name: it.lock.name, Session: w.session.number, Mode: it.mode, Permits: it.permits, Age: Duration(m.now - w.since),
		GivesUp: -1, Note: w.command.Note, NumNames: len(w.items),
	}
	if w.end != 0 {
		v.GivesUp = Duration(w.end - m.now)
	}
	return v
}

func (m *model) viewSession(s *modelSession) SessionView {
	v := SessionView{
		Number: s.number, TTL: s.ttl, OnEnd: s.onEnd, Attached: s.member != nil, Attach: s.attach, Left: -1,
		Age: Duration(m.now - s.opened), Holds: len(m.holdsOf(s)), Value: s.value,
	}
	for _, w := range m.waits {
		if w.session == s {
			v.Waits++
		}
	}
	if s.member != nil {
		v.Incarnation = s.member.number
	} else {
		v.Left = Duration(s.end - m.now)
	}
	return v
}

func (m *model) counts() Counts {
	c := Counts{Locks: len(m.locks), Waiters: len(m.waits), Sessions: len(m.sessions), Members: len(m.members)}
	for _, l := range m.locks {
		if len(m.holdersOf(l)) > 0 {
			c.Held++
		}
		if len(m.waiters(l)) > 0 {
			c.Contended++
		}
	}
	for _, h := range m.holds {
		if h.shut() {
			c.Delays++
		} else {
			c.Holds++
		}
	}
	for _, s := range m.sessions {
		if s.member != nil {
			c.Attached++
		}
	}
	return c
}

// nextDeadline is the earliest of all deadlines, 0 if there is none.
func (m *model) nextDeadline() Time {
	var next Time
	see := func(at Time) {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	for _, x := range m.members {
		see(x.end)
	}
	for _, s := range m.sessions {
		see(s.end)
	}
	for _, w := range m.waits {
		see(w.end)
	}
	for _, h := range m.holds {
		see(h.end)
	}
	if m.isQuiet() {
		see(m.quiet)
	}
	return next
}
