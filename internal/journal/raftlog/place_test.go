package raftlog

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// placed is a line whose proposer is told that it has its place.
type placed struct {
	line
	told chan struct{}
}

func (p placed) Placed() { close(p.told) }

// A batch has its place while an earlier one is being written, and what is proposed then
// is applied behind it.
func TestPlaces(t *testing.T) {
	c := small(fastDir(t))
	var slow atomic.Bool
	goOn := make(chan struct{})
	c.WriteDeadline = time.Hour
	c.fault = func(op, _ string) error {
		if op == opSync && slow.Load() {
			<-goOn
		}
		return nil
	}
	m := &tape{}
	j := mustBegin(t, c, m)
	defer mustClose(t, j)
	slow.Store(true)
	const all = 5
	done := make(chan error, all)
	want := texts(all)
	for _, text := range want {
		p := placed{line(text), make(chan struct{})}
		go func() { done <- j.Propose(t.Context(), p) }()
		<-p.told
	}
	select {
	case err := <-done:
		t.Errorf("applied before it was written: %v", err)
	default:
	}
	slow.Store(false)
	close(goOn)
	for range all {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if got := m.lines; !slices.Equal(got, want) {
		t.Errorf("applied %q, want %q", got, want)
	}
}
