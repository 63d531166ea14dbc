package lock

import "testing"

// TestBlockerOfManyDelays: a refusal looks at a bounded number of holders, however
// many lock delays keep a lock shut.
func TestBlockerOfManyDelays(t *testing.T) {
	const holds = 2 * mostLookedAt
	table := New()
	for i := range holds {
		delay := 2 * Second
		if i >= mostLookedAt {
			delay = 30 * Second
		}
		o := one(table, &Acquire{
			Items: []Item{{Name: "a", Size: holds}}, Lease: Second, LockDelay: delay, Key: Key{1, byte(i)},
		})
		if o.Code != OK {
			t.Fatalf("acquire: %v", o.Code)
		}
	}
	table.Apply(Entry{Elapsed: Second})
	o := one(table, &Acquire{Items: []Item{{Name: "a"}}, Lease: Second, Key: Key{2}})
	if o.Code != Held || o.Blocker == nil || o.Blocker.DelayLeft != 2*Second || o.Blocker.Holders != holds {
		t.Errorf("refused with %v and %+v; want the delay of the oldest", o.Code, o.Blocker)
	}
}
