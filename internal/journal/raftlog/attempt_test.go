package raftlog

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// An operation that takes longer than the deadline fails the disk, one that does not
// never will.
func TestAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const deadline = 2 * time.Second
		d := newDisk(slog.New(slog.DiscardHandler), deadline, nil)
		if err := d.do(opSync, "file", func() error {
			<-time.After(deadline - time.Millisecond)
			return nil
		}); err != nil {
			t.Fatalf("just within the deadline: %v", err)
		}
		<-time.After(time.Hour)
		if err := d.check(); err != nil {
			t.Fatalf("long after the operation: %v", err)
		}
		if err := d.do(opSync, "file", func() error {
			<-time.After(deadline + time.Millisecond)
			return nil
		}); !errors.Is(err, journal.ErrFatal) {
			t.Errorf("past the deadline: %v, want ErrFatal", err)
		}
	})
}

// A process that stood still while an operation ran sees one timer when it goes on,
// however long that was, and does not take its own stall for the disk's.
func TestAttemptWithAProcessThatStoodStill(t *testing.T) {
	d := newDisk(slog.New(slog.DiscardHandler), time.Hour, nil)
	defer d.running.rest()
	stood := func() *attempt {
		a := d.running.begin(opSync, "file")
		a.begun = a.begun.Add(-2 * d.deadline)
		return a
	}
	a := stood()
	d.running.look()
	d.running.end(a)
	for range 2 * attemptLooks {
		d.running.look() // late ones
	}
	if err := d.check(); err != nil {
		t.Errorf("after one look: %v", err)
	}
	defer d.running.end(stood())
	for range attemptLooks - 1 {
		d.running.look()
	}
	if err := d.check(); err != nil {
		t.Errorf("before the last look: %v", err)
	}
	d.running.look()
	if err := d.check(); !errors.Is(err, journal.ErrFatal) {
		t.Errorf("after all looks: %v, want ErrFatal", err)
	}
}
