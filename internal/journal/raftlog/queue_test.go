package raftlog

import (
	"errors"
	"testing"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// offered adds a proposal of so many bytes to a queue.
func offered(q *queue, size int) (*proposal, error) {
	p := &proposal{data: make([]byte, size), done: make(chan error, 1)}
	_, err := q.add(p)
	return p, err
}

// An entry has so many bytes and batches at most, and one batch that is larger goes alone.
func TestEntryIsBounded(t *testing.T) {
	q := newQueue(100, 1)
	defer q.follow.Stop()
	for _, size := range []int{60, 41, 59, 1, 300, 5} {
		if _, err := offered(q, size); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{1, 2, 1, 1, 1} {
		if got := len(q.take()); got != want {
			t.Errorf("an entry has %d batches, want %d", got, want)
		}
	}
	for range maxBatches + 1 {
		if _, err := offered(q, 0); err != nil {
			t.Fatal(err)
		}
	}
	if first, second := len(q.take()), len(q.take()); first != maxBatches || second != 1 {
		t.Errorf("entries have %d and %d batches", first, second)
	}
}

// What waits is bounded. What was taken or withdrawn does not wait any more.
func TestQueueIsBounded(t *testing.T) {
	q := newQueue(1<<20, 1)
	defer q.follow.Stop()
	q.bytes = maxQueuedBytes - 10 // as if much waited
	busy := func(when string) {
		t.Helper()
		if _, err := offered(q, 1); !errors.Is(err, errBusy) || !errors.Is(err, journal.ErrRefused) {
			t.Errorf("%s: got %v", when, err)
		}
	}
	first, err := offered(q, 10)
	if err != nil {
		t.Fatal(err)
	}
	busy("full")
	if !q.withdraw(first) {
		t.Error("what waits cannot be withdrawn")
	}
	if _, err := offered(q, 10); err != nil {
		t.Errorf("when one was withdrawn: %v", err)
	}
	busy("full again")
	if got := len(q.take()); got != 1 {
		t.Errorf("%d were taken", got)
	}
	if _, err := offered(q, 10); err != nil {
		t.Errorf("when one was taken: %v", err)
	}
	busy("full once more")
}
