package sessionapi

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever is held for long is relieved, once, and is told when it is back. Whoever comes back
// in time goes on, however often.
func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := 0
		r := newRelay(func() { started++ })
		for range 10 {
			turn := r.begin()
			<-time.After(relayAfter / 3)
			if !r.end(turn) {
				t.Fatal("it was relieved although it came back in time")
			}
		}
		<-time.After(3 * relayAfter)
		synctest.Wait()
		if started != 0 {
			t.Errorf("%d were started for nobody who was held", started)
		}
		begun := time.Now()
		held := r.begin()
		<-time.After(relayAfter)
		synctest.Wait()
		if started != 1 {
			t.Errorf("%d were started after %v, want 1", started, time.Since(begun))
		}
		<-time.After(3 * relayAfter)
		synctest.Wait()
		if started != 1 {
			t.Errorf("%d were started although whoever reads is not held, want 1", started)
		}
		second := r.begin()
		if r.end(held) {
			t.Error("who was relieved goes on reading")
		}
		if !r.end(second) {
			t.Error("who has relieved it does not go on reading")
		}
		third := r.begin()
		r.end(held) // which is nothing to the one who is held now
		<-time.After(relayAfter)
		synctest.Wait()
		if started != 2 || r.end(third) {
			t.Errorf("%d were started, want 2", started)
		}
		r.begin()
		why := errors.New("it is over")
		r.finish(why)
		<-r.ended
		<-time.After(3 * relayAfter)
		synctest.Wait()
		r.look() // as a timer does that fired a moment before it was stopped
		if started != 2 || !errors.Is(r.err, why) {
			t.Errorf("%d were started in all, want 2; it is over because of %v", started, r.err)
		}
	})
}

// A timer that was set for somebody who came back looks again when the next one has been
// held for long, and not before.
func TestRelayLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at time.Time
		r := newRelay(func() { at = time.Now() })
		r.end(r.begin())
		<-time.After(relayAfter / 2)
		begun := time.Now()
		r.begin()
		<-time.After(2 * relayAfter)
		synctest.Wait()
		if took := at.Sub(begun); took != relayAfter {
			t.Errorf("relieved after %v, want %v", took, relayAfter)
		}
		r.finish(nil)
	})
}
