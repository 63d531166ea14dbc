package node

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// A hold that ends without the client's asking is told; one that the client
// released is not.
func TestLostHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l, other := h.link(1), h.link(2)
		for i, name := range []string{"own", "foreign", "forced", "revoked", "canceled", "kept"} {
			h.acquire(l, uint32(i), name)
		}
		leased := ask(l, 6, 1, "leased")
		leased.Lease = lock.Second
		h.submit(l, leased)
		wantNotices(t, h.await(l), fmt.Sprintf("lost leased reason %d; ", lock.Expired))

		token := func(name string) lock.HoldView {
			v, _, err := h.Lookup(context.Background(), name)
			if err != nil || len(v.Holders) != 1 {
				t.Fatalf("lookup %q: %+v, %v", name, v, err)
			}
			return v.Holders[0]
		}
		wantNotices(t, h.submit(l, release(l, 0, 2, "own", token("own").Token)), "answer 0/2 code 0; ")
		wantNotices(t, h.submit(l, &lock.Cancel{Caller: caller(l, 4, 1)}),
			fmt.Sprintf("answer 4/1 code %d; ", lock.Canceled))

		c := caller(other, 0, 1)
		h.submit(other, &lock.Release{Caller: c, Hold: lock.Hold{Name: "foreign", Key: token("foreign").Key}})
		wantNotices(t, h.await(l), fmt.Sprintf("lost foreign reason %d; ", lock.Released))

		h.call(&lock.ForceRelease{Name: "forced", Token: token("forced").Token})
		wantNotices(t, h.await(l), fmt.Sprintf("lost forced reason %d; ", lock.Forced))

		revoked := token("revoked").Token
		h.call(&lock.ForceRelease{Name: "revoked", Token: revoked, Wait: true})
		wantNotices(t, h.await(l), "revoked revoked; ")
		wantNotices(t, h.await(l), fmt.Sprintf("lost revoked reason %d; ", lock.Forced))
		h.wantHeld("kept", 1, 0)
	})
}

// Which of several releases in one entry was the client's own is told by what
// they name, not by where they came from.
func TestOwnAndForeignReleaseInOneEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l, other := h.link(1), h.link(2)
		a, b, c := h.acquire(l, 0, "a"), h.acquire(l, 1, "b"), h.acquire(l, 2, "c")
		both := &lock.Acquire{Caller: caller(l, 3, 1), Items: []lock.Item{{Name: "d"}, {Name: "e"}}}
		d := h.submit(l, both)[0].Outcome
		all := release(l, 3, 2, "d", d.Token)
		all.All = true
		h.desk.rule(only(&lock.Release{}, gather))
		done := make(chan struct{}, 2)
		go func() {
			h.submit(other, &lock.Release{Caller: caller(other, 0, 1), Hold: lock.Hold{Name: "b", Key: b.Key}})
			done <- struct{}{}
		}()
		synctest.Wait()
		var got []Notice
		go func() {
			got = h.submit(l, release(l, 0, 2, "a", a.Token), all, release(l, 2, 2, "c", c.Token))
			done <- struct{}{}
		}()
		synctest.Wait()
		h.desk.flush()
		<-done
		<-done
		wantNotices(t, got, fmt.Sprintf(
			"answer 0/2 code 0; answer 3/2 code 0; answer 2/2 code 0; lost b reason %d; ", lock.Released))
	})
}
