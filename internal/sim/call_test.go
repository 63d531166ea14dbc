package sim

import "github.com/ldlm-io/ldlm/internal/lock"

// call is an operation under way: it has its slot until its outcome is known.
type call struct {
	slot uint32
	seq  uint64
	ask  asking
	// sent is when it was sent first; 0 if it was not yet.
	sent      reading
	canceling bool
	done      func(lock.Outcome)
}

// ask begins an operation in the lowest free slot.
func (s *session) ask(ask asking, done func(lock.Outcome)) *call {
	slot := 0
	for slot < len(s.calls) && s.calls[slot] != nil {
		slot++
	}
	if slot == len(s.calls) {
		s.calls, s.seqs = append(s.calls, nil), append(s.seqs, 0)
	}
	s.seqs[slot]++
	c := &call{slot: uint32(slot), seq: s.seqs[slot], ask: ask, done: done}
	s.calls[slot] = c
	s.send(c)
	return c
}

// send sends a call, or its cancelling, if there is a connection to send it on.
func (s *session) send(c *call) {
	if s.link == nil || !s.link.standing {
		return
	}
	q := question{c.slot, c.seq, c.ask}
	if c.canceling {
		q.ask = func(c lock.Caller, _ lock.Key) lock.Command { return &lock.Cancel{Caller: c} }
	}
	if c.sent == 0 {
		c.sent = s.now()
	}
	s.link.plug.send(q)
}

// askAgain sends everything again whose outcome is not known, under the same
// slots and seqs.
func (s *session) askAgain() {
	for _, c := range append([]*call(nil), s.calls...) {
		if c == nil {
			continue
		}
		if s.client.w.broken.RetriesAnew && !c.canceling {
			s.seqs[c.slot]++
			c.seq = s.seqs[c.slot]
		}
		s.send(c)
	}
}

// cancel gives an acquire up. Whatever the member says last decides.
func (s *session) cancel(c *call) {
	if s.calls[c.slot] != c || c.canceling {
		return
	}
	if s.client.w.broken.AbandonsSlots {
		s.calls[c.slot] = nil
		c.done(lock.Outcome{Code: lock.Canceled})
		return
	}
	c.canceling = true
	s.send(c)
}

// answered takes the answer to a call.
func (s *session) answered(f answer) {
	if int(f.slot) >= len(s.calls) {
		return
	}
	c := s.calls[f.slot]
	switch code := f.outcome.Code; {
	case c == nil || c.seq != f.seq, code == lock.Queued:
		return
	case code == lock.Superseded:
		// Said to a connection that is not the present one: a newer one decides.
		s.connect()
		return
	case c.canceling && code == lock.OK:
		return // the cancelling is answered later, and decides
	case !c.canceling && code == lock.Canceled:
		s.client.w.watch.canceled(s, c)
	}
	s.calls[f.slot] = nil
	c.done(f.outcome)
}
