package sessionapi_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// refuseAll is a node's submit that has reached a limit.
func refuseAll(l *fakeLink, commands []lock.Command) error {
	l.answerAll(commands, lock.Outcome{Code: lock.Limit, Field: lock.FieldWaiters, Limit: 1})
	return nil
}

// Who reaches a limit too often is answered, and then not heard for a while: what it
// sent meanwhile is read later.
func TestWhoReachesLimitsTooOftenRests(t *testing.T) {
	const rest = time.Second
	gate := auth.NewGate(auth.GateConfig{Tempo: auth.Tempo{Every: rest, Free: 2, Longest: rest}})
	n := &fakeNode{ttl: lock.Minute, submit: refuseAll}
	withFake(t, n, sessionapi.Config{Gate: gate, Immediate: true}, func(t *testing.T, c *client, _ *fakeLink) {
		began := time.Now()
		for seq := range uint64(2) {
			c.gets(ldlmv2.Code_CODE_LIMIT, acquire(1, seq+1, "x", time.Second))
		}
		c.gets(ldlmv2.Code_CODE_LIMIT, acquire(1, 3, "x", time.Second)) // one too many
		if took := time.Since(began); took != 0 {
			t.Errorf("the answer came after %v", took)
		}
		c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 1}})
		if c.next().GetKeepAlive().GetNumber() != 1 {
			t.Error("no confirmation")
		}
		if took := time.Since(began); took != rest {
			t.Errorf("the next frame was read after %v, want %v", took, rest)
		}
	})
}

// Whose keep-alive lies behind much that is refused is not given up because of that, however
// short its ttl is.
func TestRestsDoNotHoldKeepAlivesUp(t *testing.T) {
	for _, c := range []struct {
		ttl   lock.Duration
		tempo auth.Tempo
	}{
		{lock.DefaultSettings().MinTTL, auth.Tempo{Every: time.Minute, Free: 1}},
		{lock.DefaultSettings().DefaultTTL, auth.Tempo{Every: time.Minute, Free: 1}},
		{lock.Minute, auth.Tempo{Every: time.Minute, Free: 1, Longest: 5 * time.Second}},
	} {
		ttl := time.Duration(c.ttl) * time.Microsecond
		t.Run(ttl.String(), func(t *testing.T) {
			gate := auth.NewGate(auth.GateConfig{Tempo: c.tempo})
			n := &fakeNode{ttl: c.ttl, submit: refuseAll}
			withFake(t, n, sessionapi.Config{Gate: gate, Immediate: true}, func(t *testing.T, c *client, _ *fakeLink) {
				began := time.Now()
				<-time.After(ttl / 5) // when it is due
				for seq := range uint64(100) {
					c.gets(ldlmv2.Code_CODE_LIMIT, acquire(1, seq+1, "x", time.Second))
				}
				c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 1}})
				if c.next().GetKeepAlive().GetNumber() != 1 {
					t.Error("no confirmation")
				}
				if took := time.Since(began); took <= ttl/3 || took >= ttl/2 {
					t.Errorf("all of it was read after %v, want rests, and less than half of %v", took, ttl)
				}
			})
		})
	}
}

// Who is late with its keep-alives rests all the same.
func TestBeingLateIsNoWayAroundRests(t *testing.T) {
	gate := auth.NewGate(auth.GateConfig{Tempo: auth.Tempo{Every: time.Minute, Free: 1}})
	n := &fakeNode{ttl: lock.Minute, submit: refuseAll}
	withFake(t, n, sessionapi.Config{Gate: gate, Immediate: true}, func(t *testing.T, c *client, _ *fakeLink) {
		c.gets(ldlmv2.Code_CODE_LIMIT, acquire(1, 1, "x", time.Second))
		<-time.After(25 * time.Second)
		for seq := range uint64(10) {
			c.gets(ldlmv2.Code_CODE_LIMIT, acquire(1, seq+2, "x", time.Second))
			began := time.Now()
			c.gets(ldlmv2.Code_CODE_LIMIT, acquire(2, seq+1, "x", time.Second))
			if took := time.Since(began); took < 50*time.Millisecond || took > 200*time.Millisecond {
				t.Errorf("%d: the next one was read after %v", seq, took)
			}
		}
	})
}

