package grpcapi

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// The messages of the first protocol. Clients compare them.
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

// acquireAnswer answers Lock and TryLock. Nothing about a lock is an error of
// the call.
func acquireAnswer(name string, o *lock.Outcome) (*ldlmv1.LockResponse, error) {
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
		e, err := otherFailure(o)
		if err != nil {
			return nil, err
		}
		r.Error = e
	}
	return r, nil
}

func unlockAnswer(name string, o *lock.Outcome) (*ldlmv1.UnlockResponse, error) {
	r := &ldlmv1.UnlockResponse{Name: name}
	switch o.Code {
	case lock.OK:
		r.Unlocked = true
	case lock.NotFound:
		r.Error = failure(ldlmv1.ErrorCode_LockDoesNotExist, msgNoSuchLock)
	case lock.WrongKey:
		r.Error = failure(ldlmv1.ErrorCode_InvalidLockKey, msgInvalidKey)
	default:
		e, err := otherFailure(o)
		if err != nil {
			return nil, err
		}
		r.Error = e
	}
	return r, nil
}

// renewAnswer answers Renew and RefreshLock, which return the key that came in.
func renewAnswer(name, key string, o *lock.Outcome) (*ldlmv1.LockResponse, error) {
	r := &ldlmv1.LockResponse{Name: name, Key: key}
	switch o.Code {
	case lock.OK:
		r.Locked = true
	case lock.NotFound, lock.WrongKey, lock.NotLeased, lock.Revoked:
		r.Error = failure(ldlmv1.ErrorCode_LockDoesNotExistOrInvalidKey, msgNotRenewed)
	default:
		e, err := otherFailure(o)
		if err != nil {
			return nil, err
		}
		r.Error = e
	}
	return r, nil
}

// otherFailure answers what the first protocol has no words for: a limit is a
// failure of the lock, everything else one of the call.
func otherFailure(o *lock.Outcome) (*ldlmv1.Error, error) {
	switch o.Code {
	case lock.Invalid, lock.Limit:
		return failure(ldlmv1.ErrorCode_Unknown, limitText(o)), nil
	case lock.SessionLost, lock.Superseded, lock.Canceled:
		return nil, status.Error(codes.Unavailable, "the session of this connection has ended")
	default:
		return nil, refusal(o)
	}
}

// limitText names the limit that a request has met.
func limitText(o *lock.Outcome) string {
	switch o.Field {
	case lock.FieldName:
		return fmt.Sprintf("lock name is longer than %d bytes", o.Limit)
	case lock.FieldLocks:
		return fmt.Sprintf("the server has its limit of %d locks", o.Limit)
	case lock.FieldWaitersPerLock:
		return fmt.Sprintf("the lock has its limit of %d waiting requests", o.Limit)
	case lock.FieldWaitersPerSession:
		return fmt.Sprintf("the connection has its limit of %d waiting requests", o.Limit)
	case lock.FieldHoldsPerSession, lock.FieldHoldsOutsideSessions:
		return fmt.Sprintf("the connection has its limit of %d locks", o.Limit)
	case lock.FieldSlot:
		return fmt.Sprintf("the connection has its limit of %d calls at once", o.Limit)
	default:
		return fmt.Sprintf("the %s was refused (limit %d)", sessionapi.FieldName(o.Field), o.Limit)
	}
}

// errorText is what a log line says of a failure.
func errorText(e *ldlmv1.Error, err error) string {
	if err != nil {
		return err.Error()
	}
	return e.GetMessage()
}
