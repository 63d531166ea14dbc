package cli

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/ldlm-io/ldlm/internal/proc"
)

func TestBoundMemory(t *testing.T) {
	limit, known := proc.MemoryLimit()
	if !known {
		t.Skip("this system does not tell how much there is")
	}
	if was := debug.SetMemoryLimit(math.MaxInt64); was != math.MaxInt64 {
		defer debug.SetMemoryLimit(was)
	}
	restore := boundMemory(environment{}.in(t.TempDir()))
	if got := debug.SetMemoryLimit(-1); got <= limit/2 || got >= limit {
		t.Errorf("the limit is %d of %d", got, limit)
	}
	restore()
	boundMemory(environment{"GOMEMLIMIT": "1GiB"}.in(t.TempDir()))()
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("the limit is %d although it was set by hand", got)
	}
}
