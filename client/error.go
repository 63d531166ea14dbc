package client

import (
	"errors"

	"github.com/ldlm-io/ldlm"
)

// What went wrong with a lock. Errors are compared with errors.Is or ==; those
// that package ldlm has too match its errors as well.
var (
	ErrLockDoesNotExist             error = &sentinel{"a lock by that name does not exist", ldlm.ErrNotFound}
	ErrInvalidLockKey               error = &sentinel{"invalid lock key", ldlm.ErrWrongKey}
	ErrLockWaitTimeout              error = &sentinel{"timeout waiting to acquire lock", ldlm.ErrWaitTimeout}
	ErrLockNotLocked                error = &sentinel{"lock is not locked", ldlm.ErrReleased}
	ErrLockDoesNotExistOrInvalidKey error = &sentinel{"lock does not exist or invalid key", ldlm.ErrWrongKey}
	ErrInvalidLockSize              error = &sentinel{"lock size must be greater than 0", ldlm.ErrInvalid}
	ErrLockSizeMismatch             error = &sentinel{"lock size mismatch", ldlm.ErrSizeMismatch}
)

// sentinel is an error with the text of version 1 that matches a modern one.
type sentinel struct {
	text   string
	modern error
}

func (e *sentinel) Error() string { return e.text }
func (e *sentinel) Unwrap() error { return e.modern }

// Arguments that are refused before anything is asked, in the words of version 1.
var (
	errWaitOnTry    = errors.New("wait timeout not supported for TryLock")
	errWaitTimeout  = errors.New("wait timeout must be greater than 0")
	errLockTimeout  = errors.New("lock timeout must be greater than 0")
	errEmptyName    = errors.New("lock name cannot be empty")
	errNeedsAddress = errors.New("client: Config.Address is empty: give host:port of a server")
)

// classic turns an error of package ldlm into the one that version 1 had for
// it; other errors stay as they are.
func classic(err error) error {
	for _, e := range []error{
		ErrLockWaitTimeout, ErrLockSizeMismatch, ErrLockDoesNotExist, ErrInvalidLockKey,
	} {
		if errors.Is(err, e.(*sentinel).modern) { //nolint:errorlint // one of the list above
			return e
		}
	}
	return err
}

// classicRenewal does the same for renewals, which have one error for all that
// is not held under that key or has no timeout.
func classicRenewal(err error) error {
	for _, e := range []error{ldlm.ErrNotFound, ldlm.ErrWrongKey, ldlm.ErrNotLeased, ldlm.ErrLost, ldlm.ErrReleased} {
		if errors.Is(err, e) {
			return ErrLockDoesNotExistOrInvalidKey
		}
	}
	return err
}
