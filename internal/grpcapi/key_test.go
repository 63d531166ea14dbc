package grpcapi

import (
	"testing"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/lockv1"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// FuzzKeys: a text is a key exactly if that key is written so. Everything else
// becomes a key that no hold has.
func FuzzKeys(f *testing.F) {
	for _, s := range []string{
		"", "x", "2a56ba52-fd02-4dd4-ae35-0c9990c16300", "2A56BA52-FD02-4DD4-AE35-0C9990C16300",
		"2a56ba52fd024dd4ae350c9990c16300", "{2a56ba52-fd02-4dd4-ae35-0c9990c16300}", "2a56ba52-fd02-4dd4-ae35-0c9990c1630g",
		"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "2a56ba52-fd02-4dd4-ae35_0c9990c16300",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k := sessionapi.ParseKey(s)
		if k.String() == s {
			return
		}
		if k[6]>>4 == 4 && k[8]>>6 == 2 {
			t.Fatalf("%q was read as %v, which could be somebody's key", s, k)
		}
		if got := lockv1.ShortKey(s); len(got) > 8 {
			t.Fatalf("of %q the log says %q", s, got)
		}
	})
}

// TestKeysOutsideSessions: one secret and request id make one key, in the form
// of a random UUID; another of either makes another key.
func TestKeysOutsideSessions(t *testing.T) {
	key := func(id, secret string) lock.Key {
		t.Helper()
		k, again, err := nameOf(&lock.Caller{RequestID: id}, []byte(secret))
		if err != nil || !again {
			t.Fatalf("%q, %q: %v, can be asked again: %v", id, secret, err, again)
		}
		return k
	}
	const mine, other = "sixteen bytes of", "another's secret"
	k := key("1", mine)
	if k != key("1", mine) {
		t.Error("the same request has two keys")
	}
	if k == key("2", mine) || k == key("1", other) {
		t.Error("two requests have one key")
	}
	if k[6]>>4 != 4 || k[8]>>6 != 2 || sessionapi.ParseKey(k.String()) != k {
		t.Errorf("%v is no UUID of version 4", k)
	}
	c := lock.Caller{}
	if k, again, err := nameOf(&c, nil); k != (lock.Key{}) || again || err != nil || c.RequestID == "" {
		t.Errorf("without an id: key %v, again %v, %v, id %q; want a name that only the server knows", k, again, err, c.RequestID)
	}
	for _, secret := range []string{"", "short", string(make([]byte, 65))} {
		if _, _, err := nameOf(&lock.Caller{RequestID: "1"}, []byte(secret)); err == nil {
			t.Errorf("a secret of %d bytes was taken", len(secret))
		}
	}
	if _, again, err := nameOf(&lock.Caller{Session: 1, RequestID: "1"}, nil); err != nil || !again {
		t.Errorf("in a session: again %v, %v", again, err)
	}
}

// TestEveryCodeHasARow: those of the lock table, and those of the protocol.
func TestEveryCodeHasARow(t *testing.T) {
	for n, name := range ldlmv2.Code_name {
		c := ldlmv2.Code(n)
		if _, ok := grpcCodes[c]; ok == (c == ldlmv2.Code_CODE_UNSPECIFIED) {
			t.Errorf("%s has a row: %v", name, ok)
		}
	}
	seen := 0
	for c := lock.OK; sessionapi.CodeOf(c) != ldlmv2.Code_CODE_UNSPECIFIED; c++ {
		if _, ok := grpcCodes[sessionapi.CodeOf(c)]; !ok {
			t.Errorf("%v has no row", c)
		}
		seen++
	}
	if seen <= int(lock.NotLeading) {
		t.Errorf("%d codes of the lock table were seen, the last is number %d", seen, lock.NotLeading)
	}
}
