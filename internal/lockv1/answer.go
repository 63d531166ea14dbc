package lockv1

import (
	"fmt"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// The messages of the protocol. Clients compare them.
const (
	msgNoSuchLock  = "a lock by that name does not exist"
	msgInvalidKey  = "invalid lock key"
	msgWaitOver    = "timeout waiting to acquire lock"
	msgNotRenewed  = "lock does not exist or invalid key"
	msgOtherSize   = "lock size mismatch"
	msgInvalidSize = "lock size must be greater than 0"
	msgEmptyName   = "lock name cannot be empty"
	msgLockTimeout = "lock timeout must be greater than 0"
	msgWaitTimeout = "wait timeout must be greater than 0"
)

func failure(c ldlmv1.ErrorCode, msg string) *ldlmv1.Error {
	return &ldlmv1.Error{Code: c, Message: msg}
}

// A Party is what clients of a carrier call the one that has their locks: a
// connection, or a session. Limits are told in its name.
type Party string

// AcquireAnswer answers Lock and TryLock; nil if the protocol has no words for
// the outcome, which then is a failure of the call and not of the lock.
func (p Party) AcquireAnswer(name string, o *lock.Outcome) *ldlmv1.LockResponse {
	r := &ldlmv1.LockResponse{Name: name}
	switch o.Code {
	case lock.OK:
		r.Locked, r.Key = true, o.Key.String()
	case lock.Held, lock.Quiet:
		// Taken: by a holder, or perhaps still by one of an earlier life.
	case lock.WaitTimeout:
		r.Error = failure(ldlmv1.ErrorCode_LockWaitTimeout, msgWaitOver)
	case lock.SizeMismatch:
		r.Error = failure(ldlmv1.ErrorCode_LockSizeMismatch, msgOtherSize)
	default:
		if r.Error = p.limit(o); r.Error == nil {
			return nil
		}
	}
	return r
}

// UnlockAnswer answers Unlock, or is nil as AcquireAnswer is.
func (p Party) UnlockAnswer(name string, o *lock.Outcome) *ldlmv1.UnlockResponse {
	r := &ldlmv1.UnlockResponse{Name: name}
	switch o.Code {
	case lock.OK:
		r.Unlocked = true
	case lock.NotFound:
		r.Error = failure(ldlmv1.ErrorCode_LockDoesNotExist, msgNoSuchLock)
	case lock.WrongKey:
		r.Error = failure(ldlmv1.ErrorCode_InvalidLockKey, msgInvalidKey)
	default:
		if r.Error = p.limit(o); r.Error == nil {
			return nil
		}
	}
	return r
}

// RenewAnswer answers Renew and RefreshLock, which return the key that came in,
// or is nil as AcquireAnswer is.
func (p Party) RenewAnswer(name, key string, o *lock.Outcome) *ldlmv1.LockResponse {
	r := &ldlmv1.LockResponse{Name: name, Key: key}
	switch o.Code {
	case lock.OK:
		r.Locked = true
	case lock.NotFound, lock.WrongKey, lock.NotLeased, lock.Revoked:
		r.Error = failure(ldlmv1.ErrorCode_LockDoesNotExistOrInvalidKey, msgNotRenewed)
	default:
		if r.Error = p.limit(o); r.Error == nil {
			return nil
		}
	}
	return r
}

// limit is the failure of a lock that has met a limit; nil for other outcomes.
func (p Party) limit(o *lock.Outcome) *ldlmv1.Error {
	if o.Code != lock.Invalid && o.Code != lock.Limit {
		return nil
	}
	return failure(ldlmv1.ErrorCode_Unknown, p.limitText(o))
}

// LimitName is the name that the native protocol has for the limit that an outcome is
// about: the first one has none.
func LimitName(o *lock.Outcome) string { return sessionapi.FieldName(o.Field) }

// limitText names the limit that a request has met.
func (p Party) limitText(o *lock.Outcome) string {
	switch o.Field {
	case lock.FieldName:
		return fmt.Sprintf("lock name is longer than %d bytes", o.Limit)
	case lock.FieldLocks:
		return fmt.Sprintf("the server has its limit of %d locks", o.Limit)
	case lock.FieldWaitersPerLock:
		return fmt.Sprintf("the lock has its limit of %d waiting requests", o.Limit)
	case lock.FieldWaitersPerSession:
		return fmt.Sprintf("the %s has its limit of %d waiting requests", p, o.Limit)
	case lock.FieldHoldsPerSession, lock.FieldHoldsOutsideSessions:
		return fmt.Sprintf("the %s has its limit of %d locks", p, o.Limit)
	case lock.FieldSlot:
		return fmt.Sprintf("the %s has its limit of %d calls at once", p, o.Limit)
	default:
		return sessionapi.StatusOf(o).GetMessage()
	}
}
