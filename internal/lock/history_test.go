package lock

import (
	"fmt"
	"slices"
)

// history reads what came out of a table and knows nothing else. It is told of
// one command at a time, or of time alone, and checks what must be true of any
// story of locks:
//
//   - time, event numbers and tokens grow; the fence of a name never goes back;
//   - never more than size permits are held, and none beside a shared hold;
//   - a lock goes to the first of its queue, and at once only if it has none;
//   - a request is granted once at most;
//   - a session that has ended is granted nothing.
type history struct {
	now     Time
	event   uint64
	token   Token
	fences  map[string]Token
	holds   []pastHold
	queues  map[string][]string // names of requests, by lock
	asked   map[string][]Item
	granted map[string]Token
	ended   map[SessionNumber]bool
}

type pastHold struct {
	name    string
	token   Token
	session SessionNumber
	mode    Mode
	permits uint32
}

func newHistory() *history {
	return &history{
		fences: map[string]Token{}, queues: map[string][]string{}, asked: map[string][]Item{},
		granted: map[string]Token{}, ended: map[SessionNumber]bool{},
	}
}

// note takes in what came out of a table for one command, or for none.
func (h *history) note(t *Table, c Command, r *Result) error {
	if t.Now() < h.now {
		return fmt.Errorf("time went back from %s to %s", h.now, t.Now())
	}
	h.now = t.Now()
	for i := range r.Events {
		if err := h.noteEvent(&r.Events[i]); err != nil {
			return fmt.Errorf("event %s: %w", r.Events[i].words(), err)
		}
	}
	if a, ok := c.(*Acquire); ok {
		if err := h.noteAcquire(a, &r.Outcomes[0]); err != nil {
			return err
		}
	}
	for i := range r.Settled {
		if err := h.noteSettled(&r.Settled[i]); err != nil {
			return fmt.Errorf("settled %s: %w", r.Settled[i].words(), err)
		}
	}
	for name, fence := range h.fences {
		v, ok := t.Lookup(name, 0, 0)
		if ok && v.Fence < fence {
			return fmt.Errorf("the fence of %s went back from %d to %d", name, fence, v.Fence)
		}
		h.fences[name] = max(fence, v.Fence)
	}
	return nil
}

func (h *history) noteEvent(e *Event) error {
	if e.Number != h.event+1 || e.Time != h.now {
		return fmt.Errorf("comes after number %d, at %s", h.event, h.now)
	}
	h.event++
	at := slices.IndexFunc(h.holds, func(p pastHold) bool { return p.name == e.Name && p.token == e.Token })
	switch e.Type {
	case HoldAcquired:
		return h.noteGrant(e)
	case HoldReleased, HoldExpired, HoldForced:
		if at < 0 {
			return fmt.Errorf("nobody held that")
		}
		h.holds = slices.Delete(h.holds, at, at+1)
	case HoldDowngraded:
		h.holds[at].mode = Shared
	case SessionEnded:
		h.ended[e.Session] = true
		delete(h.ended, 0)
	}
	return nil
}

func (h *history) noteGrant(e *Event) error {
	if e.Token < h.token {
		return fmt.Errorf("a token of %d was given before", h.token)
	}
	h.token = e.Token
	if h.ended[e.Session] {
		return fmt.Errorf("that session has ended")
	}
	held := e.Permits
	for _, p := range h.holds {
		switch {
		case p.name != e.Name:
		case p.token == e.Token:
			return fmt.Errorf("that token was given for this lock before")
		case p.mode != e.Mode:
			return fmt.Errorf("held shared and exclusively at once")
		case p.mode == Exclusive:
			held += p.permits
		}
	}
	if e.Mode == Exclusive && held > e.Size {
		return fmt.Errorf("%d permits are held of %d", held, e.Size)
	}
	h.holds = append(h.holds, pastHold{e.Name, e.Token, e.Session, e.Mode, e.Permits})
	if _, ok := h.fences[e.Name]; !ok {
		h.fences[e.Name] = 0
	}
	return nil
}

// requestName names a request as its session does.
func requestName(s SessionNumber, slot uint32, seq uint64, id string) string {
	if id != "" {
		return fmt.Sprintf("%d %q", s, id)
	}
	return fmt.Sprintf("%d %d/%d", s, slot, seq)
}

func (h *history) noteAcquire(c *Acquire, o *Outcome) error {
	if !c.named() {
		return nil
	}
	name := requestName(c.Session, c.Slot, c.Seq, c.RequestID)
	if c.bySecret() {
		name = fmt.Sprintf("%x %s", *c.Proof, name) // the number is not told
	}
	switch o.Code {
	case OK:
		if before := h.granted[name]; before != 0 && before != o.Token {
			if c.RequestID == "" {
				return fmt.Errorf("request %s was granted token %d and then %d", name, before, o.Token)
			}
			// Ids that are over are forgotten in the end.
		} else if before == 0 {
			for _, it := range c.Items {
				if q := h.queues[it.Name]; o.AtOnce && len(q) > 0 {
					return fmt.Errorf("request %s got %s at once, past %q", name, it.Name, q)
				}
			}
		}
		h.granted[name] = o.Token
	case Queued:
		if h.asked[name] == nil {
			h.asked[name] = c.Items
			for _, it := range c.Items {
				h.queues[it.Name] = append(h.queues[it.Name], name)
			}
		}
	}
	return nil
}

func (h *history) noteSettled(s *Settled) error {
	if s.Outcome.Code == Superseded {
		return nil
	}
	name := requestName(s.Session, s.Slot, s.Seq, s.RequestID)
	items := h.asked[name]
	if items == nil {
		return fmt.Errorf("that did not wait")
	}
	for _, it := range items {
		q := h.queues[it.Name]
		if s.Outcome.Code == OK && q[0] != name {
			return fmt.Errorf("got %s past %q", it.Name, q)
		}
		h.queues[it.Name] = slices.DeleteFunc(q, func(n string) bool { return n == name })
	}
	delete(h.asked, name)
	if s.Outcome.Code == OK {
		h.granted[name] = s.Outcome.Token
	}
	return nil
}
