package sessionapi

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/clock"
)

// What the node is told of a client's silence decides when its locks are free,
// so nothing may be confirmed that it does not know of.

func TestNothingIsConfirmedAfterTheEndWasTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watched()
		defer l.end()
		<-time.After(5 * time.Second)
		l.heard(1, clock.Now())
		if got := l.leave(); got < 5*time.Second || got > 6*time.Second {
			t.Errorf("silent for %v, want 5s", got)
		}
		if _, _, ok := l.answer(func() (time.Duration, bool) { return time.Second, true }); ok {
			t.Error("a keep-alive was confirmed of which the node does not know")
		}
	})
}

func TestWhatIsBeingConfirmedIsTold(t *testing.T) {
	l := watched()
	defer l.end()
	read := clock.Now()
	l.confirmed = clock.Instant{} // long ago
	l.heard(1, read)
	told := make(chan time.Duration)
	_, _, ok := l.answer(func() (time.Duration, bool) {
		go func() { told <- l.leave() }()
		return time.Second, true
	})
	if !ok {
		t.Fatal("not confirmed")
	}
	if got := <-told; got > clock.Since(read) {
		t.Errorf("silent for %v although a keep-alive was confirmed", got)
	}
}
