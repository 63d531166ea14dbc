package sessionapi_test

import (
	"testing"
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

// Whose keep-alive lies behind much that is refused is not given up because of that.
func TestRestsDoNotHoldKeepAlivesUp(t *testing.T) {
	const rest, asked = 5 * time.Second, 100
	gate := auth.NewGate(auth.GateConfig{Tempo: auth.Tempo{Every: time.Minute, Free: 1, Longest: rest}})
	n := &fakeNode{ttl: lock.Minute, submit: refuseAll}
	withFake(t, n, sessionapi.Config{Gate: gate, Immediate: true}, func(t *testing.T, c *client, _ *fakeLink) {
		began := time.Now()
		for seq := range uint64(asked) {
			c.gets(ldlmv2.Code_CODE_LIMIT, acquire(1, seq+1, "x", time.Second))
		}
		c.send(&ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 1}})
		if c.next().GetKeepAlive().GetNumber() != 1 {
			t.Error("no confirmation")
		}
		if took := time.Since(began); took <= rest || took >= 30*time.Second {
			t.Errorf("all of it was read after %v, want some rests and less than half the ttl", took)
		}
	})
}
