package server

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestClock: time stands still when the loop has been silent for longer than a slow
// disk takes, and goes on when it is heard again.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{rounds: newRounds(nil, 0)}
		for _, step := range []struct {
			wait time.Duration
			ok   bool
		}{{longestRound, true}, {time.Nanosecond, false}, {time.Hour, false}} {
			<-time.After(step.wait)
			if err := s.clock(); (err == nil) != step.ok {
				t.Errorf("after another %v: %v", step.wait, err)
			}
		}
		s.rounds.pulse()
		if err := s.clock(); err != nil {
			t.Errorf("the loop goes round, and %v", err)
		}
	})
}

// TestRounds: whoever wants to know is told as often as it asked for, or more often.
func TestRounds(t *testing.T) {
	for _, c := range []struct{ asked, want time.Duration }{{0, roundEvery}, {time.Second, time.Second}, {time.Minute, roundEvery}} {
		told := 0
		r := newRounds(func() { told++ }, c.asked)
		if r.pulse(); r.every != c.want || (told == 1) != (c.asked > 0) {
			t.Errorf("asked for each %v: goes round each %v, told %d times", c.asked, r.every, told)
		}
	}
	newRounds(nil, time.Second).pulse()
}
