package sim

import "github.com/ldlm-io/ldlm/internal/lock"

// task is one of the things that a program does: it takes a lock, works under
// it, gives it back, and again.
type task struct {
	c      *client
	number int
	// round grows with every beginning, so that what belongs to an earlier one
	// is not mistaken.
	round   int
	waiting bool // for a session
	call    *call
	hold    *hold
}

// later plans something for the present round.
func (t *task) later(d span, run func()) {
	round := t.round
	t.c.machine.after(d, func() {
		if t.round == round {
			run()
		}
	})
}

// rest waits for a while before the next request, whatever was before.
func (t *task) rest() {
	t.round++
	t.call, t.hold, t.waiting = nil, nil, false
	t.later(t.c.w.between(0, t.c.w.plan.rest), t.begin)
}

func (t *task) mayGoOn() {
	if t.waiting {
		t.waiting = false
		t.begin()
	}
}

// begin asks for a lock.
func (t *task) begin() {
	if t.c.v1 {
		t.c.caller.begin(t)
		return
	}
	s := t.c.session
	if s.look(); s != t.c.session || s.over || s.number == 0 {
		t.waiting = true
		return
	}
	w := t.c.w
	r := w.draw()
	round := t.round
	w.note(t.c.name(), "asks for %v, wait %d, lease %d", r.items, r.wait, r.lease)
	t.call = s.acquire(r, func(h *hold, o lock.Outcome) {
		switch {
		case t.round != round && h != nil:
			s.release(h, func(lock.Outcome) {}) // nobody wants it any more
		case t.round != round:
		case h == nil:
			t.rest()
		default:
			t.work(h)
		}
	})
	if w.happens(w.plan.giveUp) {
		call := t.call
		t.later(w.between(0, w.plan.patience), func() {
			if t.call == call && t.hold == nil {
				w.note(t.c.name(), "gives slot %d seq %d up", call.slot, call.seq)
				s.cancel(call)
			}
		})
	}
}

// work does something under a lock: it writes to the stores, and now and then
// downgrades; then it lets go.
func (t *task) work(h *hold) {
	w := t.c.w
	t.hold = h
	h.lost = func(string) {
		if t.hold == h {
			t.rest()
		}
	}
	for range w.chance.IntN(4) {
		t.later(w.between(0, w.plan.work), func() {
			if h.s.look(); h.believed() {
				w.watch.write(h)
			}
		})
	}
	if len(h.items) == 1 && h.items[0].Mode == lock.Exclusive && w.happens(w.plan.downgrade) {
		t.later(w.between(0, w.plan.work), func() { h.downgrade() })
	}
	length := w.between(0, w.plan.work)
	if w.happens(w.plan.longWork) {
		length = w.between(0, 6*w.plan.ttl)
	}
	t.later(length, func() {
		if h.s.look(); h.over || h.s.over {
			return
		}
		h.lost = nil
		h.s.release(h, func(lock.Outcome) {})
		t.rest()
	})
}

// downgrade turns an exclusive hold of a lock of size 1 into a shared one. It is
// believed to be shared only when the answer says so, and no longer exclusive
// from the moment it is asked for.
func (h *hold) downgrade() {
	if h.s.look(); h.over || h.s.over {
		return
	}
	if h.items[0].Size > 1 {
		return
	}
	it := h.items[0]
	it.Mode = lock.Shared
	h.items = []lock.Item{it}
	h.s.ask(func(who lock.Caller, _ lock.Key) lock.Command {
		return &lock.Downgrade{Caller: who, Hold: lock.Hold{Name: it.Name, Token: h.token}}
	}, func(lock.Outcome) {})
}

// Names of the locks that programs fight over. The number at the end is the size.
var lockNames = []string{"m1", "x1", "y1", "s3"}

func sizeOf(name string) uint32 { return uint32(name[1] - '0') }

// draw makes up a request.
func (w *world) draw() request {
	r := request{items: []lock.Item{w.drawItem()}, wait: lock.Forever}
	if w.happens(w.plan.several) {
		r.items = []lock.Item{{Name: "m1", Size: 1}, {Name: "x1", Size: 1, Mode: w.drawMode()}}
		if w.happens(500) {
			r.items[0], r.items[1] = r.items[1], r.items[0]
		}
	}
	switch w.chance.IntN(6) {
	case 0:
		r.wait = 0
	case 1, 2:
		r.wait = w.between(100*millisecond, 2*w.plan.ttl)
	}
	if w.happens(w.plan.leased) {
		r.lease = w.between(w.plan.ttl/2, 2*w.plan.ttl)
	}
	if w.happens(w.plan.delayed) {
		r.delay = w.between(0, w.plan.ttl)
	}
	return r
}

func (w *world) drawMode() lock.Mode {
	if w.happens(w.plan.shared) {
		return lock.Shared
	}
	return lock.Exclusive
}

func (w *world) drawItem() lock.Item {
	name := lockNames[w.chance.IntN(min(len(lockNames), w.plan.locks))]
	it := lock.Item{Name: name, Size: sizeOf(name), Permits: 1}
	if it.Size > 1 {
		it.Permits = uint32(1 + w.chance.IntN(int(it.Size)))
		return it
	}
	it.Mode = w.drawMode()
	return it
}
