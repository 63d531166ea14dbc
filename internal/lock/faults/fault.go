package main

import (
	"fmt"
	"strings"
)

// fault is a deliberate mistake: in file, new stands where old stood.
type fault struct {
	name, file, old, new string
}

// apply breaks the source. The text must be there exactly once, so that a fault
// that the code has outgrown is noticed.
func (f *fault) apply(source string) (string, error) {
	if n := strings.Count(source, f.old); n != 1 {
		return "", fmt.Errorf("%s has the text %d times, not once", f.file, n)
	}
	return strings.Replace(source, f.old, f.new, 1), nil
}

// allFaults lists all of them, by what they break.
func allFaults() []fault {
	var all []fault
	for _, list := range [][]fault{
		queueFaults(), timeFaults(), requestFaults(), sessionFaults(), holdFaults(), stateFaults(), byteFaults(),
	} {
		all = append(all, list...)
	}
	return all
}
