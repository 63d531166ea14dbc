package lock

import (
	"cmp"
	"math"
)

// Field names the part of a command that was refused, or the limit that was
// reached.
type Field uint8

// Fields of refusals.
const (
	FieldNone Field = iota
	FieldName
	FieldNames
	FieldSize
	FieldPermits
	FieldMode
	FieldWait
	FieldLease
	FieldLockDelay
	FieldKey
	FieldValue
	FieldLabels
	FieldReason
	FieldClient
	FieldSecret
	FieldTTL
	FieldSlot
	FieldSeq
	FieldRequestID
	FieldToken
	FieldMember
	FieldIdle
	FieldMax
	FieldSettings
	FieldLocks
	FieldSessions
	FieldMembers
	FieldHoldsPerSession
	FieldWaitersPerLock
	FieldWaitersPerSession
	FieldHoldsOutsideSessions
	FieldWaiters
	FieldBytes
	FieldSessionsOfPrincipal
	FieldLocksOfPrincipal
	FieldWaitersOfPrincipal
	FieldBytesOfPrincipal

	numFields
)

// Settings are the limits and periods that Apply uses. They are part of the
// table, set by a command, so that members that are configured differently
// still agree. A zero field takes its default.
type Settings struct {
	// Format is the level of commands, snapshot and hash that the members agreed on.
	Format uint32

	// MaxNameBytes bounds a lock's name. Default 65,536.
	MaxNameBytes int
	// MaxNames bounds the locks of one request. Default 64.
	MaxNames int
	// MaxValueBytes bounds a value. Default 4,096.
	MaxValueBytes int
	// MaxLabels bounds the labels of a hold or session, and MaxLabelBytes the
	// key and value of each together. Defaults 32 and 512.
	MaxLabels, MaxLabelBytes int
	// MaxTextBytes bounds a reason and each text of a client's description. Default 1,024.
	MaxTextBytes int
	// MaxRequestIDBytes bounds a request id. Default 128.
	MaxRequestIDBytes int

	// MaxLocks bounds the locks in the table, idle ones included. Default 10,000,000.
	MaxLocks int
	// MaxSessions bounds the sessions. Default 1,000,000.
	MaxSessions int
	// MaxMembers bounds the members. Default 64.
	MaxMembers int
	// MaxHoldsPerSession bounds a session's holds. Default 1,000,000.
	MaxHoldsPerSession int
	// MaxHoldsOutsideSessions bounds the holds that belong to no session. Default 1,000,000.
	MaxHoldsOutsideSessions int
	// MaxWaitersPerLock bounds a queue. Default 1,000,000.
	MaxWaitersPerLock int
	// MaxWaitersPerSession bounds a session's waiting requests. Default 61,440,
	// which leaves slots for releases.
	MaxWaitersPerSession int
	// MaxSlots bounds a session's slots. Default 65,536, which is the most.
	MaxSlots int
	// MaxWaiters bounds the waiting requests of all queues together, and MaxBytes the
	// bytes of all texts that clients chose: names, notes, values and descriptions.
	// Defaults 10,000,000 and 4 GiB; below format 3 there are no such limits, and 0 is none.
	MaxWaiters int
	MaxBytes   int64
	// MaxEndedRequestIDs is how many request ids a session remembers beyond
	// their waits and holds. Default 64.
	MaxEndedRequestIDs int

	// DefaultTTL is the ttl of a session that asks for none; MinTTL and MaxTTL
	// bound it. Defaults 10 s, 2 s, 60 s.
	DefaultTTL, MinTTL, MaxTTL Duration
	// MaxIdleTTL bounds the ttl of a session that lives by calls. Default 24 h.
	MaxIdleTTL Duration
	// MaxLockDelay bounds a lock delay. Default 60 s.
	MaxLockDelay Duration
	// MemberLease is how long a member lives after its last beat. Default 15 s,
	// right for a member that is alone.
	MemberLease Duration
}

// maxSize is the largest size of a lock, as the first protocol has it.
const maxSize = math.MaxInt32

// FormatLevel is the newest level of commands, snapshot and hash that this
// code knows:
//
//	1  the first
//	2  members compare their tables: see Mark
//	3  limits on all waiting requests and all texts, and quotas of principals
const FormatLevel = 3

// LimitsFormat is the level that brought limits on all waiting requests and all texts,
// and quotas: below it nobody proposes a session that has one.
const LimitsFormat = 3

