// Package helpers says nothing.
package helpers // want `package helpers: name it for what is inside`

// A is the first name of many: one without a comment is few enough.
const (
	A = iota
	B
)
