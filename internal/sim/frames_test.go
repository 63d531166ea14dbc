package sim

import "github.com/ldlm-io/ldlm/internal/lock"

// Frames of the native protocol. They carry what its messages carry; encoding
// is tested elsewhere.

// hello opens a session, or resumes one if it has a number.
type hello struct {
	session lock.SessionNumber
	secret  lock.SecretHash
	ttl     span
	onEnd   lock.OnEnd
}

// keepAlive asks for another stretch of life.
type keepAlive struct{ number uint64 }

// question is an operation, or the cancelling of one, under a slot and seq.
type question struct {
	slot uint32
	seq  uint64
	ask  asking
}

// asking makes the command of an operation: the member adds who asks and the
// key of a grant.
type asking func(c lock.Caller, k lock.Key) lock.Command

// goodbye ends the session.
type goodbye struct{}

// welcome answers hello; alive is what a resumed session still has.
type welcome struct {
	session  lock.SessionNumber
	attach   uint64
	ttl      span
	validFor span
	alive    *lock.Alive
}

// confirmation answers keepAlive.
type confirmation struct {
	number   uint64
	validFor span
}

// answer answers a question, at once or when its wait is over.
type answer struct {
	slot    uint32
	seq     uint64
	outcome lock.Outcome
}

// notice tells of a hold that ended, or was revoked, without the client's asking.
type notice struct {
	name    string
	token   lock.Token
	reason  lock.EndReason
	revoked bool
}

// ended tells that the session is over.
type ended struct{}
