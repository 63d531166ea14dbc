package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot reads CLOCK_MONOTONIC_RAW, which is mach_continuous_time in
// nanoseconds: it goes on while the machine sleeps.
func sinceBoot() time.Duration { return read(unix.CLOCK_MONOTONIC_RAW) }
