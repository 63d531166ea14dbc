package node

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// submitRound submits a round and returns its results, which must come in order.
func submitRound(t *testing.T, r *Round) []error {
	t.Helper()
	var results []error
	r.Submit(context.Background(), func(i int, err error) {
		if i != len(results) {
			t.Errorf("result %d comes as the one of number %d", len(results), i)
		}
		results = append(results, err)
	})
	return results
}

// What several links add is one entry, in the order of its adding: each finds its own
// answers, and nobody is woken up. A round can be used again and again.
func TestRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := []*Link{h.link(1), h.link(2), h.link(3)}
		r := h.NewRound()
		if results := submitRound(t, r); len(results) != 0 {
			t.Errorf("an empty round has the results %v", results)
		}
		synctest.Wait() // for the beat of the first session
		before := h.desk.len()
		for i := range l {
			r.Add(l[i], []lock.Command{ask(l[i], 0, 1, fmt.Sprint(i)), queue(l[i], 1, 1, "shared")})
		}
		if n := h.desk.count(before, nil); n != 0 {
			t.Errorf("%d entries before Submit", n)
		}
		for i, err := range submitRound(t, r) {
			if err != nil {
				t.Errorf("part %d: %v", i, err)
			}
		}
		if n := h.desk.count(before, nil); n != 1 {
			t.Errorf("%d entries, want one", n)
		}
		var token lock.Token
		for i := range l {
			if len(l[i].Wake()) != 0 {
				t.Errorf("link %d was woken for what its round has brought", i)
			}
			code := lock.Queued
			if i == 0 {
				code = lock.OK
			}
			notices := l[i].Take(nil)
			wantNotices(t, notices, fmt.Sprintf("answer 0/1 code 0; answer 1/1 code %d; ", code))
			if i == 0 {
				token = notices[1].Outcome.Token
			}
		}

		// The second waits, and has said something else in the entry of its grant.
		r.Add(l[0], []lock.Command{release(l[0], 2, 1, "shared", token)})
		r.Add(l[1], []lock.Command{ask(l[1], 2, 1, "other")})
		submitRound(t, r)
		wantNotices(t, l[0].Take(nil), "answer 2/1 code 0; ")
		wantNotices(t, l[1].Take(nil), "answer 2/1 code 0; answer 1/1 code 0; ")
	})
}

// A link that has ended is refused; the others are served.
func TestRoundWithoutALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := []*Link{h.link(1), h.link(2), h.link(3)}
		l[1].Detach(0, false)
		r := h.NewRound()
		for i := range l {
			r.Add(l[i], []lock.Command{ask(l[i], 0, 1, fmt.Sprint(i))})
		}
		results := submitRound(t, r)
		if results[0] != nil || results[2] != nil {
			t.Errorf("the others are answered %v and %v", results[0], results[2])
		}
		wantError(t, results[1], journal.ErrRefused, ErrDetached)
		wantNotices(t, l[0].Take(nil), "answer 0/1 code 0; ")
		wantNotices(t, l[2].Take(nil), "answer 0/1 code 0; ")
		h.wantHeld("1", 0, 0)

		r.Add(l[1], []lock.Command{ask(l[1], 0, 1, "1")})
		wantError(t, submitRound(t, r)[0], journal.ErrRefused, ErrDetached)
	})
}

// A round that comes to no outcome says so to each, and what comes later is not lost
// on anybody, nor mixed up with the next round.
func TestRoundWithoutOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := []*Link{h.link(1), h.link(2)}
		r := h.NewRound()
		add := func(slot uint32, name string) {
			for i := range l {
				r.Add(l[i], []lock.Command{ask(l[i], slot, 1, fmt.Sprint(name, i))})
			}
		}
		h.desk.rule(only(&lock.Acquire{}, refuse))
		add(0, "refused")
		for _, err := range submitRound(t, r) {
			wantError(t, err, journal.ErrRefused)
		}
		h.desk.rule(only(&lock.Acquire{}, delay))
		add(0, "late")
		for i, err := range submitRound(t, r) {
			wantError(t, err, journal.ErrUnknown)
			<-l[i].Wake() // Submit tells that it has given up
		}
		h.desk.rule(nil)
		add(1, "next")
		submitRound(t, r)
		h.desk.late()
		for i := range l {
			wantNotices(t, h.await(l[i]), "answer 1/1 code 0; answer 0/1 code 0; ")
		}
		h.wantHeld("refused0", 0, 0)
	})
}
