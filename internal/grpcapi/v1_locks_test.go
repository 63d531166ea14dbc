package grpcapi_test

import (
	"math"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/node"
)

// equal compares answers by their content.
func equal(t *testing.T, what string, got proto.Message, err error, want proto.Message) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v, want %v", what, err, want)
	} else if !proto.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func refusedLock(name string, code ldlmv1.ErrorCode, msg string) *ldlmv1.LockResponse {
	return &ldlmv1.LockResponse{Name: name, Error: &ldlmv1.Error{Code: code, Message: msg}}
}

func TestNamesAreComparedByteByByte(t *testing.T) {
	c := open(t).client()
	names := []string{
		"a", "A", " a", "a ", "a/b", "a\x00", "a\x00b", "\x01", "\u00e9", "e\u0301", "日本", "\u2028", "\ufffd", ".", "*",
		strings.Repeat("n", 65536),
	}
	for _, name := range names {
		c.take(name)
	}
	for _, name := range names {
		if c.isFree(name) {
			t.Errorf("%.20q is free, another name was taken", name)
		}
	}
}

func TestSizes(t *testing.T) {
	h := open(t)
	c := h.client()
	mismatch := func(name string) *ldlmv1.LockResponse {
		return refusedLock(name, ldlmv1.ErrorCode_LockSizeMismatch, "lock size mismatch")
	}
	key := c.takeOf("two", 2)
	c.takeOf("two", 2)
	for what, size := range map[string]*int32{"left out": nil, "1": new(int32(1)), "3": new(int32(3))} {
		r, err := c.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "two", Size: size})
		equal(t, "TryLock of a full lock of size 2 with size "+what, r, err, mismatch("two"))
		r, err = c.Lock(t.Context(), &ldlmv1.LockRequest{Name: "two", Size: size})
		equal(t, "Lock likewise, which does not wait", r, err, mismatch("two"))
	}
	c.release("two", key)
	r, err := c.TryLock(t.Context(), try("two"))
	equal(t, "another size while a place is free", r, err, mismatch("two"))

	c.release("one", c.take("one"))
	r, err = c.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "one", Size: new(int32(2))})
	equal(t, "another size of an idle lock", r, err, mismatch("one"))
	u, err := c.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "one"})
	equal(t, "unlock of an idle lock", u, err, &ldlmv1.UnlockResponse{
		Name: "one", Error: &ldlmv1.Error{Code: ldlmv1.ErrorCode_InvalidLockKey, Message: "invalid lock key"},
	})
	c.takeOf("largest", math.MaxInt32)
	c.takeOf("largest", math.MaxInt32)
}

func TestKeysAreRandomUUIDs(t *testing.T) {
	c := open(t).client()
	v4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 200 {
		key := c.takeOf("many", 200)
		if !v4.MatchString(key) {
			t.Fatalf("key %q is no UUID of version 4 in lower case", key)
		}
		if seen[key] {
			t.Fatalf("key %q was given twice", key)
		}
		seen[key] = true
	}
	if r, err := c.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "many", Size: new(int32(200))}); err != nil || r.Locked || r.Error != nil {
		t.Errorf("the 201st of 200: %v, %v", r, err)
	}
	for key := range seen {
		c.release("many", key)
	}
}

// TestOrderOfChecks: each request is wrong in everything that is left; the
// first in the order counts.
func TestOrderOfChecks(t *testing.T) {
	c := open(t).client()
	c.takeOf("sized", 3)
	minus := new(int32(-1))
	for _, test := range []struct {
		what    string
		request *ldlmv1.LockRequest
		code    ldlmv1.ErrorCode
		message string
	}{
		{"lock timeout", &ldlmv1.LockRequest{LockTimeoutSeconds: minus, WaitTimeoutSeconds: minus, Size: minus}, 0, "lock timeout must be greater than 0"},
		{"wait timeout", &ldlmv1.LockRequest{WaitTimeoutSeconds: minus, Size: minus}, 0, "wait timeout must be greater than 0"},
		{"empty name", &ldlmv1.LockRequest{Size: minus}, 0, "lock name cannot be empty"},
		{"negative size", &ldlmv1.LockRequest{Name: "sized", Size: minus}, 7, "lock size must be greater than 0"},
		{"size 0", &ldlmv1.LockRequest{Name: "sized", Size: new(int32(0))}, 7, "lock size must be greater than 0"},
		{"smallest size", &ldlmv1.LockRequest{Name: "sized", Size: new(int32(math.MinInt32))}, 7, "lock size must be greater than 0"},
		{"other size", &ldlmv1.LockRequest{Name: "sized", Size: new(int32(2))}, 6, "lock size mismatch"},
	} {
		want := refusedLock(test.request.Name, test.code, test.message)
		r, err := c.Lock(t.Context(), test.request)
		equal(t, "Lock, "+test.what, r, err, want)
		if test.what == "wait timeout" {
			continue // TryLock has none
		}
		r, err = c.TryLock(t.Context(), &ldlmv1.TryLockRequest{
			Name: test.request.Name, Size: test.request.Size, LockTimeoutSeconds: test.request.LockTimeoutSeconds,
		})
		equal(t, "TryLock, "+test.what, r, err, want)
	}
}

