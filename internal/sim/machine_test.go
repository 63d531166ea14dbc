package sim

// reading is what a clock of a machine shows, in microseconds. Readings of
// different machines have nothing to do with each other.
type reading int64

func (r reading) add(d span) reading   { return r + reading(d) }
func (r reading) since(u reading) span { return span(r - u) }

// machine is a computer with a clock of its own, and one process on it that can
// be stopped, suspended together with it, or killed.
type machine struct {
	w    *world
	name string
	// rate is how many microseconds its clock counts in a true second.
	rate  int64
	start reading

	// life numbers the processes: what an earlier one had planned never happens.
	life int
	// halted says that nothing runs, until wakes.
	halted bool
	wakes  instant
	woke   instant // the last time
	// suspended says that the monotonic clock stands still at stood; asleep is
	// how far it is behind the other one.
	suspended bool
	stood     reading
	asleep    span
	// cutOffUntil is when the network reaches it again; troubledUntil is until
	// when a loss has a cause outside of it.
	cutOffUntil, troubledUntil instant
	// overdue is what should have happened while it was halted.
	overdue []func()
}

func newMachine(w *world, name string) *machine {
	m := &machine{w: w, name: name, start: reading(w.between(second, 1000*second))}
	switch w.chance.IntN(3) {
	case 0:
		m.rate = 1_000_000 - w.plan.drift
	case 1:
		m.rate = 1_000_000 + w.plan.drift
	default:
		m.rate = 1_000_000 + w.chance.Int64N(2*w.plan.drift+1) - w.plan.drift
	}
	return m
}

// boot is the clock that goes on while the machine is suspended.
func (m *machine) boot() reading {
	return m.start + reading(int64(m.w.now)*m.rate/1_000_000)
}

// monotonic is the clock that stands still meanwhile. Timers run on it.
func (m *machine) monotonic() reading {
	if m.suspended {
		return m.stood
	}
	return m.boot().add(-m.asleep)
}

// trueSpan is how long a span of the machine's clock really is, rounded up.
func (m *machine) trueSpan(d span) span { return span((int64(d)*1_000_000 + m.rate - 1) / m.rate) }

// timer is something planned on a machine.
type timer struct {
	m    *machine
	life int
	due  reading
	run  func()
	off  bool
}

// after plans something for the process that runs now.
func (m *machine) after(d span, run func()) *timer {
	t := &timer{m: m, life: m.life, due: m.monotonic().add(d), run: run}
	m.w.in(m.trueSpan(d), t.fire)
	return t
}

// repeat plans something again and again, at the interval.
func (m *machine) repeat(d span, run func()) {
	var again func()
	again = func() {
		run()
		m.after(d, again)
	}
	m.after(d, again)
}

func (t *timer) stop() { t.off = true }

func (t *timer) fire() {
	switch m := t.m; {
	case t.off || t.life != m.life:
	case m.halted:
		m.overdue = append(m.overdue, t.fire)
	case m.monotonic() < t.due:
		m.w.in(m.trueSpan(t.due.since(m.monotonic())), t.fire)
	default:
		t.run()
	}
}

// halt stops everything for so long: by stopping the process, or by suspending
// the machine. A machine that is halted already stays as it is.
func (m *machine) halt(d span, suspend bool) {
	if m.halted {
		return
	}
	m.halted, m.wakes = true, m.w.now.add(d)
	m.trouble(d)
	if suspend {
		m.suspended, m.stood = true, m.monotonic()
	}
	m.w.note(m.name, "halts for %s, suspended %v", d, suspend)
	m.w.at(m.wakes, m.wake)
}

// wake lets it go on. What is overdue happens soon, in any order.
func (m *machine) wake() {
	if m.suspended {
		m.asleep = m.boot().since(m.stood)
	}
	m.halted, m.suspended, m.woke = false, false, m.w.now
	m.w.note(m.name, "wakes")
	overdue := m.overdue
	m.overdue = nil
	for _, f := range overdue {
		m.w.in(m.w.between(0, 2*millisecond), f)
	}
}

// die ends the process.
func (m *machine) die() { m.life++ }

// trouble says that for so long a loss has a cause.
func (m *machine) trouble(d span) { m.troubledUntil = max(m.troubledUntil, m.w.now.add(d)) }
