package cli

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
	}{
		{"0", 0}, {"10", 10 * time.Second}, {"1.5", 1500 * time.Millisecond}, {"2m", 2 * time.Minute}, {"1h30m", 90 * time.Minute},
	} {
		if got, err := parseDuration(c.text); err != nil || got != c.want {
			t.Errorf("%q is %s, %v; want %s", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"", "x", "-1", "-1s", "NaN", "Inf", "1e300", "10 s"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is %s; want an error", text, got)
		}
	}
}

func TestShortDuration(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0s"},
		{300 * time.Nanosecond, "1ms"},
		{800 * time.Millisecond, "800ms"},
		{1234 * time.Millisecond, "1.2s"},
		{9960 * time.Millisecond, "10s"},
		{12*time.Second + 700*time.Millisecond, "13s"},
		{59*time.Second + 900*time.Millisecond, "1m"},
		{134 * time.Second, "2m14s"},
		{63 * time.Second, "1m03s"},
		{59*time.Minute + 59*time.Second + 800*time.Millisecond, "1h"},
		{90 * time.Minute, "1h30m"},
		{26 * time.Hour, "1d02h"},
		{-3 * time.Second, "-3s"},
	} {
		if got := shortDuration(c.d); got != c.want {
			t.Errorf("%d ns: %s, want %s", c.d, got, c.want)
		}
	}
}
