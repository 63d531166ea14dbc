package sessionapi

import (
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// A table that lacks a row gives the zero value, which is never sent otherwise;
// tests walk the closed sets of the lock table and find the gap.

var codes = [...]ldlmv2.Code{
	lock.OK:           ldlmv2.Code_CODE_OK,
	lock.Queued:       ldlmv2.Code_CODE_QUEUED,
	lock.Held:         ldlmv2.Code_CODE_HELD,
	lock.WaitTimeout:  ldlmv2.Code_CODE_WAIT_TIMEOUT,
	lock.Canceled:     ldlmv2.Code_CODE_CANCELED,
	lock.Superseded:   ldlmv2.Code_CODE_SUPERSEDED,
	lock.Ended:        ldlmv2.Code_CODE_ENDED,
	lock.Invalid:      ldlmv2.Code_CODE_INVALID,
	lock.Limit:        ldlmv2.Code_CODE_LIMIT,
	lock.NotFound:     ldlmv2.Code_CODE_NOT_FOUND,
	lock.WrongKey:     ldlmv2.Code_CODE_WRONG_KEY,
	lock.SizeMismatch: ldlmv2.Code_CODE_SIZE_MISMATCH,
	lock.SessionLost:  ldlmv2.Code_CODE_SESSION_LOST,
	lock.SlotMisused:  ldlmv2.Code_CODE_SLOT_MISUSED,
	lock.Stale:        ldlmv2.Code_CODE_STALE,
	lock.TokenMoved:   ldlmv2.Code_CODE_TOKEN_MOVED,
	lock.NotLeased:    ldlmv2.Code_CODE_NOT_LEASED,
	lock.Revoked:      ldlmv2.Code_CODE_REVOKED,
	lock.Quiet:        ldlmv2.Code_CODE_QUIET,
	lock.MemberEnded:  ldlmv2.Code_CODE_UNAVAILABLE,
	lock.NotLeading:   ldlmv2.Code_CODE_UNAVAILABLE,
}

// CodeOf returns the protocol's code for one of the lock table's.
func CodeOf(c lock.Code) ldlmv2.Code { return row(codes[:], c) }

var endReasons = [...]ldlmv2.EndReason{
	lock.NotEnded:       ldlmv2.EndReason_END_REASON_UNSPECIFIED,
	lock.Released:       ldlmv2.EndReason_END_REASON_RELEASED,
	lock.Expired:        ldlmv2.EndReason_END_REASON_EXPIRED,
	lock.SessionClosed:  ldlmv2.EndReason_END_REASON_SESSION_CLOSED,
	lock.SessionExpired: ldlmv2.EndReason_END_REASON_SESSION_EXPIRED,
	lock.Forced:         ldlmv2.EndReason_END_REASON_FORCED,
	lock.GivenBack:      ldlmv2.EndReason_END_REASON_CANCELED,
	lock.TimedOut:       ldlmv2.EndReason_END_REASON_TIMEOUT,
	lock.Resized:        ldlmv2.EndReason_END_REASON_RESIZED,
}

// EndReasonOf returns the protocol's reason for one of the lock table's.
func EndReasonOf(r lock.EndReason) ldlmv2.EndReason { return row(endReasons[:], r) }

var eventTypes = [...]ldlmv2.EventType{
	lock.RequestQueued:   ldlmv2.EventType_EVENT_TYPE_QUEUED,
	lock.HoldAcquired:    ldlmv2.EventType_EVENT_TYPE_ACQUIRED,
	lock.HoldRenewed:     ldlmv2.EventType_EVENT_TYPE_RENEWED,
	lock.HoldReleased:    ldlmv2.EventType_EVENT_TYPE_RELEASED,
	lock.HoldExpired:     ldlmv2.EventType_EVENT_TYPE_EXPIRED,
	lock.HoldForced:      ldlmv2.EventType_EVENT_TYPE_FORCED,
	lock.WaitEnded:       ldlmv2.EventType_EVENT_TYPE_CANCELED,
	lock.HoldDowngraded:  ldlmv2.EventType_EVENT_TYPE_DOWNGRADED,
	lock.HoldRevoked:     ldlmv2.EventType_EVENT_TYPE_REVOKED,
	lock.LockResized:     ldlmv2.EventType_EVENT_TYPE_RESIZED,
	lock.ValueSet:        ldlmv2.EventType_EVENT_TYPE_VALUE_SET,
	lock.SessionOpened:   ldlmv2.EventType_EVENT_TYPE_SESSION_OPENED,
	lock.SessionDetached: ldlmv2.EventType_EVENT_TYPE_SESSION_DETACHED,
	lock.SessionResumed:  ldlmv2.EventType_EVENT_TYPE_SESSION_RESUMED,
	// How a session ended is told by its reason; see EventTypeOf.
	lock.SessionEnded:  ldlmv2.EventType_EVENT_TYPE_SESSION_CLOSED,
	lock.LeaderChanged: ldlmv2.EventType_EVENT_TYPE_LEADER_CHANGED,
}

// EventTypeOf returns the protocol's type of an event. The protocol has a type
// for each way in which a session ends.
func EventTypeOf(t lock.EventType, r lock.EndReason) ldlmv2.EventType {
	switch {
	case t == lock.SessionEnded && r == lock.SessionExpired:
		return ldlmv2.EventType_EVENT_TYPE_SESSION_EXPIRED
	case t == lock.SessionEnded && r == lock.Forced:
		return ldlmv2.EventType_EVENT_TYPE_SESSION_KILLED
	}
	return row(eventTypes[:], t)
}

// fields are the names that the protocol's file has for what can be refused,
// and the names of limits.
var fields = [...]string{
	lock.FieldNone:      "",
	lock.FieldName:      "name",
	lock.FieldNames:     "items",
	lock.FieldSize:      "size",
	lock.FieldPermits:   "permits",
	lock.FieldMode:      "mode",
	lock.FieldWait:      "wait_us",
	lock.FieldLease:     "lease_us",
	lock.FieldLockDelay: "lock_delay_us",
	lock.FieldKey:       "key",
	lock.FieldValue:     "value",
	lock.FieldLabels:    "labels",
	lock.FieldReason:    "reason",
	lock.FieldClient:    "client",
	lock.FieldSecret:    "secret",
	lock.FieldTTL:       "ttl_us",
	lock.FieldSlot:      "slot",
	lock.FieldSeq:       "seq",
	lock.FieldRequestID: "request_id",
	lock.FieldToken:     "token",
	lock.FieldMember:    "member",
	lock.FieldIdle:      "idle",
	lock.FieldMax:       "max",
	lock.FieldSettings:  "settings",

	lock.FieldLocks:                "locks",
	lock.FieldSessions:             "sessions",
	lock.FieldMembers:              "members",
	lock.FieldHoldsPerSession:      "holds_per_session",
	lock.FieldWaitersPerLock:       "waiters_per_lock",
	lock.FieldWaitersPerSession:    "waiters_per_session",
	lock.FieldHoldsOutsideSessions: "holds_outside_sessions",
	lock.FieldWaiters:              "waiters",
	lock.FieldBytes:                "bytes",
	lock.FieldSessionsOfPrincipal:  "sessions_of_principal",
	lock.FieldLocksOfPrincipal:     "locks_of_principal",
	lock.FieldWaitersOfPrincipal:   "waiters_of_principal",
	lock.FieldBytesOfPrincipal:     "bytes_of_principal",
}

// FieldName returns what the protocol calls a field of the lock table's commands.
func FieldName(f lock.Field) string { return row(fields[:], f) }

var modes = [...]ldlmv2.Mode{
	lock.Exclusive: ldlmv2.Mode_MODE_EXCLUSIVE,
	lock.Shared:    ldlmv2.Mode_MODE_SHARED,
}

// ModeOf returns the protocol's mode for one of the lock table's.
func ModeOf(m lock.Mode) ldlmv2.Mode { return row(modes[:], m) }

// noMode is a mode that the lock table refuses, for those that it has no word for.
const noMode = lock.Mode(255)

// modeFrom is the inverse of ModeOf; without a mode it is exclusive.
func modeFrom(m ldlmv2.Mode) lock.Mode {
	switch m {
	case ldlmv2.Mode_MODE_UNSPECIFIED, ldlmv2.Mode_MODE_EXCLUSIVE:
		return lock.Exclusive
	case ldlmv2.Mode_MODE_SHARED:
		return lock.Shared
	default:
		return noMode
	}
}

// row returns the row of a value in a table, the zero value if there is none.
func row[K ~uint8, V any](table []V, k K) V {
	var none V
	if int(k) >= len(table) {
		return none
	}
	return table[k]
}
