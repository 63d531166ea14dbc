package sessionapi_test

import (
	"testing"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// A connection beyond the limit is told so; the others are served, and one that is
// over, or came to no session, makes room.
func TestLimitOfConnections(t *testing.T) {
	gate := auth.NewGate(auth.GateConfig{Connections: 1})
	inWorld(t, sessionapi.Config{Gate: gate}, func(t *testing.T, w *world) {
		lost := w.dial()
		h := lost.hello()
		h.Session = 77
		lost.send(&ldlmv2.ClientFrame{Hello: h})
		if s := lost.end(); s.GetCode() != ldlmv2.Code_CODE_SESSION_LOST {
			t.Fatal(s)
		}
		<-lost.served
		first := w.dial()
		first.open()
		for range 2 {
			second := w.dial()
			second.send(&ldlmv2.ClientFrame{Hello: second.hello()})
			s := second.end()
			if s.GetCode() != ldlmv2.Code_CODE_LIMIT || s.GetField() != "connections" || s.GetLimit() != 1 {
				t.Errorf("the second connection ends with %v", s)
			}
			<-second.served
		}
		first.gets(ok, acquire(1, 1, "x", 0))
		first.cut()
		if n := gate.LimitsReached()["connections"]; n != 2 {
			t.Errorf("%d refusals by the limit were counted, want 2", n)
		}
		third := w.dial()
		third.open(func(h *ldlmv2.Hello) { h.Session = first.session })
	})
}
