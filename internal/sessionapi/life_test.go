package sessionapi

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/clock"
)

const ttl = 10 * time.Second

// watched returns a life that was begun now, with looks made by hand.
func watched() *life {
	l := &life{}
	l.begin(clock.Now(), ttl)
	l.watch(func() {})
	return l
}

func TestAPauseOfTheServerIsNotTheClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watched()
		defer l.end()
		// The process stands still: the look that was due comes long after.
		<-time.After(8 * time.Second)
		if l.look(ttl) {
			t.Fatal("given up by a look that came late")
		}
		// What lay in the socket is read, and with it a keep-alive.
		l.heard(1, clock.Now())
		l.answer(func() (time.Duration, bool) { return 0, true })
		<-time.After(mostGrace)
		if l.look(ttl) {
			t.Error("given up although a keep-alive had been there")
		}
	})
}

func TestAPauseInTheLastStretch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watched()
		defer l.end()
		<-time.After(ttl/2 - mostGrace)
		if l.look(ttl) {
			t.Fatal("given up before half the ttl")
		}
		<-time.After(mostGrace + stallLimit)
		if l.look(ttl) {
			t.Fatal("given up after a stretch that was not on time")
		}
		<-time.After(mostGrace)
		if !l.look(ttl) {
			t.Error("not given up after a stretch on time in which nothing came")
		}
	})
}

func TestALookThatComesALittleLateIsNotTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watched()
		defer l.end()
		<-time.After(ttl/2 + stallLimit/10)
		if l.look(ttl) {
			t.Fatal("given up without a last stretch in which nothing came")
		}
		<-time.After(mostGrace)
		if !l.look(ttl) {
			t.Error("not given up after it")
		}
	})
}

func TestAnEndedLifeIsNotLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looked := make(chan struct{}, 10)
		l := &life{}
		l.begin(clock.Now(), ttl)
		l.watch(func() { looked <- struct{}{} })
		l.end()
		<-time.After(time.Minute)
		l.wait()
		if len(looked) != 0 || l.startLook() || l.look(ttl) {
			t.Error("looked at after its end")
		}
	})
}

func TestUnconfirmedKeepAliveIsNoSignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := watched()
		defer l.end()
		<-time.After(3 * time.Second)
		l.heard(5, clock.Now())
		if _, _, ok := l.answer(func() (time.Duration, bool) { return time.Second, false }); ok {
			t.Error("confirmed although it may not be")
		}
		if got := l.silent(); got < 3*time.Second || got > 4*time.Second {
			t.Errorf("silent for %v, want 3s", got)
		}
		if _, _, ok := l.answer(func() (time.Duration, bool) { return time.Second, true }); ok {
			t.Error("the same keep-alive is answered twice")
		}
		l.heard(6, clock.Now())
		<-time.After(time.Second)
		number, valid, ok := l.answer(func() (time.Duration, bool) { return time.Second, true })
		if number != 6 || valid != time.Second || !ok {
			t.Errorf("answered %d, %v, %v", number, valid, ok)
		}
		// The time counts from when it was read, not from when it was answered.
		if got := l.silent(); got < time.Second || got > 2*time.Second {
			t.Errorf("silent for %v, want 1s", got)
		}
	})
}
