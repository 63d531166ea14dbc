package lock

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

// TestListPages reads all locks and sessions page by page, while locks come and go
// between the pages: one that lives throughout is listed exactly once.
func TestListPages(t *testing.T) {
	table, n, at := attached(t)
	caller := Caller{Session: n, Attach: at}
	acquire := func(name string) {
		one(table, &Acquire{Caller: caller, Items: []Item{{Name: name}}, Key: Key{1}})
	}
	const locks = 3 * maxScan
	for i := range locks {
		acquire(fmt.Sprintf("stays-%d", i))
		acquire(fmt.Sprintf("goes-%d", i))
	}
	for _, limit := range []int{0, 1000, 1 << 30} {
		seen, pages := map[string]int{}, 0
		for after := uint64(0); ; pages++ {
			page, next := table.List(LockFilter{Prefix: "stays-"}, after, limit, 0, 0)
			if len(page) > max(limit, 1) {
				t.Fatalf("a page of %d with limit %d", len(page), limit)
			}
			for _, v := range page {
				seen[v.Name]++
			}
			if after = next; after == 0 {
				break
			}
			one(table, &Release{Caller: caller, Hold: Hold{Name: fmt.Sprintf("goes-%d", pages%locks), Key: Key{1}}})
			one(table, &Collect{Max: 1})
			acquire(fmt.Sprintf("comes-%d", pages))
		}
		if len(seen) != locks || slices.Max(slices.Collect(maps.Values(seen))) != 1 {
			t.Errorf("limit %d: %d locks listed in %d pages, want %d once each", limit, len(seen), pages, locks)
		}
		if limit == 1<<30 && pages < 4 {
			t.Errorf("%d pages: one call looked at more than %d rows", pages, maxScan)
		}
	}
}

