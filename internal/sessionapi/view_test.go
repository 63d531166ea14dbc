package sessionapi

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

var (
	anInfo = &lock.Info{
		Host: "h", PID: 1, User: "u", Program: "p", Library: "l", Labels: []lock.Label{{Key: "k", Value: "v"}},
		Remote: "r", Transport: "plain", Principal: "web",
	}
	aClient = &ldlmv2.ClientInfo{
		Host: "h", Pid: 1, User: "u", Program: "p", Library: "l", Labels: map[string]string{"k": "v"},
		Remote: "r", Transport: "plain", Principal: "web",
	}
)

func same(t *testing.T, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

func TestLockOf(t *testing.T) {
	v := &lock.LockView{
		Number: 1, Name: "a", Size: 5, Held: 2, Shared: 3, Fence: 4, Idle: -1, HolderCount: 6, WaiterCount: 7, FreeBehindHead: 8,
		Holders: []lock.HoldView{{
			Session: 1, Info: anInfo, Token: 2, Key: aKey, Mode: lock.Shared, Permits: 3, Age: 4, LeaseLeft: 5, Revoked: true,
			Note: &lock.Note{Reason: "why", Labels: []lock.Label{{Key: "x", Value: "y"}}, Value: []byte("v")},
		}, {LeaseLeft: -1, Delay: true}},
		Waiters: []lock.WaitView{{
			Session: 1, Info: anInfo, Mode: lock.Shared, Permits: 2, Age: 3, GivesUp: 4, Note: &lock.Note{Reason: "why"}, NumNames: 3,
		}, {GivesUp: -1}},
	}
	same(t, LockOf(v), &ldlmv2.Lock{
		Name: "a", Size: 5, Held: 2, Shared: 3, Fence: 4, IdleUs: -1, HolderCount: 6, WaiterCount: 7, FreeBehindHead: 8,
		Holders: []*ldlmv2.Holder{{
			Session: 1, Client: aClient, Token: 2, KeyPrefix: keyText[:8], Mode: ldlmv2.Mode_MODE_SHARED, Permits: 3, AgeUs: 4,
			LeaseLeftUs: 5, Revoked: true, Reason: "why", Labels: map[string]string{"x": "y"}, Value: []byte("v"),
		}, {LeaseLeftUs: -1, Delay: true, Mode: ldlmv2.Mode_MODE_EXCLUSIVE}},
		Waiters: []*ldlmv2.Waiter{{
			Session: 1, Client: aClient, Mode: ldlmv2.Mode_MODE_SHARED, Permits: 2, AgeUs: 3, GivesUpInUs: 4, Reason: "why", Names: 2,
		}, {GivesUpInUs: -1, Mode: ldlmv2.Mode_MODE_EXCLUSIVE}},
	})
}

func TestSessionOf(t *testing.T) {
	same(t, SessionOf(&lock.SessionView{
		Number: 1, Info: anInfo, TTL: 2, Attached: true, Left: -1, Age: 3, Holds: 4, Waits: 5, Value: []byte("v"),
	}), &ldlmv2.Session{
		Session: 1, Client: aClient, TtlUs: 2, Attached: true, LeftUs: -1, AgeUs: 3, Holds: 4, Waits: 5, Value: []byte("v"), LastHeardUs: -1,
	})
}

func TestBlockerOf(t *testing.T) {
	if got := BlockerOf(nil, true); got != nil {
		t.Errorf("nobody in the way is %v", got)
	}
	same(t, BlockerOf(&lock.Blocker{
		Name: "a", Holder: &lock.HoldView{Token: 1}, Holders: 2, Waiting: 3, LongestWait: 4, DelayLeft: 5,
	}, true), &ldlmv2.Blocker{
		Name: "a", Holder: &ldlmv2.Holder{Token: 1, Mode: ldlmv2.Mode_MODE_EXCLUSIVE}, Holders: 2, Waiting: 3,
		LongestWaitUs: 4, DelayLeftUs: 5, Self: true,
	})
}

func TestEventOf(t *testing.T) {
	wall := time.UnixMicro(1_700_000_000_000_001)
	same(t, EventOf(&lock.Event{
		Number: 1, Time: 2, Type: lock.HoldExpired, Reason: lock.SessionExpired, Mode: lock.Shared, Permits: 3, Size: 4,
		Name: "a", Session: 5, Info: anInfo, Token: 6, Key: aKey, Waited: 7, Held: 8,
	}, wall), &ldlmv2.Event{
		Number: 1, Type: ldlmv2.EventType_EVENT_TYPE_EXPIRED, TimeUs: wall.UnixMicro(), Name: "a", Session: 5, Client: aClient,
		Token: 6, Reason: ldlmv2.EndReason_END_REASON_SESSION_EXPIRED, WaitedUs: 7, HeldUs: 8, Permits: 3, Mode: ldlmv2.Mode_MODE_SHARED,
	})
	same(t, EventOf(&lock.Event{Number: 1, Type: lock.LockResized, Name: "a", Size: 4}, wall), &ldlmv2.Event{
		Number: 1, Type: ldlmv2.EventType_EVENT_TYPE_RESIZED, TimeUs: wall.UnixMicro(), Name: "a", Size: 4,
	})
	same(t, EventOf(&lock.Event{Number: 1, Type: lock.SessionEnded, Reason: lock.Forced, Session: 2}, wall), &ldlmv2.Event{
		Number: 1, Type: ldlmv2.EventType_EVENT_TYPE_SESSION_KILLED, TimeUs: wall.UnixMicro(), Session: 2,
		Reason: ldlmv2.EndReason_END_REASON_FORCED,
	})
}
