package lock

import (
	"fmt"
	"slices"
)

// modelRequest is a request with a name, and what became of it: it waits, or has
// done, or was barred before it came, or was granted; then it holds what holds
// lists, and has ended for the reason if that is nothing.
type modelRequest struct {
	slot     uint32
	seq      uint64
	id       string
	attempt  uint64
	question string

	wait   *modelWait
	done   *Outcome
	barred bool
	token  Token
	key    Key
	items  []modelItem
	holds  []*modelHold
	atOnce bool
	reason EndReason
}

// question says in words what a command asks, without who asks and how often.
func question(c Command) string {
	switch c := c.(type) {
	case *Acquire:
		return fmt.Sprintf("acquire %v %v %d %d %v", c.Items, c.Wait != 0, c.Lease, c.LockDelay, noteWords(c.Note))
	case *Release:
		return fmt.Sprintf("release %v", c.Hold)
	case *Renew:
		return fmt.Sprintf("renew %v %d", c.Hold, c.Lease)
	case *Downgrade:
		return fmt.Sprintf("downgrade %v", c.Hold)
	case *SetValue:
		return fmt.Sprintf("set value %v %q", c.Hold, c.Value)
	default:
		return ""
	}
}

func noteWords(n *Note) string {
	if n == nil {
		return "no note"
	}
	return fmt.Sprint(*n)
}

// caller finds who asks, and renews a session that lives by calls.
func (m *model) caller(c *Caller) (*modelSession, Code) {
	s := m.session(c.Session)
	if c.Session == 0 {
		if c.Proof == nil {
			return m.outside, OK
		}
		s = m.sessionOf(*c.Proof)
	}
	switch {
	case s == nil:
		return nil, SessionLost
	case c.Attach != 0 && (s.member == nil || s.attach != c.Attach):
		return nil, Superseded
	case c.Attach != 0:
		return s, OK
	case c.Proof == nil || *c.Proof != s.secret:
		return nil, SessionLost
	}
	if s.calls {
		s.end, s.floors = m.now+Time(s.ttl), 0
	}
	return s, OK
}

// request finds a request by its name; nil if there is none.
func (s *modelSession) request(c *Caller) *modelRequest {
	for _, r := range s.requests {
		if r.id == c.RequestID && (r.id != "" || r.slot == c.Slot) {
			return r
		}
	}
	return nil
}

// begin makes the entry of a new request; nil if it has no name.
func (s *modelSession) begin(c *Caller, question string) *modelRequest {
	if !c.named() {
		return nil
	}
	if old := s.request(c); old != nil {
		s.requests = slices.DeleteFunc(s.requests, func(r *modelRequest) bool { return r == old })
		for _, h := range old.holds {
			h.request = nil // the slot remembers its newest request only
		}
	}
	r := &modelRequest{
		slot: c.Slot, seq: c.Seq, id: c.RequestID, attempt: c.Attempt, question: question,
	}
	if r.id != "" {
		r.slot = 0
	}
	s.requests = append(s.requests, r)
	return r
}

// isOver notes that a request neither waits nor holds any more. Of those with ids
// the last few are remembered.
func (s *modelSession) isOver(r *modelRequest, most int) {
	if r == nil || r.id == "" {
		return
	}
	s.over = append(s.over, r)
	for len(s.over) > most {
		first := s.over[0]
		s.over = s.over[1:]
		s.requests = slices.DeleteFunc(s.requests, func(x *modelRequest) bool { return x == first })
	}
}

// recall says what a request is: new (nil, nil), asked before, or refused.
func (s *modelSession) recall(c *Caller, question string, cancel bool) (*modelRequest, *Outcome) {
	if !c.named() {
		return nil, nil
	}
	r := s.request(c)
	same := r != nil && (cancel || r.barred || r.question == question)
	switch {
	case c.RequestID != "" && r == nil:
		return nil, nil
	case c.RequestID != "" && c.Attempt < r.attempt:
		return nil, &Outcome{Code: Superseded}
	case c.RequestID != "" && same:
		r.attempt = c.Attempt
		return r, nil
	case c.RequestID != "":
		return nil, &Outcome{Code: SlotMisused, Field: FieldSlot}
	case r == nil && c.Seq == 1:
		return nil, nil
	case r != nil && c.Seq == r.seq+1 && r.wait == nil:
		return nil, nil
	case r != nil && c.Seq == r.seq+1 && !cancel:
		return nil, &Outcome{Code: SlotMisused, Field: FieldSlot}
	case r != nil && c.Seq == r.seq && same:
		return r, nil
	case r != nil && c.Seq == r.seq:
		return nil, &Outcome{Code: SlotMisused, Field: FieldSlot}
	default:
		return nil, &Outcome{Code: Stale, Field: FieldSeq}
	}
}

// again is the outcome of a request that was asked before and does not wait.
func (r *modelRequest) again() Outcome {
	switch {
	case r.barred:
		return Outcome{Code: Canceled}
	case r.done != nil:
		return Outcome{Code: r.done.Code, Token: r.done.Token, Reason: r.done.Reason, Field: r.done.Field}
	case len(r.holds) == 0:
		return Outcome{Code: Ended, Token: r.token, Reason: r.reason}
	}
	for _, h := range r.holds {
		h.delivered = true
	}
	o := Outcome{Token: r.token, Key: r.key, AtOnce: r.atOnce, Count: len(r.holds)}
	fencesOf(r.items, &o)
	return o
}

