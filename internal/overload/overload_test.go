//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain plays the other roles: the processes are this program.
func TestMain(m *testing.M) {
	role := os.Getenv(roleKey)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(context.Background(), role, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "overload:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// TestSmall puts a server under a little of each load. What counts is what came of
// it, that nobody else was refused, and that the server does not keep what it cannot
// deliver; how long anything took says nothing here. The bound on memory is several times
// what all of it takes with the race detector, and a small part of what slow readers
// alone would fill if nothing stopped them.
func TestSmall(t *testing.T) {
	const most = 256 << 20
	for _, trial := range trials() {
		t.Run(trial.name, func(t *testing.T) {
			f, err := try(t.Context(), trial, true)
			if err != nil {
				t.Fatal(err)
			}
			if f.During.Pairs == 0 || f.After.Pairs == 0 || f.MemoryMost == 0 {
				t.Errorf("others: %d pairs during it and %d after it; memory: %d bytes", f.During.Pairs, f.After.Pairs, f.MemoryMost)
			}
			if m := max(f.MemoryMost, f.MemoryAfter); m > most {
				t.Errorf("the server took %d MB of memory, want at most %d", m>>20, most>>20)
			}
		})
	}
}

func TestReport(t *testing.T) {
	r := newReport(false)
	r.add(trial{name: "many"}, findings{
		N: 10, EchoBefore: 2 * time.Millisecond, EchoDuring: 3 * time.Millisecond, Before: served{P99: time.Millisecond}, During: served{P99: 2 * time.Millisecond, Longest: 9 * time.Millisecond},
		After: served{P99: time.Millisecond}, MemoryBefore: 1e6, MemoryMost: 2e6, MemoryAfter: 1.5e6,
		Outcome: outcome{Reached: 9, Refused: 1, Field: "things", Limit: 9, Note: "n"}, Took: time.Second,
	}, nil)
	r.add(trial{name: "few"}, findings{}, fmt.Errorf("a\nb"))
	var b strings.Builder
	r.write(&b)
	for _, want := range []string{
		"| many | 10 | 9 | 1, `things` 9; n | 1s | 1, 2, 2 | 1.00 ms, **2.0 x**, 1.00 ms | 9.00 ms | 2.00 ms, **1.5 x** | ok |\n",
		"| few | 0 | 0 | none | 0s | 0, 0, 0 | 0.00 ms, **0.0 x**, 0.00 ms | 0.00 ms | 0.00 ms, **0.0 x** | a; b |\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it lacks\n%sin\n%s", want, b.String())
		}
	}
}

func TestFair(t *testing.T) {
	f := findings{Before: served{P99: 10}, During: served{P99: 30}, EchoBefore: 10, EchoDuring: 5}
	if err := f.fair(); err != nil {
		t.Errorf("three times as long: %v", err)
	}
	if f.During.P99++; f.fair() == nil {
		t.Error("more than three times as long passed")
	}
	f.EchoDuring = 20
	if f.During.P99 = 60; f.fair() != nil {
		t.Error("three times what the machine did to the echo did not pass")
	}
	if f.During.P99++; f.fair() == nil {
		t.Error("more than that passed")
	}
}
