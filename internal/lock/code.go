package lock

// Code says how a command or a request ended. The set is closed; every edge
// has a table with a row for each.
type Code uint8

// Codes of outcomes.
const (
	// OK: done.
	OK Code = iota
	// Queued: the request waits; it is settled later.
	Queued
	// Held: a try found the lock held, shut or waited for.
	Held
	// WaitTimeout: the wait was over before the lock was free.
	WaitTimeout
	// Canceled: the client cancelled the request.
	Canceled
	// Superseded: a newer connection or attempt has taken the request over, or
	// the command came over a connection that is not the session's present one.
	Superseded
	// Ended: the request was granted and the grant has ended since.
	Ended
	// Invalid: a field is missing or out of range; Field and Limit say which.
	Invalid
	// Limit: a limit is reached; Field and Limit say which.
	Limit
	// NotFound: no lock of that name.
	NotFound
	// WrongKey: key or token is not that of a present hold of this lock.
	WrongKey
	// SizeMismatch: the lock exists with another size.
	SizeMismatch
	// SessionLost: the session is unknown, has ended, or the proof is wrong.
	SessionLost
	// SlotMisused: slot and seq, or the request id, were used for another question.
	SlotMisused
	// Stale: the seq is neither the slot's newest nor the one after it.
	Stale
	// TokenMoved: the token named in a forced release is not that of a present hold.
	TokenMoved
	// NotLeased: the hold has no lease that could be renewed.
	NotLeased
	// Revoked: the hold was revoked and cannot be renewed.
	Revoked
	// Quiet: nothing is granted yet after a restore.
	Quiet
	// MemberEnded: the incarnation is unknown or over.
	MemberEnded
	// NotLeading: a command of the leader was stamped in another term.
	NotLeading

	numCodes
)

// EndReason says why a hold or a wait ended.
type EndReason uint8

// Reasons of an end.
const (
	NotEnded EndReason = iota
	// Released by whoever had the key.
	Released
	// Expired: the lease was over.
	Expired
	// SessionClosed: by the client, or with its connection.
	SessionClosed
	// SessionExpired: silent for its ttl.
	SessionExpired
	// Forced by an administrator: released or killed.
	Forced
	// GivenBack: the request was cancelled.
	GivenBack
	// TimedOut: the wait was over.
	TimedOut
	// Resized: the request wants more permits than the lock has now.
	Resized

	numEndReasons
)
