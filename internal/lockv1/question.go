package lockv1

import (
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// Acquire is what Lock and TryLock ask for.
type Acquire struct {
	// Name of the lock.
	Name string
	// Size is nil where it was left out.
	Size *int32
	// Wait and Lease are in seconds; 0 has no end.
	Wait, Lease int32
	// Try does not wait at all.
	Try bool
}

// Check refuses what is wrong by itself, in the order that clients know.
func (a *Acquire) Check() *ldlmv1.Error {
	switch {
	case a.Lease < 0:
		return failure(ldlmv1.ErrorCode_Unknown, msgLockTimeout)
	case a.Wait < 0:
		return failure(ldlmv1.ErrorCode_Unknown, msgWaitTimeout)
	case a.Name == "":
		return failure(ldlmv1.ErrorCode_Unknown, msgEmptyName)
	case a.Size != nil && *a.Size <= 0:
		return failure(ldlmv1.ErrorCode_InvalidLockSize, msgInvalidSize)
	}
	return nil
}

// Command is the question to the table, for what Check has not refused. A size
// that is left out is 1, not whatever the lock has.
func (a *Acquire) Command() *lock.Acquire {
	size := uint32(1)
	if a.Size != nil {
		size = uint32(*a.Size)
	}
	c := &lock.Acquire{
		Items: []lock.Item{{Name: a.Name, Size: size}},
		Lease: lock.Duration(a.Lease) * lock.Second,
	}
	switch {
	case a.Try:
	case a.Wait == 0:
		c.Wait = lock.Forever
	default:
		c.Wait = lock.Duration(a.Wait) * lock.Second
	}
	return c
}

// Unlock is the question to the table. What is no key at all is the key of
// nothing: the table then tells an unknown lock from a wrong key.
func Unlock(name, key string) *lock.Release {
	return &lock.Release{Hold: lock.Hold{Name: name, Key: sessionapi.ParseKey(key)}}
}

// CheckRenew refuses what is wrong with a renewal by itself.
func CheckRenew(seconds int32) *ldlmv1.Error {
	if seconds <= 0 {
		return failure(ldlmv1.ErrorCode_Unknown, msgLockTimeout)
	}
	return nil
}

// Renew is the question to the table, for what CheckRenew has not refused.
func Renew(name, key string, seconds int32) *lock.Renew {
	return &lock.Renew{
		Hold:  lock.Hold{Name: name, Key: sessionapi.ParseKey(key)},
		Lease: lock.Duration(seconds) * lock.Second,
	}
}

// ShortKey is what a log line may say of a key, whole or not: its first 8
// characters.
func ShortKey(key string) string { return key[:min(len(key), 8)] }