func TestTryLock(t *testing.T) {
	h := open(t)
	a, b := h.client(), h.client()
	taken := func(what string) {
		t.Helper()
		r, err := a.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "two", Size: new(int32(2))})
		if err != nil || r.Locked || r.Error != nil || r.Name != "two" {
			t.Errorf("%s: %v, %v; want no lock and no error", what, r, err)
		}
	}
	key := a.takeOf("two", 2)
	second := b.takeOf("two", 2)
	taken("all places are taken, one by the asking connection itself")
	w := want("two")
	w.Size = new(int32(2))
	first := b.start(w)
	h.until("two", waiters(1))
	behind := b.start(w)
	h.until("two", waiters(2))
	a.release("two", key)
	if _, err := first.wait(); err != nil {
		t.Fatal(err)
	}
	taken("somebody waits")
	b.release("two", second)
	if r, err := behind.wait(); err != nil || !r.Locked {
		t.Errorf("the second waiter: %v, %v", r, err)
	}
}

// TestFirstComeFirstServed: one release admits one waiter, the one who has
// waited longest; those who gave up leave no gap.
func TestFirstComeFirstServed(t *testing.T) {
	h := open(t)
	a := h.client()
	key := a.take("l")
	calls := make([]*pending, 20)
	for i := range calls {
		calls[i] = h.client().start(want("l"))
		h.until("l", waiters(i+1))
	}
	for _, gone := range []int{3, 4, 11} { // gave up
		calls[gone].cancel()
		<-calls[gone].done
	}
	h.until("l", waiters(17))
	for i, call := range calls {
		if i == 3 || i == 4 || i == 11 {
			continue
		}
		a.release("l", key)
		r, err := call.wait()
		if err != nil || !r.Locked {
			t.Fatalf("waiter %d: %v, %v", i, r, err)
		}
		for j := i + 1; j < len(calls); j++ {
			if j != 3 && j != 4 && j != 11 && calls[j].over() {
				t.Fatalf("waiter %d was served with waiter %d", j, i)
			}
		}
		key = r.Key
	}
}

func TestWaitTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t).client()
		key := c.take("held")
		r := want("held")
		r.WaitTimeoutSeconds = new(int32(3))
		p := c.start(r)
		got, err := p.wait()
		equal(t, "after the wait", got, err, refusedLock("held", ldlmv1.ErrorCode_LockWaitTimeout, "timeout waiting to acquire lock"))
		if p.after < 3*time.Second || p.after > 3*time.Second+10*time.Millisecond {
			t.Errorf("a wait of 3 s took %v", p.after)
		}
		longest := want("held")
		longest.WaitTimeoutSeconds = new(int32(math.MaxInt32))
		longest.LockTimeoutSeconds = new(int32(math.MaxInt32))
		forever := want("held")
		forever.WaitTimeoutSeconds = new(int32(0))
		p = c.start(longest)
		synctest.Wait()
		q := c.start(forever)
		<-time.After(time.Hour)
		if p.over() || q.over() {
			t.Fatalf("waits of 2^31-1 s and of no end are over: %v, %v", p.over(), q.over())
		}
		c.release("held", key)
		got, err = p.wait()
		if err != nil || !got.Locked {
			t.Fatalf("after the release: %v, %v", got, err)
		}
		if r := c.renew("held", got.Key, math.MaxInt32); !r.Locked {
			t.Errorf("renew for 2^31-1 s: %v", r)
		}
		<-time.After(time.Hour)
		c.release("held", got.Key)
		if got, err = q.wait(); err != nil || !got.Locked {
			t.Errorf("the second waiter: %v, %v", got, err)
		}
	})
}

func TestLockTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		a, b := h.client(), h.client()
		first := a.takeFor("l", 4)
		w := want("l")
		w.LockTimeoutSeconds = new(int32(2))
		p := b.start(w)
		r, err := p.wait()
		if err != nil || !r.Locked || p.after < 4*time.Second || p.after > 4*time.Second+10*time.Millisecond {
			t.Errorf("the next waiter: %v, %v after %v; want the lock after 4 s", r, err, p.after)
		}
		u, err := a.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "l", Key: first})
		equal(t, "unlock of what expired", u, err, &ldlmv1.UnlockResponse{
			Name: "l", Error: &ldlmv1.Error{Code: ldlmv1.ErrorCode_InvalidLockKey, Message: "invalid lock key"},
		})
		// The second grant's time counts from the grant, not from the request.
		<-time.After(2*time.Second - 10*time.Millisecond)
		if a.isFree("l") {
			t.Error("the second grant ended too early")
		}
		<-time.After(20 * time.Millisecond)
		if !a.isFree("l") {
			t.Error("the second grant has not ended")
		}
		zero := try("forever")
		zero.LockTimeoutSeconds = new(int32(0))
		if r, err := a.TryLock(t.Context(), zero); err != nil || !r.Locked {
			t.Fatalf("with timeout 0: %v, %v", r, err)
		}
		<-time.After(time.Hour)
		if a.isFree("forever") {
			t.Error("a grant without a timeout has ended")
		}
	})
}

func TestUnlock(t *testing.T) {
	h := open(t)
	a, b := h.client(), h.client()
	unlock := func(c *client, what, name, key string, code ldlmv1.ErrorCode, msg string) {
		t.Helper()
		want := &ldlmv1.UnlockResponse{Name: name, Error: &ldlmv1.Error{Code: code, Message: msg}}
		r, err := c.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: name, Key: key})
		equal(t, what, r, err, want)
	}
	key := a.take("l")
	unlock(b, "unknown name", "nope", key, 1, "a lock by that name does not exist")
	unlock(b, "empty name", "", key, 1, "a lock by that name does not exist")
	for what, wrong := range map[string]string{
		"empty key": "", "other key": "2a56ba52-fd02-4dd4-ae35-0c9990c16300", "upper case": strings.ToUpper(key),
		"no hyphens": strings.ReplaceAll(key, "-", ""), "braces": "{" + key + "}", "a blank": key + " ", "half": key[:18],
		"no UUID": "x", "the nil UUID": "00000000-0000-0000-0000-000000000000", "long": strings.Repeat(key, 1000),
	} {
		if wrong != key { // a key may have no letters
			unlock(b, what, "l", wrong, 2, "invalid lock key")
		}
	}
	if a.isFree("l") {
		t.Fatal("a wrong key released the lock")
	}
	b.release("l", key) // keys are not bound to a session
	unlock(a, "used before", "l", key, 2, "invalid lock key")
	if !b.isFree("l") {
		t.Error("the lock is not free after its release")
	}
}

// TestOfManyUnlocksOneSucceeds: at once, over two connections.
func TestOfManyUnlocksOneSucceeds(t *testing.T) {
	h := open(t)
	a, b := h.client(), h.client()
	for range 20 {
		key := a.take("l")
		var released, refused int
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 8 {
			c := []*client{a, b}[i%2]
			all.Go(func() {
				r, err := c.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "l", Key: key})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Errorf("unlock: %v", err)
				case r.Unlocked:
					released++
				case r.Error.GetCode() == ldlmv1.ErrorCode_InvalidLockKey:
					refused++
				}
			})
		}
		all.Wait()
		if released != 1 || refused != 7 {
			t.Fatalf("%d released it, %d were refused; want 1 and 7", released, refused)
		}
	}
}

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		a, b := h.client(), h.client()
		key := a.takeFor("l", 2)
		<-time.After(1500 * time.Millisecond)
		equal(t, "longer, by another connection", b.renew("l", key, 10), nil, &ldlmv1.LockResponse{Locked: true, Name: "l", Key: key})
		<-time.After(9 * time.Second)
		equal(t, "shorter", a.renew("l", key, 1), nil, &ldlmv1.LockResponse{Locked: true, Name: "l", Key: key})
		<-time.After(900 * time.Millisecond)
		for _, n := range []int32{0, -1, math.MinInt32} {
			equal(t, "not above 0", a.renew("l", key, n), nil, refusedLock("l", 0, "lock timeout must be greater than 0"))
		}
		if b.isFree("l") {
			t.Error("a refused renewal has ended the hold")
		}
		<-time.After(110 * time.Millisecond)
		if !b.isFree("l") {
			t.Error("the timer did not go on")
		}
	})
}

func TestRenewOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t).client()
		refused := func(what, name, key string) {
			t.Helper()
			r := refusedLock(name, ldlmv1.ErrorCode_LockDoesNotExistOrInvalidKey, "lock does not exist or invalid key")
			r.Key = key
			equal(t, what, c.renew(name, key, 5), nil, r)
			got, err := c.RefreshLock(t.Context(), &ldlmv1.RefreshLockRequest{Name: name, Key: key, LockTimeoutSeconds: 5})
			equal(t, what+", RefreshLock", got, err, r)
		}
		refused("unknown name", "nope", "2a56ba52-fd02-4dd4-ae35-0c9990c16300")
		refused("empty name", "", "")
		key := c.takeFor("l", 5)
		refused("wrong key", "l", "2a56ba52-fd02-4dd4-ae35-0c9990c16300")
		refused("no key", "l", "not a key")
		<-time.After(6 * time.Second)
		refused("expired", "l", key)
		key = c.takeFor("l", 5)
		c.release("l", key)
		refused("unlocked", "l", key)
		refused("a grant without a timeout", "l", c.take("l"))
	})
}

// TestNameAndKeyAreComparedApart: another split of the same characters is
// another name and another key.
func TestNameAndKeyAreComparedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t).client()
		key := c.takeFor("ab", 5)
		for _, split := range []struct{ name, key string }{
			{"a", "b" + key}, {"ab" + key[:1], key[1:]}, {"ab" + key, ""}, {"", "ab" + key},
		} {
			if r := c.renew(split.name, split.key, 100); r.Locked || r.Error.GetCode() != 5 {
				t.Errorf("renew of %q, %q: %v", split.name, split.key, r)
			}
			r, err := c.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: split.name, Key: split.key})
			if err != nil || r.Unlocked {
				t.Errorf("unlock of %q, %q: %v, %v", split.name, split.key, r, err)
			}
		}
		<-time.After(5*time.Second + 10*time.Millisecond)
		if !c.isFree("ab") {
			t.Error("the timer of the hold is gone, or was renewed")
		}
	})
}

func collecting(every, idle time.Duration) func(*node.Config, *grpcapi.Config) {
	return func(n *node.Config, _ *grpcapi.Config) { n.CollectEvery, n.CollectIdle = every, idle }
}

func TestCollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t) // 30 min, 5 min
		c := h.client()
		c.release("idle", c.takeOf("idle", 2))
		c.takeOf("held", 2)
		c.take("waited for")
		p := c.start(want("waited for"))
		<-time.After(29 * time.Minute)
		c.release("touched", c.takeOf("touched", 2))
		<-time.After(61 * time.Second)
		for name, want := range map[string]bool{"idle": true, "held": false, "waited for": false, "touched": false} {
			_, found, err := h.node.Lookup(t.Context(), name)
			if err != nil || found == want {
				t.Errorf("%s: found %v, %v; collected should be %v", name, found, err, want)
			}
		}
		c.takeOf("idle", 7) // any size, now that it is forgotten
		p.cancel()
		<-p.done
	})
}

// TestCollectionNeverBreaksAGrant: not even where it never pauses.
func TestCollectionNeverBreaksAGrant(t *testing.T) {
	h := open(t, collecting(time.Millisecond, time.Nanosecond))
	var all sync.WaitGroup
	for i := range 4 {
		c := h.client()
		all.Go(func() {
			for n := range 100 {
				name := []string{"a", "b"}[(i+n)%2]
				r, err := c.Lock(t.Context(), want(name))
				if err != nil || !r.Locked {
					t.Errorf("lock: %v, %v", r, err)
					return
				}
				if u, err := c.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: name, Key: r.Key}); err != nil || !u.Unlocked {
					t.Errorf("the key of a grant is invalid: %v, %v", u, err)
					return
				}
			}
		})
	}
	all.Wait()
}
