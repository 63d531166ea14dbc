package sessionapi

import (
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// LockOf describes a lock.
func LockOf(v *lock.LockView) *ldlmv2.Lock {
	m := &ldlmv2.Lock{
		Name: v.Name, Size: v.Size, Held: v.Held, Shared: v.Shared, Fence: uint64(v.Fence),
		HolderCount: uint32(v.HolderCount), WaiterCount: uint32(v.WaiterCount),
		IdleUs: int64(v.Idle), FreeBehindHead: v.FreeBehindHead,
	}
	for i := range v.Holders {
		m.Holders = append(m.Holders, HolderOf(&v.Holders[i]))
	}
	for i := range v.Waiters {
		m.Waiters = append(m.Waiters, WaiterOf(&v.Waiters[i]))
	}
	return m
}

// HolderOf describes a hold, or the lock delay that followed one. Of the key it
// has the beginning only.
func HolderOf(v *lock.HoldView) *ldlmv2.Holder {
	m := &ldlmv2.Holder{
		Token: uint64(v.Token), Session: uint64(v.Session), Client: InfoOf(v.Info),
		AgeUs: int64(v.Age), LeaseLeftUs: int64(v.LeaseLeft), Permits: v.Permits, Mode: ModeOf(v.Mode),
		Revoked: v.Revoked, Delay: v.Delay,
	}
	if v.Key != (lock.Key{}) {
		m.KeyPrefix = v.Key.Short()
	}
	if v.Note != nil {
		m.Reason, m.Labels, m.Value = v.Note.Reason, labelsOf(v.Note.Labels), v.Note.Value
	}
	return m
}

// WaiterOf describes a request in one of its queues.
func WaiterOf(v *lock.WaitView) *ldlmv2.Waiter {
	m := &ldlmv2.Waiter{
		Session: uint64(v.Session), Client: InfoOf(v.Info), AgeUs: int64(v.Age), GivesUpInUs: int64(v.GivesUp),
		Permits: v.Permits, Mode: ModeOf(v.Mode), Names: uint32(max(0, v.NumNames-1)),
	}
	if v.Note != nil {
		m.Reason = v.Note.Reason
	}
	return m
}

// BlockerOf describes what a request did not get past; nil for nil. self says
// that the asking session itself is in the way.
func BlockerOf(b *lock.Blocker, self bool) *ldlmv2.Blocker {
	if b == nil {
		return nil
	}
	m := &ldlmv2.Blocker{
		Name: b.Name, Holders: uint32(b.Holders), Waiting: uint32(b.Waiting),
		LongestWaitUs: int64(b.LongestWait), DelayLeftUs: int64(b.DelayLeft), Self: self,
	}
	if b.Holder != nil {
		m.Holder = HolderOf(b.Holder)
	}
	return m
}

// SessionOf describes a session. When its client was last heard is not in the
// table: -1.
func SessionOf(v *lock.SessionView) *ldlmv2.Session {
	return &ldlmv2.Session{
		LastHeardUs: -1,
		Session:     uint64(v.Number), Client: InfoOf(v.Info), TtlUs: int64(v.TTL), Attached: v.Attached,
		LeftUs: int64(v.Left), Holds: uint32(v.Holds), Waits: uint32(v.Waits), AgeUs: int64(v.Age), Value: v.Value,
	}
}

// InfoOf says what is known of a client; nil for nil.
func InfoOf(i *lock.Info) *ldlmv2.ClientInfo {
	if i == nil {
		return nil
	}
	return &ldlmv2.ClientInfo{
		Host: i.Host, Pid: i.PID, User: i.User, Program: i.Program, Library: i.Library,
		Labels: labelsOf(i.Labels), Remote: i.Remote, Transport: i.Transport, Principal: i.Principal,
	}
}

// EventOf describes an event. The wall clock is that of this process, when it
// learned of the event.
func EventOf(e *lock.Event, wall time.Time) *ldlmv2.Event {
	m := &ldlmv2.Event{
		Number: e.Number, Type: EventTypeOf(e.Type, e.Reason), TimeUs: wall.UnixMicro(), Name: e.Name,
		Session: uint64(e.Session), Client: InfoOf(e.Info), Token: uint64(e.Token), Reason: EndReasonOf(e.Reason),
		WaitedUs: int64(e.Waited), HeldUs: int64(e.Held), Permits: e.Permits,
	}
	if e.Permits > 0 { // else it is not about a hold or a wait
		m.Mode = ModeOf(e.Mode)
	}
	if e.Type == lock.LockResized {
		m.Size = e.Size
	}
	return m
}

func labelsOf(labels []lock.Label) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	m := make(map[string]string, len(labels))
	for _, l := range labels {
		m[l.Key] = l.Value
	}
	return m
}
