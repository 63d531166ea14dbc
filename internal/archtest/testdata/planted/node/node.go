// Package node is for users, so that every exported name needs a comment.
package node

import "testing" // want `is not for tests alone and may not import testing`

// A has a comment.
var A testing.TB

var (
	B int
	// want above `exported B has no comment`
)

const (
	C = iota
	// want above `exported C has no comment`
	D
	_ // the comment over D is one
)

// A comment on the group counts for all of it.
const (
	E = iota
	F
)

type (
	G struct{}
	// want above `exported G has no comment`
)

func (G) H() {} // want `exported H has no comment`

func (*g[T]) I() {}

type g[T any] struct{}

// Long is longer than a screen.
func Long() int { // want `Long has 71 lines, more than 70`
	n := 0
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	return n
}

// Fits is as long as a function may be.
func Fits() int {
	n := 0
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	return n
}
