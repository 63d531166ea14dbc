package clock

import (
	"time"

	"golang.org/x/sys/windows"
)

// sinceBoot reads the tick count, which includes sleep and hibernation. It
// moves in steps of up to 16 ms, so elapsed time may be that much too long.
func sinceBoot() time.Duration { return windows.DurationSinceBoot() }
