package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// A member may answer for its clients from when it sent the beat that the table took, for
// the lease less the margin for clocks, however late it learns of that.
func TestLeaseCountsFromTheSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length = 7 * 3600 * lock.Second // so long that what the test takes is nothing beside it
		var l memberLease
		if l.left() > 0 {
			t.Error("a member that was never heard may answer")
		}
		l.sendNow(1)
		<-time.After(2 * time.Hour)
		l.sendNow(2)
		<-time.After(time.Hour)
		l.taken(1, length)
		// 7 h less the margin of 12 percent, and 3 h since the beat.
		if got, want := l.left(), 6*time.Hour+15*time.Minute-3*time.Hour; got != want {
			t.Errorf("left are %v, want %v", got, want)
		}
		l.taken(2, length)
		if got, want := l.left(), 6*time.Hour+15*time.Minute-time.Hour; got != want {
			t.Errorf("by the newer beat left are %v, want %v", got, want)
		}
	})
}

// An older beat that is confirmed later, and one that nobody sent, make a lease no longer
// and no shorter.
func TestLeaseByOtherBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length = 7 * 3600 * lock.Second // so long that what the test takes is nothing beside it
		var l memberLease
		l.sendNow(1)
		<-time.After(time.Hour)
		l.sendNow(2)
		l.taken(2, length)
		<-time.After(time.Hour)
		want := 5*time.Hour + 15*time.Minute
		l.taken(1, length)
		l.taken(3, length)
		l.taken(2, length) // a copy
		if got := l.left(); got != want {
			t.Errorf("left are %v, want %v", got, want)
		}
	})
}

// Beats of other members have numbers of their own, and say nothing of this one.
func TestBeatsOfOthers(t *testing.T) {
	n := &Node{incarnation: 1}
	n.lease.sendNow(1)
	taken := &lock.Outcome{TTL: 7 * 3600 * lock.Second}
	n.beaten(&lock.Beat{Incarnation: 2, Number: 1}, taken)
	if got := n.lease.left(); got > 0 {
		t.Errorf("by a beat of somebody else this member may answer for %v", got)
	}
	n.beaten(&lock.Beat{Incarnation: 1, Number: 1}, taken)
	if n.lease.left() <= 0 {
		t.Error("its own beat counts for nothing")
	}
}

// A member that can do nothing for its clients any more lets them go at once, with what they
// hold: their sessions may be resumed.
func TestDismiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		if n := h.Dismiss(); n != 0 {
			t.Errorf("%d were dismissed, and nobody was there", n)
		}
		l := h.link(1)
		h.acquire(l, 0, "a")
		if n := h.Dismiss(); n != 1 {
			t.Errorf("%d were dismissed, want 1", n)
		}
		<-l.Ended()
		wantError(t, l.Reason(), ErrDetached)
		h.wantHeld("a", 1, 0)
		again := h.link(1)
		if again.Session() != l.Session() {
			t.Errorf("session %d was resumed as %d", l.Session(), again.Session())
		}
	})
}
