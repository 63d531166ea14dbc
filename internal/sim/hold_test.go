package sim

import (
	"slices"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// request is what a program asks for.
type request struct {
	items []lock.Item
	wait  span
	lease span
	delay span
}

// hold is a grant from its client's side.
type hold struct {
	s      *session
	items  []lock.Item
	token  lock.Token
	fences []lock.Token
	lease  span
	// until is when the lease ends by the client's clock.
	until reading
	// held says that the program has it; it is not again once it has ended.
	held, over bool
	// lost is told when it ended without the program's asking.
	lost func(why string)
}

// believed reports whether the client takes the lock for its own, at this very
// instant and by its own clock.
func (h *hold) believed() bool {
	if !h.held || h.over && !h.s.client.w.broken.Revives || !h.s.believes() {
		return false
	}
	return h.lease == 0 || h.s.now() < h.until
}

// acquire asks for locks. done is told the grant, or nil and the outcome.
func (s *session) acquire(r request, done func(*hold, lock.Outcome)) *call {
	asked := s.now()
	var c *call
	c = s.ask(func(who lock.Caller, k lock.Key) lock.Command {
		a := &lock.Acquire{Caller: who, Items: r.items, Wait: r.wait, Lease: r.lease, LockDelay: r.delay, Key: k}
		if r.wait > 0 {
			a.Wait = max(microsecond, r.wait-s.now().since(asked))
		}
		return a
	}, func(o lock.Outcome) {
		if o.Code != lock.OK {
			done(nil, o)
			return
		}
		s.granted(c, r, o, done)
	})
	return c
}

// granted takes a grant. Its lease counts from before it can have begun: from
// the sending of the acquire, if it was granted without waiting; else from that
// of a renewal, which comes before the program gets the lock.
func (s *session) granted(c *call, r request, o lock.Outcome, done func(*hold, lock.Outcome)) {
	h := &hold{s: s, items: r.items, token: o.Token, fences: o.Fences, lease: r.lease}
	if len(h.fences) == 0 {
		h.fences = []lock.Token{o.Fence}
	}
	s.holds = append(s.holds, h)
	begin := func() {
		if h.over { // a notice was faster than the first renewal
			done(nil, lock.Outcome{Code: lock.Ended})
			return
		}
		h.held = true
		s.client.w.note(s.client.name(), "has %v, token %d", h.names(), h.token)
		if h.lease > 0 {
			h.renewLater()
		}
		done(h, o)
	}
	margin := s.client.w.margin(r.lease)
	broken := s.client.w.broken
	switch {
	case r.lease == 0:
		begin()
	case broken.LeaseCountsFromAnswer:
		h.until = s.now().add(margin)
		begin()
	case o.AtOnce:
		h.until = c.sent.add(margin)
		begin()
	case broken.UsesBeforeRenewal:
		h.until = s.now().add(margin)
		begin()
	default:
		h.renew(func(ok bool) {
			if ok {
				begin()
				return
			}
			h.end("it could not be renewed at first")
			done(nil, lock.Outcome{Code: lock.Ended})
		})
	}
}

// renew starts the lease anew. It counts from the first sending.
func (h *hold) renew(done func(ok bool)) {
	var c *call
	which := h.name()
	c = h.s.ask(func(who lock.Caller, _ lock.Key) lock.Command {
		return &lock.Renew{Caller: who, Hold: which, Lease: h.lease}
	}, func(o lock.Outcome) {
		if o.Code == lock.OK {
			h.until = max(h.until, c.sent.add(h.s.client.w.margin(h.lease)))
		}
		done(o.Code == lock.OK)
	})
}

// renewLater renews again and again, well before the lease ends.
func (h *hold) renewLater() {
	h.s.client.machine.after(h.lease/3, func() {
		switch h.s.look(); {
		case h.over || h.s.over:
		case h.s.now() >= h.until:
			h.end("its lease was over")
			h.s.release(h, func(lock.Outcome) {})
		default:
			h.renew(func(ok bool) {
				switch {
				case h.over:
				case ok:
					h.renewLater()
				default:
					h.end("it could not be renewed")
				}
			})
		}
	})
}

// end is the end of a hold that the program did not ask for.
func (h *hold) end(why string) {
	if h.over {
		return
	}
	h.over = true
	h.s.forget(h)
	c := h.s.client
	c.w.note(c.name(), "loses %v, token %d: %s", h.names(), h.token, why)
	if !h.s.over {
		c.w.watch.holdLost(h, why)
	}
	if h.lost != nil {
		h.lost(why)
	}
}

func (s *session) forget(h *hold) {
	if !s.client.w.broken.Revives {
		s.holds = slices.DeleteFunc(s.holds, func(g *hold) bool { return g == h })
	}
}

// release gives a hold back. Belief ends before it is sent.
func (s *session) release(h *hold, done func(lock.Outcome)) {
	if s.over {
		return
	}
	if !h.over {
		h.over, h.held = true, false
		s.forget(h)
	}
	s.client.w.note(s.client.name(), "releases %v, token %d", h.names(), h.token)
	which := h.name()
	s.ask(func(who lock.Caller, _ lock.Key) lock.Command {
		return &lock.Release{Caller: who, Hold: which}
	}, done)
}

// name names the hold, all of it, in commands.
func (h *hold) name() lock.Hold {
	return lock.Hold{Name: h.items[0].Name, Token: h.token, All: len(h.items) > 1}
}

func (h *hold) names() []string {
	var names []string
	for _, it := range h.items {
		names = append(names, it.Name)
	}
	return names
}