func (m *model) acquire(c *Acquire) Outcome {
	s, code := m.caller(&c.Caller)
	if code != OK {
		return Outcome{Code: code}
	}
	if c.Session == 0 && s != m.outside && c.Wait != 0 {
		return Outcome{Code: Invalid, Field: FieldWait}
	}
	q := question(c)
	if s == m.outside {
		q += c.Key.String()
	}
	r, refusal := s.recall(&c.Caller, q, false)
	switch {
	case refusal != nil:
		return *refusal
	case r != nil && r.wait != nil:
		return m.waitOn(r.wait, &c.Caller)
	case r != nil:
		for _, h := range r.holds {
			if h.revoked {
				m.say(m.holdEvent(HoldRevoked, h))
			}
		}
		return r.again()
	}
	o := m.ask(s, c, q)
	if o.Code != OK && o.Code != Queued {
		if r := s.begin(&c.Caller, q); r != nil {
			r.done = &Outcome{Code: o.Code, Token: o.Token, Reason: o.Reason, Field: o.Field}
			s.isOver(r, m.set.MaxEndedRequestIDs)
		}
	}
	return o
}

// waitOn answers a retry of a request that waits.
func (m *model) waitOn(w *modelWait, c *Caller) Outcome {
	if w.caller.Attach != c.Attach || w.caller.Attempt != c.Attempt {
		m.settle(w, Outcome{Code: Superseded})
		w.caller.Attach, w.caller.Attempt = c.Attach, c.Attempt
	}
	o := Outcome{Code: Queued, Waited: Duration(m.now - w.since)}
	for _, it := range w.items {
		o.Self = o.Self || m.holdsOne(w.session, it.lock)
	}
	return o
}

// ask carries out a request that is new.
func (m *model) ask(s *modelSession, c *Acquire, q string) Outcome {
	if o := m.check(s, c); o.Code != OK {
		return o
	}
	free, blocked := !m.isQuiet(), ""
	for i := range c.Items {
		it := &c.Items[i]
		l := m.lock(it.Name)
		if l != nil && blocked == "" && (len(m.waiters(l)) > 0 || !m.fits(modelItem{l, it.Mode, max(it.Permits, 1)})) {
			blocked = it.Name
		}
	}
	if c.Wait == 0 && (blocked != "" || !free) {
		for i := range c.Items {
			if l := m.lock(c.Items[i].Name); l != nil {
				m.touch(l)
			}
		}
		if blocked == "" {
			return Outcome{Code: Quiet}
		}
		return Outcome{Code: Held, Self: m.holdsOne(s, m.lock(blocked))}
	}
	var items []modelItem
	for i := range c.Items {
		it := &c.Items[i]
		items = append(items, modelItem{m.lockFor(it), it.Mode, max(it.Permits, 1)})
	}
	r := s.begin(&c.Caller, q)
	if blocked == "" && free {
		if r != nil {
			r.atOnce = true
		}
		o := m.grant(s, r, c, items, 0)
		o.AtOnce = true
		return o
	}
	return m.wait(s, r, c, items)
}

// check refuses what cannot be.
func (m *model) check(s *modelSession, c *Acquire) Outcome {
	seen := map[string]bool{}
	if s == m.outside && c.Lease == 0 {
		return Outcome{Code: Invalid, Field: FieldLease}
	}
	if c.Wait != 0 && !c.named() {
		return Outcome{Code: Invalid, Field: FieldSeq}
	}
	for _, it := range c.Items {
		switch {
		case it.Mode == Shared && (it.Size > 1 || it.Permits > 1):
			return Outcome{Code: Invalid, Field: FieldMode}
		case it.Size > 0 && it.Permits > it.Size:
			return Outcome{Code: Invalid, Field: FieldPermits}
		case seen[it.Name]:
			return Outcome{Code: Invalid, Field: FieldNames}
		}
		seen[it.Name] = true
	}
	for _, it := range c.Items {
		l := m.lock(it.Name)
		switch {
		case l == nil && it.Size == 0 && it.Permits > 1:
			return Outcome{Code: Invalid, Field: FieldPermits}
		case l == nil:
		case it.Size != 0 && it.Size != l.size:
			m.touch(l)
			return Outcome{Code: SizeMismatch, Field: FieldSize}
		case it.Mode == Shared && l.size > 1:
			return Outcome{Code: Invalid, Field: FieldMode}
		case it.Permits > l.size:
			return Outcome{Code: Invalid, Field: FieldPermits}
		case slices.ContainsFunc(m.holdersOf(l), func(h *modelHold) bool { return h.key == c.Key }):
			return Outcome{Code: Invalid, Field: FieldKey}
		}
	}
	return Outcome{}
}

