package main

import (
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The kinds of faults have names of their own, by which they are chosen and counted.
func TestFaultsHaveNames(t *testing.T) {
	var names []string
	for _, f := range faults() {
		if f.kind == "" || f.do == nil || slices.Contains(names, f.kind) {
			t.Errorf("a fault of the kind %q", f.kind)
		}
		names = append(names, f.kind)
	}
}
