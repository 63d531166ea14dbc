package raftlog

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// lingering is a queue without a journal.
func lingering(t *testing.T) (q *queue, add func(text string, patient bool) *proposal) {
	q = newQueue(1<<20, 4)
	add = func(text string, patient bool) *proposal {
		t.Helper()
		p := newProposal(line(text))
		p.data, p.patient = []byte(text), patient
		if _, err := q.add(p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	return q, add
}

// wantTaken closes an entry, if that may be done now, and says what must be in it.
func wantTaken(t *testing.T, q *queue, want string) {
	t.Helper()
	got := ""
	q.mu.Lock()
	ready := q.ready()
	q.mu.Unlock()
	if ready {
		for _, p := range q.take() {
			got += fmt.Sprint(p.batch, " ")
		}
	}
	if got != want {
		t.Errorf("the entry has %q, want %q", got, want)
	}
}

// Who gains nothing by an entry of his own waits a moment for one that others need, keeps
// his place before those who come later, and is no company that is waited for.
func TestPatientProposals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, add := lingering(t)
		defer q.close(errClosed)
		defer q.follow.Stop()
		q.company.kept = true

		add("a", true)
		wantTaken(t, q, "")
		add("b", true)
		wantTaken(t, q, "")
		if n := q.present(); n != 0 {
			t.Errorf("%d are there, want none that are counted", n)
		}
		add("c", false)
		if n := q.present(); n != 1 {
			t.Errorf("%d are there, want one that is counted", n)
		}
		add("d", true)
		wantTaken(t, q, "a b c d ")
		if !q.sole {
			t.Error("the one that counted is not taken for alone")
		}

		add("e", true)
		<-time.After(lingerTime - time.Microsecond)
		synctest.Wait()
		wantTaken(t, q, "")
		<-time.After(time.Microsecond)
		synctest.Wait()
		wantTaken(t, q, "e ")
		wantTaken(t, q, "")
	})
}

// Patient proposals that are withdrawn, or overtaken by the end, leave nothing behind.
func TestPatientProposalsThatGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, add := lingering(t)
		defer q.follow.Stop()
		for _, patient := range []bool{true, false} {
			if p := add("gone", patient); !q.withdraw(p) {
				t.Error("it cannot be withdrawn")
			}
		}
		if n := q.present(); n != 0 {
			t.Errorf("%d are there, want none", n)
		}
		wantTaken(t, q, "")
		p := add("last", true)
		q.close(errClosed)
		if !q.await() {
			t.Fatal("what waits at the end is not taken")
		}
		wantTaken(t, q, "")
		if left := q.take(); len(left) != 1 || left[0] != p {
			t.Errorf("%d are taken at the end", len(left))
		}
		q.putDown()
		if q.await() {
			t.Error("the queue does not end")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		q, add := lingering(t)
		defer q.follow.Stop()
		p := add("lost", true)
		q.abandon(errCrash)
		if err := <-p.done; !errors.Is(err, errCrash) {
			t.Errorf("got %v", err)
		}
		if q.await() {
			t.Error("the queue does not end")
		}
	})
}

// A patient proposal comes to its end without any other.
func TestPatientProposalAlone(t *testing.T) {
	j := mustBegin(t, small(fastDir(t)), &tape{})
	defer mustClose(t, j)
	for range 3 {
		if err := j.Propose(t.Context(), line("patient")); err != nil {
			t.Fatal(err)
		}
	}
}
