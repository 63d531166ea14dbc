package sessionapi_test

import (
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

func TestOneLockFromOneToAnother(t *testing.T) {
	inWorld(t, sessionapi.Config{Version: "v2.0.0"}, func(w *world) {
		a, b := w.dial(), w.dial()
		b.secret = []byte("another secret, quite random")
		welcome := a.open()
		b.open()
		if welcome.GetVersion() != 2 || welcome.GetSession() == 0 || welcome.GetAttach() == 0 || welcome.GetServer() != "v2.0.0" ||
			welcome.GetTtlUs() != 10_000_000 || welcome.GetValidForUs() != 8_928_571 || welcome.GetKeepAliveEveryUs() != 2_000_000 ||
			welcome.GetResumed() || !welcome.GetLeader().GetSelf() || welcome.GetMaxFrameBytes() != 4<<20 ||
			welcome.GetMaxSlots() != 65_536 || welcome.GetMaxWaitingSlots() != 61_440 {
			t.Errorf("welcome %v", welcome)
		}
		got := a.gets(ok, acquire(0, 1, "x", 0))
		if got.GetToken() == 0 || got.GetFence() != got.GetToken() || len(got.GetKey()) != 16 || !got.GetAtOnce() {
			t.Errorf("grant %v", got)
		}
		b.gets(queued, acquire(0, 1, "x", waitForever))
		time.Sleep(3 * time.Second)
		if a := a.gets(ok, release(0, 2, "x", got.GetToken())); a.GetToken() != 0 || a.GetKey() != nil {
			t.Errorf("a release is answered as a grant: %v", a)
		}
		next := b.answer()
		if next.GetCode() != ok || next.GetToken() <= got.GetToken() || next.GetAtOnce() || next.GetWaitedUs() != 3_000_000 {
			t.Errorf("the one who waited got %v", next)
		}
	})
}
