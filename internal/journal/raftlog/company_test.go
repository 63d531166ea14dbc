package raftlog

import "testing"

// Two who were there at once are expected to come together again: neither writes alone, and
// the entry is not closed before both are there, or the time for that is over.
func TestCompany(t *testing.T) {
	q := newQueue(1<<20, 4)
	defer q.follow.Stop()
	q.company.kept = true
	add := func() bool {
		t.Helper()
		p := newProposal(line("x"))
		p.lent = true
		mine, err := q.add(p)
		if err != nil {
			t.Fatal(err)
		}
		return mine
	}
	send := func() *inFlight {
		e := &inFlight{proposals: q.take(), data: []byte{1}, done: make(chan struct{})}
		q.fly(e)
		return e
	}
	add()
	first := send()
	q.sole = true // what it had would make the next caller write
	if mine := add(); !mine {
		t.Error("nobody else was ever seen, and it does not write itself")
	}
	q.pen = false
	second := send()
	q.settle(first, nil)
	q.settle(second, nil)

	if mine := add(); mine {
		t.Error("it writes alone, and another one is about to come")
	}
	if !q.company.awaited(q.present()) {
		t.Error("nobody is expected")
	}
	q.gather() // it ends
	if q.company.vain == 0 {
		t.Error("nobody came, and that was not noted")
	}
	add()
	if q.company.awaited(q.present()) {
		t.Error("both are there, and others are expected")
	}
	q.settle(send(), nil)

	// One alone is waited for by nobody, from the second entry on.
	for range 2 {
		add()
		q.pen = false
		q.settle(send(), nil)
	}
	if mine := add(); !mine {
		t.Error("it is alone, and does not write itself")
	}
}

// Who is never there in time is waited for less and less, and at once again when it was.
func TestCompanyInVain(t *testing.T) {
	c := company{kept: true, last: 2}
	waits := 0
	for range 1000 {
		if c.begin(1) {
			waits++
			c.end(false)
		}
	}
	if waits < 3 || waits > 100 {
		t.Errorf("%d of 1000 entries waited in vain", waits)
	}
	for !c.begin(1) {
	}
	c.end(true)
	if !c.begin(1) {
		t.Error("it came, and is not waited for")
	}
	if zero := (company{last: 2}); zero.begin(1) {
		t.Error("company that is not kept is waited for")
	}
}
