package lockv1_test

import (
	"math"
	"testing"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/lockv1"
)

const party = lockv1.Party("session")

// said is what an answer says of a failure; "-" if there is no answer.
func said(e *ldlmv1.Error, answered bool) string {
	switch {
	case !answered:
		return "-"
	case e == nil:
		return ""
	}
	return e.GetCode().String() + ": " + e.GetMessage()
}

// TestEveryCode: what each code is answered with, by each of the three.
func TestEveryCode(t *testing.T) {
	const (
		limit    = "Unknown: the session has its limit of 7 locks"
		noWords  = "-"
		noRenew  = "LockDoesNotExistOrInvalidKey: lock does not exist or invalid key"
		mismatch = "LockSizeMismatch: lock size mismatch"
	)
	rows := map[lock.Code][3]string{ // acquire, unlock, renew
		lock.OK:           {"", "", ""},
		lock.Held:         {"", noWords, noWords},
		lock.Quiet:        {"", noWords, noWords},
		lock.WaitTimeout:  {"LockWaitTimeout: timeout waiting to acquire lock", noWords, noWords},
		lock.SizeMismatch: {mismatch, noWords, noWords},
		lock.NotFound:     {noWords, "LockDoesNotExist: a lock by that name does not exist", noRenew},
		lock.WrongKey:     {noWords, "InvalidLockKey: invalid lock key", noRenew},
		lock.NotLeased:    {noWords, noWords, noRenew},
		lock.Revoked:      {noWords, noWords, noRenew},
		lock.Invalid:      {limit, limit, limit},
		lock.Limit:        {limit, limit, limit},
	}
	for code := lock.OK; code <= lock.NotLeading; code++ {
		want, ok := rows[code]
		if !ok {
			want = [3]string{noWords, noWords, noWords}
		}
		o := &lock.Outcome{Code: code, Field: lock.FieldHoldsPerSession, Limit: 7}
		a, u, r := party.AcquireAnswer("l", o), party.UnlockAnswer("l", o), party.RenewAnswer("l", "k", o)
		got := [3]string{said(a.GetError(), a != nil), said(u.GetError(), u != nil), said(r.GetError(), r != nil)}
		if got != want {
			t.Errorf("code %d: got %q, want %q", code, got, want)
		}
		if a.GetLocked() != (code == lock.OK) || u.GetUnlocked() != (code == lock.OK) || r.GetLocked() != (code == lock.OK) {
			t.Errorf("code %d: locked %v, unlocked %v, renewed %v", code, a.GetLocked(), u.GetUnlocked(), r.GetLocked())
		}
	}
}

func TestLimitsAreNamed(t *testing.T) {
	for field, want := range map[lock.Field]string{
		lock.FieldName:              "lock name is longer than 9 bytes",
		lock.FieldLocks:             "the server has its limit of 9 locks",
		lock.FieldWaitersPerLock:    "the lock has its limit of 9 waiting requests",
		lock.FieldWaitersPerSession: "the session has its limit of 9 waiting requests",
		lock.FieldHoldsPerSession:   "the session has its limit of 9 locks",
		lock.FieldSlot:              "the session has its limit of 9 calls at once",
		lock.FieldLease:             "invalid lease_us: a lease must be positive, in microseconds, and not too long; outside sessions it is needed (limit 9)",
	} {
		a := party.AcquireAnswer("l", &lock.Outcome{Code: lock.Invalid, Field: field, Limit: 9})
		if got := a.GetError().GetMessage(); got != want {
			t.Errorf("field %d: got %q, want %q", field, got, want)
		}
	}
}

func TestCheckOrder(t *testing.T) {
	zero, one := int32(0), int32(1)
	for _, c := range []struct {
		ask  lockv1.Acquire
		want string
	}{
		{lockv1.Acquire{Lease: -1, Wait: -1, Size: &zero}, "Unknown: lock timeout must be greater than 0"},
		{lockv1.Acquire{Wait: -1, Size: &zero}, "Unknown: wait timeout must be greater than 0"},
		{lockv1.Acquire{Size: &zero}, "Unknown: lock name cannot be empty"},
		{lockv1.Acquire{Name: "l", Size: &zero}, "InvalidLockSize: lock size must be greater than 0"},
		{lockv1.Acquire{Name: "l", Size: &one}, ""},
		{lockv1.Acquire{Name: "l"}, ""},
	} {
		if got := said(c.ask.Check(), true); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.ask, got, c.want)
		}
	}
	for seconds, want := range map[int32]string{0: "Unknown: lock timeout must be greater than 0", -1: "Unknown: lock timeout must be greater than 0", 1: ""} {
		if got := said(lockv1.CheckRenew(seconds), true); got != want {
			t.Errorf("renew for %d: got %q, want %q", seconds, got, want)
		}
	}
}

func TestCommands(t *testing.T) {
	many := int32(math.MaxInt32)
	for _, c := range []struct {
		ask  lockv1.Acquire
		size uint32
		wait lock.Duration
	}{
		{lockv1.Acquire{Name: "l", Lease: many}, 1, lock.Forever},
		{lockv1.Acquire{Name: "l", Lease: many, Wait: many, Size: &many}, math.MaxInt32, math.MaxInt32 * lock.Second},
		{lockv1.Acquire{Name: "l", Lease: many, Try: true}, 1, 0},
	} {
		got := c.ask.Command()
		if got.Items[0].Name != "l" || got.Items[0].Size != c.size || got.Wait != c.wait || got.Lease != math.MaxInt32*lock.Second {
			t.Errorf("%+v: got %+v", c.ask, got)
		}
	}
	const key = "2a56ba52-fd02-4dd4-ae35-0c9990c16300"
	if c := lockv1.Unlock("l", key); c.Name != "l" || c.Key.String() != key {
		t.Errorf("unlock: got %+v", c)
	}
	if c := lockv1.Unlock("l", "no key at all"); c.Key == (lock.Key{}) {
		t.Error("what is no key is taken for none at all")
	}
	if c := lockv1.Renew("l", key, 3); c.Name != "l" || c.Key.String() != key || c.Lease != 3*lock.Second {
		t.Errorf("renew: got %+v", c)
	}
}
