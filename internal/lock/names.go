package lock

import "fmt"

// Names of the closed sets, as logs and tests print them. Edges have tables of
// their own.

// String returns the code's name.
func (c Code) String() string {
	return nameIn([]string{
		OK: "ok", Queued: "queued", Held: "held", WaitTimeout: "wait_timeout", Canceled: "canceled",
		Superseded: "superseded", Ended: "ended", Invalid: "invalid", Limit: "limit", NotFound: "not_found",
		WrongKey: "wrong_key", SizeMismatch: "size_mismatch", SessionLost: "session_lost",
		SlotMisused: "slot_misused", Stale: "stale", TokenMoved: "token_moved", NotLeased: "not_leased",
		Revoked: "revoked", Quiet: "quiet", MemberEnded: "member_ended", NotLeading: "not_leading",
	}, "code", c)
}

// String returns the reason's name.
func (r EndReason) String() string {
	return nameIn([]string{
		NotEnded: "not_ended", Released: "released", Expired: "expired", SessionClosed: "session_closed",
		SessionExpired: "session_expired", Forced: "forced", GivenBack: "given_back", TimedOut: "timed_out",
		Resized: "resized",
	}, "reason", r)
}

// String returns the event type's name.
func (t EventType) String() string {
	return nameIn([]string{
		RequestQueued: "request_queued", HoldAcquired: "hold_acquired", HoldRenewed: "hold_renewed",
		HoldReleased: "hold_released", HoldExpired: "hold_expired", HoldForced: "hold_forced",
		WaitEnded: "wait_ended", HoldDowngraded: "hold_downgraded", HoldRevoked: "hold_revoked",
		LockResized: "lock_resized", ValueSet: "value_set", SessionOpened: "session_opened",
		SessionDetached: "session_detached", SessionResumed: "session_resumed", SessionEnded: "session_ended",
		LeaderChanged: "leader_changed",
	}, "event", t)
}

// String returns the field's name.
func (f Field) String() string {
	return nameIn([]string{
		FieldNone: "none", FieldName: "name", FieldNames: "names", FieldSize: "size", FieldPermits: "permits",
		FieldMode: "mode", FieldWait: "wait", FieldLease: "lease", FieldLockDelay: "lock_delay", FieldKey: "key",
		FieldValue: "value", FieldLabels: "labels", FieldReason: "reason", FieldClient: "client",
		FieldSecret: "secret", FieldTTL: "ttl", FieldSlot: "slot", FieldSeq: "seq", FieldRequestID: "request_id",
		FieldToken: "token", FieldMember: "member", FieldIdle: "idle", FieldMax: "max", FieldSettings: "settings",
		FieldLocks: "locks", FieldSessions: "sessions", FieldMembers: "members",
		FieldHoldsPerSession: "holds_per_session", FieldWaitersPerLock: "waiters_per_lock",
		FieldWaitersPerSession:    "waiters_per_session",
		FieldHoldsOutsideSessions: "holds_outside_sessions",
		FieldWaiters:              "waiters", FieldBytes: "bytes",
		FieldSessionsOfPrincipal: "sessions_of_principal", FieldLocksOfPrincipal: "locks_of_principal",
		FieldWaitersOfPrincipal: "waiters_of_principal", FieldBytesOfPrincipal: "bytes_of_principal",
	}, "field", f)
}

// String returns the mode's name.
func (m Mode) String() string { return nameIn([]string{"exclusive", "shared"}, "mode", m) }

// String returns the policy's name.
func (o OnEnd) String() string {
	return nameIn([]string{"keep", "close", "always", "disown"}, "on_end", o)
}

// nameIn returns the name of a value of a closed set, or its kind and number.
func nameIn[T ~uint8](names []string, kind string, v T) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("%s %d", kind, uint8(v))
}
