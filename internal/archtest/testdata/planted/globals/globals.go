// Package globals has variables that somebody writes to.
package globals

import "errors"

// ErrA is a name for a value: nobody writes to it.
var ErrA = errors.New("a")

var (
	count int
	byKey = map[string]int{}
	first struct{ n int }
	ready = make(chan bool)
	fixed = map[string]int{"a": 1}
)

func writes() {
	count++              // want `count is a variable of the package`
	byKey["a"] = 1       // want `byKey is a variable of the package`
	delete(byKey, "a")   // want `byKey is a variable of the package`
	first.n = fixed["a"] // want `first is a variable of the package`
	p := &first          // want `first is a variable of the package`
	p.n = 2
	ready <- true // want `ready is a variable of the package`
}

func hides(count int) map[string]int {
	byKey := map[string]int{}
	byKey["a"] = 1
	for first := range fixed {
		first += "b"
		byKey[first] = count
	}
	count++
	return byKey
}
