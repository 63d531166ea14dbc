// Package compare measures LDLM, Redis and bare echoes one after the other, each
// doing the same work in a process of its own, and puts the medians side by side.
//
// A [Suite] has trials. A trial measures its contenders in turn, in every round
// in another order; what it finds are figures, of which the rows of the table
// show some, with the ratio of two contenders and the goal for it. Everything
// that a measurement starts, it ends.
//
// It needs Linux: what a server costs is read from /proc, and clients are stopped
// and killed by signals.
package compare