// A rest is over when its time is, though nothing came meanwhile.
func TestRestsAreNotTakenLater(t *testing.T) {
	gate := auth.NewGate(auth.GateConfig{Tempo: auth.Tempo{Every: time.Minute, Free: 1, Longest: time.Second}})
	n := &fakeNode{ttl: lock.Minute, submit: func(l *fakeLink, commands []lock.Command) error {
		<-time.After(time.Second) // by then the next frame is waited for
		return refuseAll(l, commands)
	}}
	withFake(t, n, sessionapi.Config{Gate: gate}, func(t *testing.T, c *client, _ *fakeLink) {
		for seq := range uint64(3) {
			c.gets(ldlmv2.Code_CODE_LIMIT, acquire(1, seq+1, "x", time.Second))
		}
		<-time.After(10 * time.Second)
		began := time.Now()
		for number := range uint64(2) {
			c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: number + 1}})
			if c.next().GetKeepAlive().GetNumber() != number+1 {
				t.Error("no confirmation")
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("two keep-alives were read after %v", took)
		}
	})
}

// Who connects again and again where there is no room hears of it later each time.
func TestWhoIsRefusedAConnectionTooOftenWaits(t *testing.T) {
	for _, c := range []struct {
		field    string
		gate     auth.GateConfig
		settings lock.Settings
	}{
		{"connections", auth.GateConfig{Connections: 1}, lock.Settings{}},
		{"sessions", auth.GateConfig{Connections: 2}, lock.Settings{MaxSessions: 1}},
	} {
		t.Run(c.field, func(t *testing.T) {
			const rest = time.Second
			c.gate.Tempo = auth.Tempo{Every: rest, Free: 2, Longest: rest}
			inWorldOf(t, c.settings, sessionapi.Config{Gate: auth.NewGate(c.gate)}, func(t *testing.T, w *world) {
				first := w.dial()
				first.open()
				for i, want := range []time.Duration{0, 0, rest, rest} {
					began := time.Now()
					next := w.dial()
					next.secret = bytes.Repeat([]byte{byte(i)}, 16)
					next.send(&ldlmv2.ClientFrame{Hello: next.hello()})
					if s := next.end(); s.GetCode() != ldlmv2.Code_CODE_LIMIT || s.GetField() != c.field {
						t.Errorf("connection %d ends with %v", i, s)
					}
					if took := time.Since(began); took != want {
						t.Errorf("connection %d is refused after %v, want %v", i, took, want)
					}
				}
				// Who waits for the answer has no place meanwhile that others need.
				together := []*client{w.dial(), w.dial()}
				for i, next := range together {
					next.secret = bytes.Repeat([]byte{byte(i + 10)}, 16)
					next.send(&ldlmv2.ClientFrame{Hello: next.hello()})
					synctest.Wait()
				}
				for _, next := range together {
					if s := next.end(); s.GetField() != c.field {
						t.Errorf("one of two ends with %v", s)
					}
				}
				first.gets(ok, acquire(1, 1, "x", 0))
			})
		})
	}
}

// A connection of a client that is to rest is welcomed, and not read before that is over:
// what comes with hello neither.
func TestNewConnectionsAreNoWayAroundRests(t *testing.T) {
	const rest = time.Second
	gate := auth.NewGate(auth.GateConfig{Tempo: auth.Tempo{Every: time.Minute, Free: 1, Longest: rest}})
	inWorldOf(t, lock.Settings{MaxWaiters: 1}, sessionapi.Config{Gate: gate}, func(t *testing.T, w *world) {
		hasty := w.dial()
		hasty.open()
		hasty.gets(ok, acquire(1, 1, "x", 0))
		hasty.gets(queued, acquire(2, 1, "x", time.Hour))
		for seq := range uint64(2) {
			hasty.gets(ldlmv2.Code_CODE_LIMIT, acquire(3, seq+1, "x", time.Hour))
		}
		for i, want := range []time.Duration{rest, 0} {
			began := time.Now()
			next := w.dial()
			next.secret = bytes.Repeat([]byte{byte(i)}, 16)
			next.send(&ldlmv2.ClientFrame{Hello: next.hello(), Ops: []*ldlmv2.Op{acquire(1, 1, "y", 0)}})
			if next.next().GetWelcome() == nil || time.Since(began) != 0 {
				t.Errorf("no welcome at once, but after %v", time.Since(began))
			}
			next.answer()
			if took := time.Since(began); took != want {
				t.Errorf("connection %d is read after %v, want %v", i, took, want)
			}
		}
	})
}