// TestListStates selects locks by what is going on at them.
func TestListStates(t *testing.T) {
	table, n, at := attached(t)
	caller := Caller{Session: n, Attach: at}
	for _, c := range []Command{
		&Acquire{Caller: caller, Items: []Item{{Name: "held"}}, Key: Key{1}},
		&Acquire{Caller: caller, Items: []Item{{Name: "idle"}}, Key: Key{1}},
		&Release{Caller: caller, Hold: Hold{Name: "idle", Key: Key{1}}},
		&Acquire{Caller: caller, Items: []Item{{Name: "contended"}}, Key: Key{1}},
		&Acquire{Caller: Caller{Session: n, Attach: at, Seq: 1}, Items: []Item{{Name: "contended"}, {Name: "free"}}, Key: Key{2}, Wait: Forever},
	} {
		one(table, c)
	}
	for _, test := range []struct {
		state LockState
		want  []string
	}{
		{AnyState, []string{"held", "idle", "contended", "free"}},
		{HeldState, []string{"held", "contended"}},
		{ContendedState, []string{"contended", "free"}},
		{IdleState, []string{"idle"}},
	} {
		page, _ := table.List(LockFilter{State: test.state}, 0, 100, 0, 0)
		var got []string
		for _, v := range page {
			got = append(got, v.Name)
			if v.Holders != nil || v.Waiters != nil {
				t.Errorf("%s lists holders that were not asked for", v.Name)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("state %d: %q, want %q", test.state, got, test.want)
		}
	}
}

// TestReadSessions reads sessions: all of them, one, its holds, and who is
// attached where.
func TestReadSessions(t *testing.T) {
	w := newWorld(10)
	w.hold(0, 5, 0)
	calls := w.do(&Open{Secret: SecretHash{9, 9}, Value: []byte("v")})
	w.do(&Detach{Session: w.sessions[3].Session, Attach: w.sessions[3].Attach})
	moved := w.do(&Open{Secret: SecretHash{1, 2}, Incarnation: w.in}) // the third, once more

	var listed []SessionNumber
	for after, first := uint64(0), true; after != 0 || first; first = false {
		var page []SessionView
		page, after = w.ListSessions(after, 4)
		for _, v := range page {
			listed = append(listed, v.Number)
		}
	}
	if want := []SessionNumber{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}; !slices.Equal(listed, want) {
		t.Errorf("sessions %d, want %d", listed, want)
	}
	if v, ok := w.LookupSession(calls.Session); !ok || v.Attached || v.Left != 10*Second || string(v.Value) != "v" {
		t.Errorf("the session that lives by calls is %s, found %v", v, ok)
	}
	if _, ok := w.LookupSession(99); ok {
		t.Error("session 99 is found")
	}
	if got := len(w.HoldsOf(1, 3)); got != 3 {
		t.Errorf("%d of its holds, want 3", got)
	}
	if got := w.HoldsOf(99, 3); got != nil {
		t.Errorf("nobody has %v", got)
	}

	var attached []SessionNumber
	for n, at := range w.AttachedTo(w.in) {
		if attached = append(attached, n); !w.Attached(n, at, w.in) {
			t.Errorf("session %d is listed and not attached", n)
		}
	}
	if want := []SessionNumber{1, 2, 5, 6, 7, 8, 9, 10, moved.Session}; !slices.Equal(attached, want) {
		t.Errorf("attached are %d, want %d", attached, want)
	}
	for n := range w.AttachedTo(w.in) {
		if n != 1 {
			t.Errorf("after a break the list goes on with %d", n)
		}
		break
	}
	for range w.AttachedTo(99) {
		t.Error("somebody is attached to nothing")
	}
	for _, test := range []struct {
		n      SessionNumber
		attach uint64
		in     Incarnation
	}{
		{99, 1, w.in}, {1, 99, w.in}, {1, 1, 99}, {calls.Session, 0, w.in},
		{w.sessions[3].Session, w.sessions[3].Attach, w.in}, {w.sessions[2].Session, w.sessions[2].Attach, w.in},
	} {
		if w.Attached(test.n, test.attach, test.in) {
			t.Errorf("session %d counts as attached to %d under %d", test.n, test.in, test.attach)
		}
	}
}

// TestUnknownModes: enumerations from a newer client are refused, not guessed.
func TestUnknownModes(t *testing.T) {
	w := newWorld(1)
	c := w.sessions[0]
	o := w.do(&Acquire{Caller: c, Items: []Item{{Name: "x", Mode: Shared + 1}}, Key: Key{1}})
	if o.Code != Invalid || o.Field != FieldMode {
		t.Errorf("mode 2: %s", o.words())
	}
	if _, ok := w.Lookup("x", 1, 1); ok {
		t.Error("the lock was made")
	}
}

// TestWaitsOf reads what a session waits for: a request for several locks is
// there once for each.
func TestWaitsOf(t *testing.T) {
	w := newWorld(2)
	w.hold(0, 1, 0)
	waiter := w.sessions[1]
	for slot, names := range [][]string{{"held-00000000000", "b"}, {"held-00000000000"}} {
		c := &Acquire{Caller: waiter, Wait: Forever, Key: w.key()}
		c.Slot, c.Seq = uint32(slot), 1
		for _, n := range names {
			c.Items = append(c.Items, Item{Name: n})
		}
		if o := w.do(c); o.Code != Queued {
			t.Fatalf("%v: %v, want queued", names, o.Code)
		}
	}
	waits := func(most int) (got []string) {
		for _, v := range w.WaitsOf(waiter.Session, most) {
			got = append(got, fmt.Sprintf("%s/%d", v.Name, v.NumNames))
		}
		return got
	}
	if got, want := waits(10), []string{"held-00000000000/2", "b/2", "held-00000000000/1"}; !slices.Equal(got, want) {
		t.Errorf("it waits for %v, want %v", got, want)
	}
	if got := len(waits(2)); got != 2 {
		t.Errorf("%d of its waits, want 2", got)
	}
	if got := w.WaitsOf(w.sessions[0].Session, 10); got != nil {
		t.Errorf("the holder waits for %v", got)
	}
	if got := w.WaitsOf(99, 10); got != nil {
		t.Errorf("nobody waits for %v", got)
	}
}

// TestBurden counts what a session has to lose.
func TestBurden(t *testing.T) {
	w := newWorld(2)
	w.hold(0, 3, 0)
	c := &Acquire{Caller: w.sessions[1], Wait: Forever, Key: w.key(), Items: []Item{{Name: "held-00000000000"}, {Name: "b"}}}
	c.Slot, c.Seq = 1, 1
	if o := w.do(c); o.Code != Queued {
		t.Fatal(o.words())
	}
	for n, want := range map[SessionNumber]int{w.sessions[0].Session: 3, w.sessions[1].Session: 2, 99: 0} {
		if got := w.Burden(n); got != want {
			t.Errorf("session %d: %d, want %d", n, got, want)
		}
	}
}

// TestWouldQueue tells requests that certainly wait from those that may be granted.
func TestWouldQueue(t *testing.T) {
	w := newWorld(3)
	ask := func(session int, wait Duration, names ...string) *Acquire {
		c := &Acquire{Caller: w.sessions[session], Wait: wait, Key: w.key()}
		c.Slot, c.Seq = 1, 1
		for _, name := range names {
			c.Items = append(c.Items, Item{Name: name})
		}
		return c
	}
	waits := func(want bool, session int, wait Duration, names ...string) {
		t.Helper()
		if got := w.WouldQueue(ask(session, wait, names...)); got != want {
			t.Errorf("%v of session %d: %v, want %v", names, session, got, want)
		}
	}
	waits(false, 0, Forever, "a")
	if o := w.do(ask(0, Forever, "a")); o.Code != OK {
		t.Fatal(o.words())
	}
	waits(false, 1, Forever, "a") // which is free as soon as it is released
	if o := w.do(ask(1, Forever, "a")); o.Code != Queued {
		t.Fatal(o.words())
	}
	waits(true, 2, Forever, "a")
	waits(true, 2, Second, "b", "a")
	waits(false, 2, 0, "a")       // which is refused
	waits(false, 0, Forever, "a") // whose session may release what it has next
	waits(false, 1, Forever, "a") // or give its place up
	waits(false, 2, Forever, "b")
}
