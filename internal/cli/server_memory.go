package cli

import (
	"math"
	"runtime/debug"

	"github.com/ldlm-io/ldlm/internal/proc"
)

// boundMemory has the collector work harder when the process nears the memory that it
// can have, instead of letting the system end it for what is garbage already. Who has
// set GOMEMLIMIT knows better. It returns a function that takes it back.
func boundMemory(getenv func(string) string) (restore func()) {
	limit, known := proc.MemoryLimit()
	if !known || getenv("GOMEMLIMIT") != "" || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return func() {}
	}
	before := debug.SetMemoryLimit(limit - limit/10) // the rest is the system's: sockets, stacks of its own
	return func() { debug.SetMemoryLimit(before) }
}
