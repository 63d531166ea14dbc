package grpcapi_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
)

func TestAllMethodsAreServed(t *testing.T) {
	c := open(t).client()
	for _, method := range []string{"Lock", "TryLock", "Unlock", "Renew", "RefreshLock"} {
		if _, err := invoke(t, c.conn, "/ldlm.LDLM/"+method, nil); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestUnknownMethodsAndServices(t *testing.T) {
	c := open(t).client()
	for _, method := range []string{"/ldlm.LDLM/Nope", "/ldlm.Nope/Lock", "/LDLM/Lock", "/ldlm.LDLM/lock"} {
		if _, err := invoke(t, c.conn, method, nil); status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: %v, want Unimplemented", method, err)
		}
	}
	c.take("still served")
}

// field is one field of a message on the wire.
func field(b []byte, n protowire.Number, v any) []byte {
	switch v := v.(type) {
	case string:
		return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v)
	case int:
		return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
	default:
		panic(v)
	}
}

func lockResponse(t *testing.T, b []byte) *ldlmv1.LockResponse {
	t.Helper()
	var r ldlmv1.LockResponse
	if err := proto.Unmarshal(b, &r); err != nil {
		t.Fatalf("response %x: %v", b, err)
	}
	if u := r.ProtoReflect().GetUnknown(); len(u) > 0 {
		t.Errorf("response has unknown fields %x", u)
	}
	return &r
}

// TestFieldNumbers: what was documented is what counts, with the numbers it had.
func TestFieldNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t).client()
		lock := func(method string, b []byte) *ldlmv1.LockResponse {
			t.Helper()
			out, err := invoke(t, c.conn, "/ldlm.LDLM/"+method, b)
			if err != nil {
				t.Fatalf("%s: %v", method, err)
			}
			return lockResponse(t, out)
		}
		// A lock of size 2 with a timer, and fields that are none: 2 in both, 3 in TryLock.
		b := field(field(field(nil, 1, "n"), 4, 2), 100, 10)
		first := lock("TryLock", field(field(b, 2, "x"), 3, -1))
		second := lock("Lock", field(field(b, 2, "x"), 3, 1))
		if !first.Locked || !second.Locked {
			t.Fatalf("a lock of size 2 was not granted twice: %v, %v", first, second)
		}
		if r := lock("Lock", field(b, 3, 1)); r.GetError().GetCode() != ldlmv1.ErrorCode_LockWaitTimeout {
			t.Errorf("field 3 of Lock is no wait timeout: %v", r)
		}
		for _, method := range []string{"Renew", "RefreshLock"} {
			r := lock(method, field(field(field(nil, 1, "n"), 2, first.Key), 100, 20))
			if !r.Locked || r.Name != "n" || r.Key != first.Key {
				t.Errorf("%s: %v", method, r)
			}
		}
		out, err := invoke(t, c.conn, "/ldlm.LDLM/Unlock", field(field(nil, 1, "n"), 2, second.Key))
		if want := field(field(nil, 1, 1), 2, "n"); err != nil || string(out) != string(want) {
			t.Errorf("Unlock: %x, %v; want %x: unlocked, the name, and no error", out, err, want)
		}
	})
}

