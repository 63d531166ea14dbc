package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// lookup returns a lock that there must be.
func (h *house) lookup(name string) lock.LockView {
	h.t.Helper()
	v, ok, err := h.Lookup(context.Background(), name)
	if err != nil || !ok {
		h.t.Fatalf("look up %q: found %v, %v", name, ok, err)
	}
	return v
}

func (h *house) wantSpan(what string, got lock.Duration, want time.Duration) {
	h.t.Helper()
	if timeOf(got) != want {
		h.t.Errorf("%s: %v, want %v", what, timeOf(got), want)
	}
}

// While nothing happens the table's clock stands still, and readers see that time
// passes, whichever way they read.
func TestReadersSeeTimePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		ctx := context.Background()
		l := h.linkAs(&lock.Open{Secret: lock.SecretHash{1}, TTL: 25 * lock.Second})
		h.acquire(l, 0, "mine")
		h.submit(l, ask(l, 1, 1, "idle"))
		h.submit(l, release(l, 1, 2, "idle", h.lookup("idle").Holders[0].Token))
		h.call(outside("a", "", time.Hour, 0))
		waiting := queue(l, 2, 1, "a")
		waiting.Wait = spanOf(time.Minute)
		h.submit(l, waiting)
		l.Detach(0, false)
		synctest.Wait()
		then := h.now()
		elapse(3*time.Second + 17*time.Microsecond)
		if h.now() != then {
			t.Fatal("something has moved the table's clock: this test shows nothing")
		}
		const passed = 3*time.Second + 17*time.Microsecond

		v := h.lookup("a")
		h.wantSpan("age of a hold", v.Holders[0].Age, passed)
		h.wantSpan("its lease", v.Holders[0].LeaseLeft, time.Hour-passed)
		h.wantSpan("age of a wait", v.Waiters[0].Age, passed)
		h.wantSpan("its end", v.Waiters[0].GivesUp, time.Minute-passed)
		h.wantSpan("time that a lock is idle", h.lookup("idle").Idle, passed)
		if got := h.lookup("mine"); got.Idle != -1 || got.Holders[0].LeaseLeft != -1 {
			t.Errorf("a held lock is idle for %d, its lease without end has %d left, want -1", got.Idle, got.Holders[0].LeaseLeft)
		}
		holds, err := h.Holders(ctx, "a", 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		h.wantSpan("lease in a page of holders", holds[0].LeaseLeft, time.Hour-passed)
		listed, _, err := h.List(ctx, lock.LockFilter{Prefix: "a"}, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		h.wantSpan("lease in a listing", listed[0].Holders[0].LeaseLeft, time.Hour-passed)
		s, _, err := h.LookupSession(ctx, l.Session())
		if err != nil {
			t.Fatal(err)
		}
		h.wantSpan("what a session has left", s.Left, 25*time.Second-passed)
		h.wantSpan("its age", s.Age, passed)
		sessions, _, err := h.Sessions(ctx, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		h.wantSpan("what a listed session has left", sessions[0].Left, 25*time.Second-passed)
		own, waits, err := h.HoldsOf(ctx, l.Session(), 10)
		if err != nil {
			t.Fatal(err)
		}
		h.wantSpan("age of a session's hold", own[0].Age, passed)
		h.wantSpan("end of a session's wait", waits[0].GivesUp, time.Minute-passed)
	})
}

// The quiet time is seen to pass as well.
func TestQuietTimeIsSeenToPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{QuietStart: time.Minute})
		elapse(20 * time.Second)
		if got := h.QuietLeft(); got != 40*time.Second {
			t.Errorf("%v left after 20 s of a minute, want 40s", got)
		}
		elapse(time.Minute)
		if got := h.QuietLeft(); got != 0 {
			t.Errorf("%v left when it is over, want 0", got)
		}
	})
}

// A member that follows counts by its own clock since the last entry. What it still
// shows as held has 0 left at least, however long nothing comes.
func TestFollowerSeesTimePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		h.call(outside("a", "", 10*time.Second, 0))
		h.desk.loseLead(errors.New("by the test"))
		elapse(4 * time.Second)
		h.wantSpan("lease", h.lookup("a").Holders[0].LeaseLeft, 6*time.Second)
		elapse(time.Hour)
		v := h.lookup("a")
		h.wantSpan("lease after its time", v.Holders[0].LeaseLeft, 0)
		h.wantSpan("age", v.Holders[0].Age, time.Hour+4*time.Second)

		h.desk.takeLead() // which begins where the table is
		synctest.Wait()
		elapse(3 * time.Second)
		h.wantSpan("lease under the new lead", h.lookup("a").Holders[0].LeaseLeft, 7*time.Second)
	})
}

// A leader that stood still shows what it will stamp, not what its clock says.
func TestStallIsNotSeenAsTime(t *testing.T) {
	c := clock{limit: 500 * time.Millisecond}
	start := time.Now()
	c.start(start)
	c.applied = start
	c.look(start.Add(100*time.Millisecond), true)
	if got, want := c.behind(start.Add(time.Hour), true, true), 600*time.Millisecond; got != want {
		t.Errorf("with a deadline: %v behind, want %v", got, want)
	}
	c.look(start.Add(time.Hour), true)
	if got, want := c.behind(start.Add(time.Hour), true, true), 600*time.Millisecond; got != want {
		t.Errorf("after the look: %v behind, want %v", got, want)
	}
	if got := c.behind(start.Add(-time.Second), false, true); got != 0 {
		t.Errorf("a follower whose clock went back: %v behind, want 0", got)
	}
	if got := (&clock{}).behind(start, false, true); got != 0 {
		t.Errorf("before the first entry: %v behind, want 0", got)
	}
}
