package main

// queueFaults break who is next.
func queueFaults() []fault {
	return []fault{
		{"the queue is served from the wrong end", "queue.go",
			"	p := t.places.at(l.firstPlace)\n	ready := !t.quiet()",
			"	p := t.places.at(l.lastPlace)\n	ready := !t.quiet()"},
		{"a new waiter goes to the front", "queue.go",
			`	p.prev = l.lastPlace
	if l.lastPlace == 0 {
		l.firstPlace = pid
		t.counts.Contended++
	} else {
		t.places.at(l.lastPlace).next = pid
	}
	l.lastPlace = pid`,
			`	p.next = l.firstPlace
	if l.firstPlace == 0 {
		l.lastPlace = pid
		t.counts.Contended++
	} else {
		t.places.at(l.firstPlace).prev = pid
	}
	l.firstPlace = pid`},
		{"a try overtakes", "acquire.go",
			"l := t.locks.at(id); l.waiting > 0 || !l.fits(",
			"l := t.locks.at(id); !l.fits("},
		{"a try overtakes a larger request", "acquire.go",
			"l := t.locks.at(id); l.waiting > 0 || !l.fits(",
			"l := t.locks.at(id); l.waiting > 0 && l.size == 1 || !l.fits("},
		{"all or nothing is granted partly", "queue.go",
			"	if r.ready == r.places {\n",
			"	if r.ready > 0 {\n"},
		{"queues are served in the order they were touched", "queue.go",
			"		if heads[parent].number <= heads[i].number {",
			"		if heads[parent].lock >= heads[i].lock {"},
		{"exclusive beside shared", "locks.go",
			"	return l.shared() == 0 && uint64(l.held)",
			"	return uint64(l.held)"},
		{"shared beside exclusive", "locks.go",
			"	if m == Shared {\n		return l.held == 0\n	}",
			"	if m == Shared {\n		return true\n	}"},
		{"one permit too many", "locks.go",
			"uint64(l.held)+uint64(permits) <= uint64(l.size)",
			"uint64(l.held)+uint64(permits) <= uint64(l.size)+1"},
		{"a downgrade does not serve the queue", "release.go",
			"		t.emitHold(HoldDowngraded, id, NotEnded)\n		t.touchQueue(lock)\n",
			"		t.emitHold(HoldDowngraded, id, NotEnded)\n"},
		{"one of several exclusive holds is downgraded", "release.go",
			"|| l.size != 1 || l.held != 1 {",
			"|| l.size != 1 {"},
		{"a smaller lock keeps waiters that never fit", "locks.go",
			"		if place.permits > c.Size {",
			"		if place.permits > c.Size+1 {"},
		{"a lock that is resized does not serve its queue", "locks.go",
			"	t.emit(Event{Type: LockResized, Name: l.name, Size: l.size})\n	t.touchQueue(id)\n",
			"	t.emit(Event{Type: LockResized, Name: l.name, Size: l.size})\n"},
		{"the quiet time is not kept", "time.go",
			"func (t *Table) quiet() bool { return t.quietUntil > t.now }",
			"func (t *Table) quiet() bool { return false }"},
		{"the end of the quiet time serves nobody", "time.go",
			"	t.quietUntil = 0\n	t.touchAllQueues()\n",
			"	t.quietUntil = 0\n"},
		{"waiters of a lock are limited one too late", "queue.go",
			"int(t.locks.at(id).waiting) >= set.MaxWaitersPerLock",
			"int(t.locks.at(id).waiting) > set.MaxWaitersPerLock"},
		{"waits do not count as holds to come", "acquire.go",
			"	if int(s.holds)+int(s.places)+names > limit {",
			"	if int(s.holds)+names > limit {"},
	}
}
