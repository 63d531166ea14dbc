package cli

import (
	"strings"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

// What the client tells, as documents. now is the moment that ages are counted back
// from.

func lockDocument(l ldlm.LockInfo, now time.Time) document.Lock {
	d := document.Lock{
		Name: l.Name, State: document.Idle, Size: l.Size, Held: l.Held, SharedHolds: l.SharedHolds, Fence: document.NumberOf(l.Fence),
		HolderCount: l.HolderCount, WaiterCount: l.WaiterCount, FreeBehindHead: l.FreeBehindHead,
		Holders: []document.Holder{}, Waiters: []document.Waiter{},
	}
	switch {
	case l.HolderCount > 0:
		d.State = document.Held
	case l.WaiterCount > 0:
		d.State = document.Free
	case l.Idle >= 0:
		d.Idle, d.IdleMS = document.Span(l.Idle)
	}
	for _, h := range l.Holders {
		d.Holders = append(d.Holders, holderDocument(h, now))
	}
	if d.State == document.Held {
		d.Mode = modeOf(l.SharedHolds > 0)
	}
	for _, w := range l.Waiters {
		d.Waiters = append(d.Waiters, waiterDocument(w))
	}
	for _, e := range l.Events {
		d.Events = append(d.Events, eventDocument(e))
	}
	return d
}

func holderDocument(h ldlm.Holder, now time.Time) document.Holder {
	d := document.Holder{
		Token: document.NumberOf(h.Token), Session: document.NumberOf(h.Session), Client: clientDocument(h.Client),
		Mode: modeOf(h.Shared), Permits: h.Permits, Reason: h.Reason, Labels: h.Labels, Value: h.Value,
		KeyPrefix: h.KeyPrefix, Revoked: h.Revoked, Delay: h.Delay,
	}
	since := document.Time(now.Add(-h.Age))
	d.Since = &since
	d.Held, d.HeldMS = document.Span(h.Age)
	d.Lease, d.LeaseMS = spanUnlessNegative(h.LeaseLeft)
	return d
}

func waiterDocument(w ldlm.Waiter) document.Waiter {
	d := document.Waiter{
		Session: document.NumberOf(w.Session), Client: clientDocument(w.Client), Mode: modeOf(w.Shared), Permits: w.Permits,
		Reason: w.Reason, OtherLocks: w.Names,
	}
	d.Waited, d.WaitedMS = document.Span(w.Age)
	d.GivesUpIn, d.GivesUpInMS = spanUnlessNegative(w.GivesUpIn)
	return d
}

func sessionDocument(s ldlm.SessionInfo, now time.Time) document.Session {
	d := document.Session{
		Session: document.NumberOf(s.Number), Client: clientDocument(s.Client), Attached: s.Attached,
		HoldCount: s.Holds, WaitCount: s.Waits, Value: s.Value,
	}
	d.TTL, d.TTLMS = document.Span(s.TTL)
	d.Left, d.LeftMS = spanUnlessNegative(s.Left)
	d.Age, d.AgeMS = document.Span(s.Age)
	d.LastHeard, d.LastHeardMS = spanUnlessNegative(s.LastHeard)
	for _, h := range s.Held {
		hold := holderDocument(h.Holder, now)
		hold.Lock, hold.Session, hold.Client = h.Name, "", nil
		d.Holds = append(d.Holds, hold)
	}
	for _, w := range s.Waiting {
		wait := waiterDocument(w.Waiter)
		wait.Lock, wait.Session, wait.Client = w.Name, "", nil
		d.Waits = append(d.Waits, wait)
	}
	return d
}

func statusDocument(s ldlm.ServerStatus, address string) document.Status {
	d := document.Status{
		Address: address, Version: s.Version, Member: s.Member, Role: "follower", Storage: "memory", Draining: s.Draining,
		Locks: s.Locks, Held: s.Held, Contended: s.Contended, Holds: s.Holds, Waiters: s.Waiters,
		Sessions: s.Sessions, Attached: s.Attached, Token: document.NumberOf(s.Token),
	}
	if s.Leads {
		d.Role = "leader"
	} else {
		d.Leader = s.Leader
	}
	if s.Durable {
		d.Storage = "disk"
	}
	d.Uptime, d.UptimeMS = document.Span(s.Uptime)
	if s.QuietLeft > 0 {
		d.Quiet, d.QuietMS = document.Span(s.QuietLeft)
	}
	if s.ReloadFailed > 0 {
		d.ReloadFailed, d.ReloadFailedMS = document.Span(s.ReloadFailed)
	}
	d.Directory = directoryDocument(s.DataDirectory)
	if r := s.Refusals; r != nil {
		d.Refused = &document.Refused{Missing: r.Missing, Wrong: r.Wrong, TooMany: r.TooMany, Denied: r.Denied, Handshake: r.Handshake}
		if r.Limits != nil {
			d.Refused.Limits = r.Limits.ByField
		}
	}
	if s.Cluster == nil {
		return d
	}
	for _, m := range s.Cluster.Members {
		x := document.Member{
			Name: m.Name, Address: m.Address, Votes: m.Votes, Leads: m.Leads, Answers: m.Answers, Version: m.Version, EntriesBehind: m.EntriesBehind,
		}
		x.LastHeard, x.LastHeardMS = spanUnlessNegative(m.LastHeard)
		d.Members = append(d.Members, x)
	}
	return d
}

// directoryDocument returns nil if there is no directory.
func directoryDocument(s *ldlm.DataDirectory) *document.Directory {
	if s == nil {
		return nil
	}
	d := &document.Directory{
		Path: s.Path, Bytes: s.Bytes, FreeBytes: s.FreeBytes, TotalBytes: s.TotalBytes, RefuseBelowBytes: s.RefuseBelow,
		State: map[ldlm.Room]string{
			ldlm.RoomEnough: document.OK, ldlm.RoomLittle: document.NearlyFull, ldlm.RoomNone: document.Refusing,
		}[s.Room],
		LastEntry: document.NumberOf(s.LastEntry), SnapshotEntry: document.NumberOf(s.SnapshotEntry), SnapshotBytes: s.SnapshotBytes,
	}
	if !s.SnapshotTime.IsZero() {
		taken := document.Time(s.SnapshotTime)
		d.SnapshotTime = &taken
	}
	d.SlowestSync, d.SlowestSyncMS = document.Span(s.SlowestSync)
	d.SyncDeadline, d.SyncDeadlineMS = document.Span(s.SyncDeadline)
	return d
}

func eventDocument(e ldlm.Event) document.Event {
	d := document.Event{
		Number: document.NumberOf(e.Number), Time: document.Time(e.Time), Type: eventWord(e.Type), Lock: e.Name,
		Token: document.NumberOf(e.Token), Reason: reasonWord(e.Reason), Permits: e.Permits, Size: e.Size,
	}
	if e.Permits > 0 {
		d.Mode = modeOf(e.Shared)
	}
	if party := (document.Party{Session: document.NumberOf(e.Session), Client: clientDocument(e.Client)}); party != (document.Party{}) {
		d.Holder = &party
	}
	if e.Type == ldlm.EventAcquired || e.Type == ldlm.EventCanceled {
		d.Wait, d.WaitMS = document.Span(e.Waited)
	}
	if e.Type == ldlm.EventReleased || e.Type == ldlm.EventExpired || e.Type == ldlm.EventForced {
		d.Held, d.HeldMS = document.Span(e.Held)
	}
	return d
}

// clientDocument returns nil for a client that says nothing.
func clientDocument(i ldlm.ClientInfo) *document.Client {
	d := &document.Client{
		Host: i.Host, PID: i.PID, User: i.User, Program: i.Program, Library: i.Library, Labels: i.Labels,
		Remote: i.Remote, Transport: i.Transport, Principal: i.Principal,
	}
	if len(i.Labels) == 0 && i.String() == (ldlm.ClientInfo{}).String() && i.User+i.Library+i.Transport+i.Principal == "" {
		return nil
	}
	return d
}

func modeOf(shared bool) string {
	if shared {
		return document.Shared
	}
	return document.Exclusive
}

// spanUnlessNegative leaves out what a negative duration says is not there.
func spanUnlessNegative(d time.Duration) (string, *int64) {
	if d < 0 {
		return "", nil
	}
	return document.Span(d)
}

// eventWord is the type of an event as documents and flags have it.
func eventWord(t ldlm.EventType) string { return strings.ReplaceAll(t.String(), " ", "_") }

// reasonWord is why a hold or a wait ended, as documents have it; "" if nobody said.
func reasonWord(r ldlm.EndReason) string {
	return map[ldlm.EndReason]string{
		ldlm.ReasonReleased: "released", ldlm.ReasonExpired: "lease_expired", ldlm.ReasonSessionClosed: "session_closed",
		ldlm.ReasonSessionExpired: "session_expired", ldlm.ReasonForced: "forced", ldlm.ReasonCanceled: "canceled",
		ldlm.ReasonTimeout: "timeout", ldlm.ReasonResized: "resized", ldlm.ReasonRevoked: "revoked",
	}[r]
}

// inGo returns what a document says a duration is; 0 if it says nothing.
func inGo(ms *int64) time.Duration {
	if ms == nil {
		return 0
	}
	return time.Duration(*ms) * time.Millisecond
}

// clientText names a client in a few words: ops@db-1 pid 4121, or how and from
// where it is connected.
func clientText(c *document.Client, session document.Number) string {
	switch {
	case c != nil && c.Host != "":
		text := c.Host
		if c.User != "" {
			text = c.User + "@" + text
		}
		if c.PID != 0 {
			text += " pid " + number(c.PID)
		}
		return text
	case c != nil && c.Remote != "" && c.Transport != "":
		return c.Transport + ":" + c.Remote
	case c != nil && c.Remote != "":
		return c.Remote
	case session != "":
		return "session " + string(session)
	default:
		return "somebody"
	}
}
