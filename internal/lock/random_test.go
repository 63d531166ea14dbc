package lock

import (
	"flag"
	"testing"

	"pgregory.net/rapid"
)

var seeds = flag.Uint64("seeds", 24, "how many random histories TestHistories runs")

// TestHistories runs long random histories, each from its seed.
func TestHistories(t *testing.T) {
	n := *seeds
	if testing.Short() {
		n = min(n, 8)
	}
	for seed := range n {
		x, err := newTrial(seeded(seed).draw)
		for step := 0; step < 300 && err == nil; step++ {
			err = x.step()
		}
		if err != nil {
			t.Fatalf("seed %d, entry %d: %v\nafter\n%s\n%s", seed, len(x.entries), err, x.story(), x.table.Describe())
		}
	}
}

// TestShortHistories does the same with short ones, which are made shorter when
// they fail (-rapid.checks=N for more of them).
func TestShortHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }
		x, err := newTrial(draw)
		for range 40 {
			if err != nil {
				t.Fatalf("%v\nafter\n%s\n%s", err, x.story(), x.table.Describe())
			}
			err = x.step()
		}
	})
}