// TestSuccessHasNoErrorField looks at the bytes: an empty error is an error.
func TestSuccessHasNoErrorField(t *testing.T) {
	c := open(t).client()
	out, err := invoke(t, c.conn, "/ldlm.LDLM/TryLock", field(nil, 1, "n"))
	if err != nil {
		t.Fatal(err)
	}
	key := lockResponse(t, out).Key
	if want := field(field(field(nil, 1, 1), 2, "n"), 3, key); string(out) != string(want) {
		t.Errorf("granted: %x, want %x", out, want)
	}
	out, err = invoke(t, c.conn, "/ldlm.LDLM/TryLock", field(nil, 1, "n"))
	if err != nil {
		t.Fatal(err)
	}
	if r := lockResponse(t, out); r.Locked || r.Error != nil || r.Name != "n" {
		t.Errorf("taken: %v, want no lock, no error and the name", r)
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	c := open(t).client()
	b := field(field(nil, 7, "later"), 1, "n")
	b = field(b, 4095, 5)
	b = protowire.AppendFixed64(protowire.AppendTag(b, 12, protowire.Fixed64Type), 1)
	out, err := invoke(t, c.conn, "/ldlm.LDLM/Lock", b)
	if err != nil || !lockResponse(t, out).Locked {
		t.Errorf("with unknown fields: %x, %v", out, err)
	}
}

func TestOfARepeatedScalarTheLastCounts(t *testing.T) {
	c := open(t).client()
	b := field(field(field(field(nil, 1, "first"), 4, 7), 1, "last"), 4, 2)
	for range 2 {
		out, err := invoke(t, c.conn, "/ldlm.LDLM/TryLock", b)
		if r := lockResponse(t, out); err != nil || !r.Locked || r.Name != "last" {
			t.Errorf("got %v, %v; want lock %q of size 2", r, err, "last")
		}
	}
	if !c.isFree("first") {
		t.Error("the first name counted too")
	}
}

func TestBadMessagesHarmNobodyElse(t *testing.T) {
	h := open(t)
	c := h.client()
	c.take("held")
	waiting := c.start(want("held"))
	h.until("held", waiters(1))
	for name, test := range map[string]struct {
		message []byte
		want    codes.Code
	}{
		"cut in the middle":     {[]byte{0x0a, 0x05, 'a'}, codes.Internal},
		"a tag without a value": {[]byte{0x20}, codes.Internal},
		"a group":               {[]byte{0x0b}, codes.Internal},
		"field 0":               {[]byte{0x00, 0x00}, codes.Internal},
		"name is not UTF-8":     {field(nil, 1, "\xff\xfe"), codes.Internal},
		"key is not UTF-8":      {field(field(nil, 1, "a"), 2, "\xc3\x28"), codes.Internal},
		"above 4 MiB":           {field(nil, 1, strings.Repeat("x", 4<<20)), codes.ResourceExhausted},
	} {
		if _, err := invoke(t, c.conn, "/ldlm.LDLM/Unlock", test.message); status.Code(err) != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if waiting.over() {
		t.Errorf("another call ended: %v, %v", waiting.answer, waiting.err)
	}
	c.take("other")
	if got := h.counts().Sessions; got != 1 {
		t.Errorf("%d sessions, want the one", got)
	}
}

// TestLongNames: the refusal names the limit.
func TestLongNames(t *testing.T) {
	c := open(t).client()
	r, err := c.TryLock(t.Context(), try(strings.Repeat("x", 65536)))
	if err != nil || !r.GetLocked() {
		t.Errorf("a name of 64 KiB: %v, %v", r.GetLocked(), err)
	}
	long := strings.Repeat("x", 65537)
	for name, call := range map[string]func() (*ldlmv1.LockResponse, error){
		"TryLock": func() (*ldlmv1.LockResponse, error) { return c.TryLock(t.Context(), try(long)) },
		"Lock":    func() (*ldlmv1.LockResponse, error) { return c.Lock(t.Context(), want(long)) },
	} {
		r, err := call()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e := r.GetError()
		if r.GetLocked() || e.GetCode() != ldlmv1.ErrorCode_Unknown || !strings.Contains(e.GetMessage(), "65536") {
			t.Errorf("%s: locked %v, error %v; want one that names the limit", name, r.GetLocked(), e)
		}
		if r.GetName() != long {
			t.Errorf("%s: the name in the answer is not the one asked for", name)
		}
	}
	u, err := c.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: long})
	if err != nil || u.GetError().GetCode() != ldlmv1.ErrorCode_LockDoesNotExist {
		t.Errorf("Unlock: %v, %v; want that there is no such lock", u.GetError(), err)
	}
}

// TestManyWaitingCallsOnOneConnection: they keep nobody from being served, and
// are served in their order.
func TestManyWaitingCallsOnOneConnection(t *testing.T) {
	const n = 500
	h := open(t)
	c := h.client()
	key := c.take("busy")
	calls := make([]*pending, n)
	for i := range calls {
		calls[i] = c.start(want("busy"))
		h.until("busy", waiters(i+1))
	}
	c.release("other", c.take("other"))
	if r := c.renew("busy", key, 1); r.GetLocked() {
		t.Error("a grant without a timer was renewed")
	}
	for i, call := range calls {
		c.release("busy", key)
		r, err := call.wait()
		if err != nil || !r.GetLocked() {
			t.Fatalf("waiter %d: %v, %v", i, r, err)
		}
		key = r.GetKey()
	}
}

// TestManyWaitingLocksOnOneConnection is the same with a lock for each call.
func TestManyWaitingLocksOnOneConnection(t *testing.T) {
	const n = 500
	h := open(t)
	a, b := h.client(), h.client()
	calls := make([]*pending, n)
	for i := range calls {
		a.take(fmt.Sprint(i))
		calls[i] = b.start(want(fmt.Sprint(i)))
		h.until(fmt.Sprint(i), waiters(1))
	}
	b.release("other", b.take("other"))
	a.close()
	for i, call := range calls {
		if r, err := call.wait(); err != nil || !r.GetLocked() {
			t.Fatalf("waiter %d: %v, %v", i, r, err)
		}
	}
}

func TestClientsOwnEndings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		c := h.client()
		key := c.take("held")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := c.Lock(ctx, want("held")); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("past its deadline: %v", err)
		}
		if got := time.Since(begun); got != 3*time.Second {
			t.Errorf("the deadline of 3 s came after %v", got)
		}
		p := c.start(want("held"))
		synctest.Wait()
		p.cancel()
		if _, err := p.wait(); status.Code(err) != codes.Canceled {
			t.Errorf("cancelled: %v", err)
		}
		synctest.Wait()
		if got := h.counts().Waiters; got != 0 {
			t.Errorf("%d calls still wait", got)
		}
		c.release("held", key)
	})
}