// wait puts a request at the end of all its queues.
func (m *model) wait(s *modelSession, r *modelRequest, c *Acquire, items []modelItem) Outcome {
	w := &modelWait{session: s, request: r, command: c, items: items, since: m.now, caller: c.Caller}
	if c.Wait != Forever {
		w.end = m.now + Time(c.Wait)
	}
	if n := len(m.waits); n > 0 {
		w.number = m.waits[n-1].number
	}
	w.number++
	o := Outcome{Code: Queued}
	for _, it := range items {
		o.Ahead = max(o.Ahead, uint32(len(m.waiters(it.lock))))
		o.Self = o.Self || m.holdsOne(s, it.lock)
		m.used(it.lock)
		m.say(Event{
			Type: RequestQueued, Name: it.lock.name, Session: s.number, Attach: s.attach,
			Mode: it.mode, Permits: it.permits,
		})
	}
	r.wait = w
	m.waits = append(m.waits, w)
	return o
}

// onHold is what the commands that name a hold have in common.
func (m *model) onHold(c *Caller, n *Hold, q string, do func(*modelHold) Outcome) Outcome {
	s, code := m.caller(c)
	if code != OK {
		return Outcome{Code: code}
	}
	r, refusal := s.recall(c, q, false)
	switch {
	case refusal != nil:
		return *refusal
	case r != nil:
		return r.again()
	}
	h, code := m.find(s, n)
	o := Outcome{Code: code}
	if code == OK {
		o = do(h)
	}
	m.keepOutcome(s, c, q, &o)
	return o
}

// keepOutcome remembers how a request ended that is neither a wait nor a grant.
func (m *model) keepOutcome(s *modelSession, c *Caller, q string, o *Outcome) {
	if r := s.begin(c, q); r != nil {
		r.done = &Outcome{Code: o.Code, Token: o.Token, Reason: o.Reason, Field: o.Field}
		s.isOver(r, m.set.MaxEndedRequestIDs)
	}
}

func (m *model) release(c *Release, h *modelHold) Outcome {
	o := Outcome{Token: h.token}
	for _, x := range m.grantOf(h, c.All) {
		m.endHold(x, Released, false)
		o.Count++
	}
	return o
}

func (m *model) renew(c *Renew, h *modelHold) Outcome {
	switch {
	case c.Lease <= 0:
		return Outcome{Code: Invalid, Field: FieldLease}
	case h.revoked:
		return Outcome{Code: Revoked}
	case h.end == 0:
		return Outcome{Code: NotLeased}
	}
	o := Outcome{Token: h.token}
	for _, x := range m.grantOf(h, c.All) {
		if x.end != 0 && !x.revoked {
			x.end = m.now + Time(c.Lease)
			m.say(m.holdEvent(HoldRenewed, x))
			o.Count++
		}
	}
	return o
}

func (m *model) downgrade(h *modelHold) Outcome {
	if exclusive, _ := m.taken(h.lock); h.mode == Shared || h.lock.size > 1 || exclusive > 1 {
		return Outcome{Code: Invalid, Field: FieldMode}
	}
	h.mode = Shared
	m.say(m.holdEvent(HoldDowngraded, h))
	return Outcome{Token: h.token, Fence: h.lock.fence}
}

func (m *model) setValue(c *SetValue) Outcome {
	if c.Name != "" {
		return m.onHold(&c.Caller, &c.Hold, question(c), func(h *modelHold) Outcome {
			if h.note == nil {
				h.note = &Note{}
			}
			h.note.Value = c.Value
			m.say(m.holdEvent(ValueSet, h))
			return Outcome{Token: h.token}
		})
	}
	s, code := m.caller(&c.Caller)
	if code != OK {
		return Outcome{Code: code}
	}
	r, refusal := s.recall(&c.Caller, question(c), false)
	switch {
	case refusal != nil:
		return *refusal
	case r != nil:
		return r.again()
	case s == m.outside:
		return Outcome{Code: SessionLost}
	}
	s.value = c.Value
	m.say(Event{Type: ValueSet, Session: s.number, Attach: s.attach})
	o := Outcome{}
	m.keepOutcome(s, &c.Caller, question(c), &o)
	return o
}

func (m *model) cancel(c *Cancel) Outcome {
	s, code := m.caller(&c.Caller)
	if code != OK {
		return Outcome{Code: code}
	}
	if !c.named() {
		return Outcome{Code: Invalid, Field: FieldSeq}
	}
	r, refusal := s.recall(&c.Caller, "", true)
	switch {
	case refusal != nil:
		return *refusal
	case r == nil:
		r = s.begin(&c.Caller, "")
		r.barred = true
		s.isOver(r, m.set.MaxEndedRequestIDs)
		return Outcome{Code: Canceled, Reason: GivenBack}
	case r.wait != nil:
		m.endWait(r.wait, Outcome{Code: Canceled, Reason: GivenBack})
		return Outcome{Code: Canceled, Reason: GivenBack}
	case r.done == nil && !r.barred && len(r.holds) > 0:
		o := Outcome{Code: Canceled, Reason: GivenBack, Token: r.token}
		for _, h := range slices.Clone(r.holds) {
			m.endHold(h, GivenBack, false)
			o.Count++
		}
		return o
	default:
		return r.again()
	}
}
