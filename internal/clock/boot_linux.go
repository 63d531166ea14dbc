package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot reads CLOCK_BOOTTIME: the monotonic clock, with suspend.
func sinceBoot() time.Duration { return read(unix.CLOCK_BOOTTIME) }
