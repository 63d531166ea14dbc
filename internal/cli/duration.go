package cli

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// durationValue is a flag that takes a duration as Go writes it, or bare seconds:
// 90s, 1m30s, 90, 1.5. It cannot be negative.
func durationValue(d *time.Duration) pflag.Value { return (*duration)(d) }

type duration time.Duration

// String returns what help calls the default, which 0 is not worth being called.
func (d *duration) String() string {
	if *d == 0 {
		return "0"
	}
	return shortDuration(time.Duration(*d))
}

func (d *duration) Type() string { return "duration" }

func (d *duration) Set(s string) error {
	v, err := parseDuration(s)
	if err == nil {
		*d = duration(v)
	}
	return err
}

// parseDuration reads a duration of at least 0.
func parseDuration(s string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		if !(seconds >= 0 && seconds <= math.MaxInt64/float64(time.Second)/2) {
			return 0, fmt.Errorf("%s seconds are no duration", s)
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is no duration; want 30s, 1m30s, or seconds, as in 1.5", s)
	case d < 0:
		return 0, fmt.Errorf("%s is negative", s)
	}
	return d, nil
}

// shortDuration writes a duration for people: two units at most, and no more
// exact than anybody wants to know.
func shortDuration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "-" + shortDuration(-d)
	case d == 0:
		return "0s"
	case d < time.Second:
		return max(d.Round(time.Millisecond), time.Millisecond).String()
	case d < 10*time.Second && d%time.Second != 0:
		return d.Round(100 * time.Millisecond).String()
	}
	two := func(large, small time.Duration, l, s string) string {
		d = d.Round(small)
		if d%large == 0 {
			return fmt.Sprintf("%d%s", d/large, l)
		}
		return fmt.Sprintf("%d%s%02d%s", d/large, l, d%large/small, s)
	}
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return d.String()
	case d < time.Hour:
		return two(time.Minute, time.Second, "m", "s")
	case d < day:
		return two(time.Hour, time.Minute, "h", "m")
	default:
		return two(day, time.Hour, "d", "h")
	}
}
