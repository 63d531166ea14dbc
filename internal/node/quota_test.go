package node

import (
	"testing"
	"testing/synctest"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// A principal has as many sessions as its quota says, however they are opened, and
// others are served on.
func TestQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{Quota: func(principal string) *lock.Quota {
			if principal == "free" {
				return nil
			}
			return &lock.Quota{Sessions: 2}
		}})
		secret := byte(0)
		info := func(principal string) *lock.Info { return &lock.Info{Principal: principal} }
		attach := func(principal string, want lock.Code) *Link {
			t.Helper()
			secret++
			l, o, err := h.Attach(t.Context(), &lock.Open{Secret: lock.SecretHash{secret}, Info: info(principal)})
			if err != nil || o.Code != want || want == lock.Limit && (o.Field != lock.FieldSessionsOfPrincipal || o.Limit != 2) {
				t.Fatalf("%q: got %+v, %v, want %v", principal, o, err, want)
			}
			return l
		}
		attach("a", lock.OK)
		given := &lock.Open{Secret: lock.SecretHash{99}, Info: info("a")}
		if o, err := h.Call(t.Context(), given); err != nil || o.Code != lock.OK || given.Info.Quota != nil {
			t.Fatalf("by calls: %+v, %v; what was given is %+v now", o, err, given.Info)
		}
		attach("a", lock.Limit)
		if o, err := h.Call(t.Context(), &lock.Open{Secret: lock.SecretHash{98}, Info: info("a")}); err != nil || o.Code != lock.Limit {
			t.Fatalf("one too many by calls: %+v, %v", o, err)
		}
		for range 4 {
			attach("free", lock.OK)
			attach("", lock.OK)
		}
		attach("b", lock.OK)
	})
}