// firstFormat is the level that every table begins with, whatever the version of the
// program. Members raise it when all of them know a newer one.
const firstFormat = 1

// DefaultSettings are the settings of a table that was given none.
func DefaultSettings() Settings { return Settings{}.WithDefaults() }

// WithDefaults fills in what is zero.
func (s Settings) WithDefaults() Settings {
	orInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	orSpan := func(v *Duration, d Duration) {
		if *v == 0 {
			*v = d
		}
	}
	if s.Format == 0 {
		s.Format = firstFormat
	}
	orInt(&s.MaxNameBytes, 65_536)
	orInt(&s.MaxNames, 64)
	orInt(&s.MaxValueBytes, 4_096)
	orInt(&s.MaxLabels, 32)
	orInt(&s.MaxLabelBytes, 512)
	orInt(&s.MaxTextBytes, 1_024)
	orInt(&s.MaxRequestIDBytes, 128)
	orInt(&s.MaxLocks, 10_000_000)
	orInt(&s.MaxSessions, 1_000_000)
	orInt(&s.MaxMembers, 64)
	orInt(&s.MaxHoldsPerSession, 1_000_000)
	orInt(&s.MaxHoldsOutsideSessions, 1_000_000)
	orInt(&s.MaxWaitersPerLock, 1_000_000)
	orInt(&s.MaxWaitersPerSession, 61_440)
	orInt(&s.MaxSlots, 65_536)
	orInt(&s.MaxEndedRequestIDs, 64)
	if s.Format < LimitsFormat {
		s.MaxWaiters, s.MaxBytes = 0, 0
	} else {
		orInt(&s.MaxWaiters, 10_000_000)
		s.MaxBytes = cmp.Or(s.MaxBytes, 4<<30)
	}
	orSpan(&s.DefaultTTL, 10*Second)
	orSpan(&s.MinTTL, 2*Second)
	orSpan(&s.MaxTTL, 60*Second)
	orSpan(&s.MaxIdleTTL, 24*60*Minute)
	orSpan(&s.MaxLockDelay, 60*Second)
	orSpan(&s.MemberLease, 15*Second)
	return s
}

// counts lists the settings that count, and spans those that are spans of time,
// in the order in which commands and snapshots have them.
func (s *Settings) counts() [16]*int {
	return [...]*int{
		&s.MaxNameBytes, &s.MaxNames, &s.MaxValueBytes, &s.MaxLabels, &s.MaxLabelBytes, &s.MaxTextBytes,
		&s.MaxRequestIDBytes, &s.MaxLocks, &s.MaxSessions, &s.MaxMembers, &s.MaxHoldsPerSession,
		&s.MaxHoldsOutsideSessions, &s.MaxWaitersPerLock, &s.MaxWaitersPerSession, &s.MaxSlots, &s.MaxEndedRequestIDs,
	}
}

func (s *Settings) spans() [6]*Duration {
	return [...]*Duration{
		&s.DefaultTTL, &s.MinTTL, &s.MaxTTL, &s.MaxIdleTTL, &s.MaxLockDelay, &s.MemberLease,
	}
}

// limit is the limit of a field, for outcomes that are repeated; 0 if it has none,
// or if it was a lock's size or a principal's, which may have changed since.
func (s *Settings) limit(f Field) int64 {
	switch f {
	case FieldName:
		return int64(s.MaxNameBytes)
	case FieldNames:
		return int64(s.MaxNames)
	case FieldWait, FieldLease:
		return int64(MaxDuration)
	case FieldLockDelay:
		return int64(s.MaxLockDelay)
	case FieldValue:
		return int64(s.MaxValueBytes)
	case FieldLabels:
		return int64(s.MaxLabels)
	case FieldReason:
		return int64(s.MaxTextBytes)
	case FieldLocks:
		return int64(s.MaxLocks)
	case FieldHoldsPerSession:
		return int64(s.MaxHoldsPerSession)
	case FieldHoldsOutsideSessions:
		return int64(s.MaxHoldsOutsideSessions)
	case FieldWaitersPerLock:
		return int64(s.MaxWaitersPerLock)
	case FieldWaitersPerSession:
		return int64(s.MaxWaitersPerSession)
	case FieldWaiters:
		return int64(s.MaxWaiters)
	case FieldBytes:
		return s.MaxBytes
	default:
		return 0
	}
}
