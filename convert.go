package ldlm

import (
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// kindOf says which error a code of the protocol is. Codes that it does not know
// are newer than this package.
func kindOf(code ldlmv2.Code) error {
	switch code {
	case ldlmv2.Code_CODE_HELD:
		return ErrHeld
	case ldlmv2.Code_CODE_WAIT_TIMEOUT:
		return ErrWaitTimeout
	case ldlmv2.Code_CODE_ENDED:
		return ErrLost
	case ldlmv2.Code_CODE_INVALID:
		return ErrInvalid
	case ldlmv2.Code_CODE_LIMIT:
		return ErrLimit
	case ldlmv2.Code_CODE_NOT_FOUND:
		return ErrNotFound
	case ldlmv2.Code_CODE_WRONG_KEY:
		return ErrWrongKey
	case ldlmv2.Code_CODE_SIZE_MISMATCH:
		return ErrSizeMismatch
	case ldlmv2.Code_CODE_TOKEN_MOVED:
		return ErrTokenMoved
	case ldlmv2.Code_CODE_NOT_LEASED:
		return ErrNotLeased
	case ldlmv2.Code_CODE_REVOKED:
		return ErrRevoked
	case ldlmv2.Code_CODE_UNSUPPORTED:
		return ErrUnsupported
	case ldlmv2.Code_CODE_UNAUTHENTICATED:
		return ErrUnauthenticated
	case ldlmv2.Code_CODE_DENIED:
		return ErrDenied
	case ldlmv2.Code_CODE_CANCELED, ldlmv2.Code_CODE_SUPERSEDED, ldlmv2.Code_CODE_QUIET,
		ldlmv2.Code_CODE_UNAVAILABLE, ldlmv2.Code_CODE_SESSION_LOST:
		return ErrUnavailable
	case ldlmv2.Code_CODE_UNKNOWN_OUTCOME:
		return ErrUnknownOutcome
	default: // SLOT_MISUSED, STALE, PROTOCOL, INTERNAL
		return ErrInternal
	}
}

// statusError makes a status of the protocol an error of this package.
func statusError(op, name string, st *ldlmv2.Status) error {
	kind := kindOf(st.GetCode())
	switch st.GetCode() {
	case ldlmv2.Code_CODE_HELD, ldlmv2.Code_CODE_WAIT_TIMEOUT:
		return heldError(name, kind, st.GetBlocker())
	case ldlmv2.Code_CODE_ENDED:
		return &LostError{Name: name, Reason: reasonOf(st.GetEnded())}
	default:
		if st.GetEnding() == ldlmv2.Ending_ENDING_UNKNOWN {
			kind = ErrUnknownOutcome
		}
	}
	return &Error{
		Op: op, Name: name, Field: st.GetField(), Limit: st.GetLimit(), Message: st.GetMessage(), Answered: true, kind: kind,
	}
}

func heldError(name string, kind error, b *ldlmv2.Blocker) *HeldError {
	e := &HeldError{Name: name, kind: kind}
	if b == nil {
		return e
	}
	if b.GetName() != "" {
		e.Name = b.GetName()
	}
	if b.GetHolder() != nil {
		e.Holder = holderOf(b.GetHolder())
		e.Age = e.Holder.Age
	}
	e.Holders, e.Waiting = int(b.GetHolders()), int(b.GetWaiting())
	e.LongestWait, e.DelayLeft = fromMicros(b.GetLongestWaitUs()), fromMicros(b.GetDelayLeftUs())
	e.Self = b.GetSelf()
	return e
}

func reasonOf(r ldlmv2.EndReason) EndReason {
	switch r {
	case ldlmv2.EndReason_END_REASON_RELEASED:
		return ReasonReleased
	case ldlmv2.EndReason_END_REASON_EXPIRED:
		return ReasonExpired
	case ldlmv2.EndReason_END_REASON_SESSION_CLOSED:
		return ReasonSessionClosed
	case ldlmv2.EndReason_END_REASON_SESSION_EXPIRED:
		return ReasonSessionExpired
	case ldlmv2.EndReason_END_REASON_FORCED:
		return ReasonForced
	case ldlmv2.EndReason_END_REASON_CANCELED:
		return ReasonCanceled
	case ldlmv2.EndReason_END_REASON_TIMEOUT:
		return ReasonTimeout
	case ldlmv2.EndReason_END_REASON_RESIZED:
		return ReasonResized
	default:
		return ReasonUnknown
	}
}

func toClientInfo(i *ClientInfo) *ldlmv2.ClientInfo {
	return &ldlmv2.ClientInfo{
		Host: i.Host, Pid: int64(i.PID), User: i.User, Program: i.Program, Library: i.Library, Labels: i.Labels,
	}
}

func clientInfoOf(i *ldlmv2.ClientInfo) ClientInfo {
	return ClientInfo{
		Host: i.GetHost(), PID: int(i.GetPid()), User: i.GetUser(), Program: i.GetProgram(),
		Library: i.GetLibrary(), Labels: i.GetLabels(), Remote: i.GetRemote(), Transport: i.GetTransport(),
		Principal: i.GetPrincipal(),
	}
}

func holderOf(h *ldlmv2.Holder) Holder {
	return Holder{
		Token: h.GetToken(), Session: h.GetSession(), Client: clientInfoOf(h.GetClient()),
		Age: fromMicros(h.GetAgeUs()), LeaseLeft: fromMicros(h.GetLeaseLeftUs()),
		Permits: int(h.GetPermits()), Shared: h.GetMode() == ldlmv2.Mode_MODE_SHARED,
		Reason: h.GetReason(), Labels: h.GetLabels(), Value: h.GetValue(), KeyPrefix: h.GetKeyPrefix(),
		Revoked: h.GetRevoked(), Delay: h.GetDelay(),
	}
}

func waiterOf(w *ldlmv2.Waiter) Waiter {
	return Waiter{
		Session: w.GetSession(), Client: clientInfoOf(w.GetClient()), Age: fromMicros(w.GetAgeUs()),
		GivesUpIn: fromMicros(w.GetGivesUpInUs()), Permits: int(w.GetPermits()),
		Shared: w.GetMode() == ldlmv2.Mode_MODE_SHARED, Reason: w.GetReason(), Names: int(w.GetNames()),
	}
}

func lockInfoOf(l *ldlmv2.Lock) LockInfo {
	info := LockInfo{
		Name: l.GetName(), Size: int(l.GetSize()), Held: int(l.GetHeld()), SharedHolds: int(l.GetShared()),
		Fence: l.GetFence(), HolderCount: int(l.GetHolderCount()), WaiterCount: int(l.GetWaiterCount()),
		Idle: fromMicros(l.GetIdleUs()), FreeBehindHead: int(l.GetFreeBehindHead()),
	}
	for _, h := range l.GetHolders() {
		info.Holders = append(info.Holders, holderOf(h))
	}
	for _, w := range l.GetWaiters() {
		info.Waiters = append(info.Waiters, waiterOf(w))
	}
	return info
}

func sessionInfoOf(s *ldlmv2.Session) SessionInfo {
	return SessionInfo{
		Number: s.GetSession(), Client: clientInfoOf(s.GetClient()), TTL: fromMicros(s.GetTtlUs()),
		Attached: s.GetAttached(), Left: fromMicros(s.GetLeftUs()), Holds: int(s.GetHolds()), Waits: int(s.GetWaits()),
		Age: fromMicros(s.GetAgeUs()), Value: s.GetValue(), LastHeard: fromMicros(s.GetLastHeardUs()),
	}
}

func serverStatusOf(s *ldlmv2.ServerStatusResponse) ServerStatus {
	return ServerStatus{
		Version: s.GetVersion(), Uptime: fromMicros(s.GetUptimeUs()),
		Durable: s.GetStorage() == ldlmv2.Storage_STORAGE_DISK,
		Member:  s.GetMember(), Leads: s.GetLeader().GetSelf(), Leader: s.GetLeader().GetAddress(),
		Locks: int(s.GetLocks()), Held: int(s.GetHeld()), Contended: int(s.GetContended()),
		Holds: int(s.GetHolds()), Waiters: int(s.GetWaiters()),
		Sessions: int(s.GetSessions()), Attached: int(s.GetAttached()),
		Token: s.GetToken(), Draining: s.GetDraining(), QuietLeft: fromMicros(s.GetQuietLeftUs()),
		DataDirectory: dataDirectoryOf(s.GetDataDirectory()), Cluster: clusterOf(s.GetMembers()),
		Refusals: refusalsOf(s.GetRefusals()), ReloadFailed: fromMicros(s.GetReloadFailedUs()),
	}
}

// refusalsOf returns nil if the server does not tell.
func refusalsOf(r *ldlmv2.Refusals) *Refusals {
	if r == nil {
		return nil
	}
	to := &Refusals{
		Missing: r.GetMissing(), Wrong: r.GetWrong(), TooMany: r.GetTooMany(), Denied: r.GetDenied(), Handshake: r.GetHandshake(),
	}
	if limits := r.GetLimits(); len(limits) > 0 {
		to.Limits = &LimitRefusals{ByField: limits}
	}
	return to
}

// clusterOf returns nil if there are no members.
func clusterOf(members []*ldlmv2.ServerMember) *Cluster {
	if len(members) == 0 {
		return nil
	}
	c := &Cluster{}
	for _, m := range members {
		x := ServerMember{
			Name: m.GetName(), Address: m.GetAddress(), Votes: m.GetVotes(), Leads: m.GetLeads(), Answers: m.GetAnswers(),
			LastHeard: -1, Version: m.GetVersion(), EntriesBehind: m.GetEntriesBehind(),
		}
		if m.LastHeardUs != nil {
			x.LastHeard = fromMicros(m.GetLastHeardUs())
		}
		c.Members = append(c.Members, x)
	}
	return c
}

func dataDirectoryOf(d *ldlmv2.DataDirectory) *DataDirectory {
	if d == nil {
		return nil
	}
	info := &DataDirectory{
		Path: d.GetPath(), Bytes: int64(d.GetBytes()), FreeBytes: int64(d.GetFreeBytes()), TotalBytes: int64(d.GetTotalBytes()),
		RefuseBelow: int64(d.GetRefuseBelowBytes()), LastEntry: d.GetLastEntry(), SnapshotEntry: d.GetSnapshotEntry(),
		SnapshotBytes: int64(d.GetSnapshotBytes()),
		SlowestSync:   fromMicros(d.GetSlowestSyncUs()), SyncDeadline: fromMicros(d.GetSyncDeadlineUs()),
	}
	if r := Room(d.GetRoom()); r <= RoomNone {
		info.Room = r
	}
	if us := d.GetSnapshotTimeUs(); us != 0 {
		info.SnapshotTime = time.UnixMicro(us)
	}
	return info
}

func eventOf(e *ldlmv2.Event) Event {
	return Event{
		Number: e.GetNumber(), Type: EventType(e.GetType()), Time: time.UnixMicro(e.GetTimeUs()),
		Name: e.GetName(), Session: e.GetSession(), Client: clientInfoOf(e.GetClient()), Token: e.GetToken(),
		Reason: reasonOf(e.GetReason()), Waited: fromMicros(e.GetWaitedUs()), Held: fromMicros(e.GetHeldUs()),
		Permits: int(e.GetPermits()), Shared: e.GetMode() == ldlmv2.Mode_MODE_SHARED, Size: int(e.GetSize()),
	}
}
