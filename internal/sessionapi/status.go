package sessionapi

import (
	"fmt"
	"strings"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// DiskFull is what clients are told while the server has no room to keep what they
// ask for. What they have stays theirs meanwhile: no time passes.
const DiskFull = "the disk of the server's data directory is nearly full, and nothing that changes locks is done until there is room; nothing happened"

// StatusOf says why an outcome is no success, for programs and for people; nil
// if it is one, or if the request waits.
func StatusOf(o *lock.Outcome) *ldlmv2.Status {
	if o.Code == lock.OK || o.Code == lock.Queued {
		return nil
	}
	s := NewStatus(CodeOf(o.Code), explain(o))
	s.Field, s.Limit = FieldName(o.Field), o.Limit
	s.Blocker = BlockerOf(o.Blocker, o.Self)
	if o.Code == lock.Ended || o.Code == lock.Canceled || o.Code == lock.WaitTimeout {
		s.Ended = EndReasonOf(o.Reason)
	}
	return s
}

// NewStatus makes a status with the ending that its code has.
func NewStatus(code ldlmv2.Code, message string) *ldlmv2.Status {
	return &ldlmv2.Status{Code: code, Message: message, Ending: endingOf(code)}
}

// endingOf says what a failure means for a retry.
func endingOf(c ldlmv2.Code) ldlmv2.Ending {
	switch c {
	case ldlmv2.Code_CODE_UNSPECIFIED, ldlmv2.Code_CODE_OK, ldlmv2.Code_CODE_QUEUED:
		return ldlmv2.Ending_ENDING_UNSPECIFIED
	case ldlmv2.Code_CODE_UNKNOWN_OUTCOME, ldlmv2.Code_CODE_INTERNAL:
		return ldlmv2.Ending_ENDING_UNKNOWN
	case ldlmv2.Code_CODE_SESSION_LOST, ldlmv2.Code_CODE_SUPERSEDED, ldlmv2.Code_CODE_PROTOCOL,
		ldlmv2.Code_CODE_UNAUTHENTICATED:
		return ldlmv2.Ending_ENDING_FATAL
	default:
		return ldlmv2.Ending_ENDING_REFUSED
	}
}

// explain says why an outcome is no success and what to do next.
func explain(o *lock.Outcome) string {
	switch o.Code {
	case lock.Held:
		return explainBlocker(o, "not acquired: ") + "; wait for it, or try again later"
	case lock.WaitTimeout:
		return explainBlocker(o, "not acquired in time: ") + "; ask with a longer wait, or later"
	case lock.Invalid:
		return "invalid " + FieldName(o.Field) + ": " + orElse(row(invalid[:], o.Field), "not acceptable") + atMost(o.Limit)
	case lock.Limit:
		return "the limit on " + orElse(row(limited[:], o.Field), FieldName(o.Field)) + " is reached" + atMost(o.Limit) +
			"; give something back first, or have the limit raised"
	case lock.SizeMismatch:
		return fmt.Sprintf("the lock exists with size %d; ask for that size, or for size 0 to take what it has", o.Limit)
	case lock.Canceled:
		if o.Reason == lock.Resized {
			return "not acquired: the lock was resized below the permits that were asked for; ask for fewer"
		}
	case lock.Ended:
		return "it was acquired, and has ended since: " + reason(o.Reason) + "; ask anew, under the next seq"
	case lock.Quiet:
		return fmt.Sprintf("nothing is granted for %s more: holders of an earlier life of the server may still believe in their locks; try again then",
			rounded(lock.Duration(o.Limit)))
	default:
	}
	return orElse(row(explanations[:], o.Code), "failed: "+o.Code.String())
}

var explanations = [...]string{
	lock.Canceled:    "the request was cancelled; nothing is held",
	lock.Superseded:  "a newer connection or attempt of this client has taken over; listen to that one",
	lock.NotFound:    "there is no lock of that name; it may have been given back and forgotten",
	lock.WrongKey:    "the key or token is not that of a present hold of this lock; the hold has ended, or is another session's",
	lock.SessionLost: "the session is unknown or has ended, or its secret is wrong; open a new one, its locks are lost",
	lock.SlotMisused: "this slot and seq, or this request id, were used for another question that is not answered yet or was answered otherwise; use the next seq",
	lock.Stale:       "the seq is neither the slot's newest nor the one after it; if it is the newest that you know, the server has lost it and the session with it",
	lock.TokenMoved:  "that token is not the one of a present hold any more; look who holds the lock now",
	lock.NotLeased:   "the hold has no lease, so there is nothing to renew; it lives by its session",
	lock.Revoked:     "the hold was revoked by an administrator and cannot be renewed; release it",
	lock.MemberEnded: "this server has lost its place among the members for the moment; ask again, or another one",
	lock.NotLeading:  "another server leads now; ask again",
}

var invalid = [...]string{
	lock.FieldName:      "a name must be valid UTF-8, not empty and not too long in bytes",
	lock.FieldNames:     "at least one lock must be named, each once, and not too many",
	lock.FieldSize:      "the size must be positive and not too large",
	lock.FieldPermits:   "no more permits can be taken than the lock has",
	lock.FieldMode:      "unknown, or shared for a lock of another size than 1, or a hold that cannot be downgraded",
	lock.FieldWait:      "a wait must be -1, 0 or positive, in microseconds, and not too long",
	lock.FieldLease:     "a lease must be positive, in microseconds, and not too long; outside sessions it is needed",
	lock.FieldLockDelay: "a lock delay must not be negative, nor too long, in microseconds",
	lock.FieldKey:       "the key is in use for this lock",
	lock.FieldValue:     "the value has too many bytes",
	lock.FieldLabels:    "too many labels, or one that is too long, without a key or not UTF-8",
	lock.FieldReason:    "a reason must be valid UTF-8 and not too long in bytes",
	lock.FieldClient:    "texts that describe a client must be valid UTF-8 and not too long in bytes",
	lock.FieldSecret:    "the secret is missing, or another kind of session has it",
	lock.FieldTTL:       "the ttl is too short, too long or negative, in microseconds",
	lock.FieldSeq:       "a request that waits, or that is to be cancelled, needs slot and seq, or a request id",
	lock.FieldRequestID: "the request id has too many bytes",
	lock.FieldToken:     "no such token can be",
}

var limited = [...]string{
	lock.FieldSlot:                 "slots of a session",
	lock.FieldLocks:                "locks",
	lock.FieldSessions:             "sessions",
	lock.FieldMembers:              "members",
	lock.FieldHoldsPerSession:      "holds of a session",
	lock.FieldWaitersPerLock:       "waiting requests of a lock",
	lock.FieldWaitersPerSession:    "waiting requests of a session",
	lock.FieldHoldsOutsideSessions: "holds outside sessions",
	lock.FieldWaiters:              "waiting requests",
	lock.FieldBytes:                "bytes of names, notes, values and descriptions",
	lock.FieldSessionsOfPrincipal:  "sessions of one principal",
	lock.FieldLocksOfPrincipal:     "locks of one principal",
	lock.FieldWaitersOfPrincipal:   "waiting requests of one principal",
	lock.FieldBytesOfPrincipal:     "bytes of names, notes, values and descriptions of one principal",
}

var reasons = [...]string{
	lock.Released:       "it was released",
	lock.Expired:        "its lease was over",
	lock.SessionClosed:  "its session was closed",
	lock.SessionExpired: "its session was silent for its ttl",
	lock.Forced:         "an administrator ended it",
	lock.GivenBack:      "the request was cancelled",
	lock.TimedOut:       "its wait was over",
	lock.Resized:        "the lock was resized",
}

// reason says why something ended.
func reason(r lock.EndReason) string { return orElse(row(reasons[:], r), "for an unknown reason") }

// explainBlocker says who is in the way, since when, and how many wait.
func explainBlocker(o *lock.Outcome, failed string) string {
	b := o.Blocker
	if b == nil {
		return failed + "the lock was not free"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%slock %q", failed, shortened(b.Name))
	switch {
	case b.Holder != nil:
		fmt.Fprintf(&s, " is %s", holderInWords(b.Holder))
		if o.Self {
			s.WriteString(" (this very session)")
		}
	case b.DelayLeft > 0:
		fmt.Fprintf(&s, " is shut for %s after its holder was lost", rounded(b.DelayLeft))
	case b.Waiting > 0:
		s.WriteString(" is waited for by others")
	default:
		s.WriteString(" is not free")
	}
	if b.Holders > 1 {
		fmt.Fprintf(&s, ", %d holders in all", b.Holders)
	}
	if b.Waiting > 0 {
		fmt.Fprintf(&s, ", %d waiting, the first for %s", b.Waiting, rounded(b.LongestWait))
	}
	return s.String()
}

// holderInWords says who holds a lock, and since when.
func holderInWords(h *lock.HoldView) string {
	var s strings.Builder
	switch {
	case h.Delay:
		fmt.Fprintf(&s, "shut for %s after its holder was lost", rounded(h.LeaseLeft))
		return s.String()
	case h.Session == 0:
		s.WriteString("held outside sessions")
	default:
		fmt.Fprintf(&s, "held by %s, session %d,", whoIs(h.Info), h.Session)
	}
	fmt.Fprintf(&s, " for %s (token %d)", rounded(h.Age), h.Token)
	return s.String()
}

// whoIs names a client by what it says of itself, or else by its address.
func whoIs(i *lock.Info) string {
	if i == nil {
		return "a client"
	}
	who := orElse(shortened(i.Program), orElse(shortened(i.User), "a client"))
	if at := orElse(shortened(i.Host), shortened(i.Remote)); at != "" {
		who += " at " + at
	}
	if i.PID != 0 {
		who += fmt.Sprintf(" (pid %d)", i.PID)
	}
	return who
}

// shortened cuts a text that is too long for a message.
func shortened(text string) string {
	const most = 128
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// rounded drops digits that nobody reads.
func rounded(d lock.Duration) time.Duration {
	t := time.Duration(d) * time.Microsecond
	switch {
	case t >= time.Minute:
		return t.Round(time.Second)
	case t >= time.Second:
		return t.Round(100 * time.Millisecond)
	case t >= time.Millisecond:
		return t.Round(time.Millisecond)
	default:
		return t
	}
}

func atMost(limit int64) string {
	if limit == 0 {
		return ""
	}
	return fmt.Sprintf(" (limit %d)", limit)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
