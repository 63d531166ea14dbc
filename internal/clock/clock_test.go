package clock

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestFakeTimeIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const nap = time.Hour
		start := Now()
		<-time.After(nap)
		if got := Since(start); got != nap {
			t.Errorf("elapsed = %v, want %v", got, nap)
		}
	})
}

func TestElapsedIsTheLargerDifference(t *testing.T) {
	now := time.Now()
	at := func(mono, boot time.Duration) Instant { return Instant{mono: now.Add(mono), boot: boot} }
	tests := []struct {
		name     string
		from, to Instant
		want     time.Duration
	}{
		{"both clocks agree", at(0, time.Minute), at(3*time.Second, time.Minute+3*time.Second), 3 * time.Second},
		{"suspended for an hour", at(0, time.Minute), at(3*time.Second, time.Minute+time.Hour), time.Hour},
		{"the fake clock runs ahead", at(0, time.Minute), at(time.Hour, time.Minute+time.Second), time.Hour},
		{"no clock that counts suspend", at(0, 0), at(3*time.Second, 0), 3 * time.Second},
		{"it was denied at first", at(0, 0), at(3*time.Second, time.Hour), 3 * time.Second},
		{"it was denied later", at(0, time.Hour), at(3*time.Second, 0), 3 * time.Second},
		{"backwards", at(3*time.Second, time.Minute+3*time.Second), at(0, time.Minute), -3 * time.Second},
		{"the same instant", at(0, time.Minute), at(0, time.Minute), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.to.Sub(tt.from); got != tt.want {
				t.Errorf("elapsed = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestReadings(t *testing.T) {
	switch runtime.GOOS {
	case "linux", "darwin", "windows":
	default:
		t.Skip("no clock of this system is known to count suspend")
	}
	a := sinceBoot()
	b := sinceBoot()
	if a <= 0 {
		t.Errorf("the clock that counts suspend reads %v", a)
	}
	if b < a {
		t.Errorf("the clock that counts suspend went back from %v to %v", a, b)
	}
}

func TestZero(t *testing.T) {
	if !(Instant{}).IsZero() {
		t.Error("the zero Instant does not say so")
	}
	if Now().IsZero() {
		t.Error("the present instant says it is zero")
	}
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		Now()
	}
}
