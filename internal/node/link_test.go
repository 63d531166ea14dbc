package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// brief renders notices without what differs from run to run.
func brief(notices []Notice) string {
	s := ""
	for _, x := range notices {
		switch x.Kind {
		case Answer:
			s += fmt.Sprintf("answer %d/%d code %d; ", x.Slot, x.Seq, x.Outcome.Code)
		case Lost:
			s += fmt.Sprintf("lost %s reason %d; ", x.Name, x.Reason)
		case Revoked:
			s += fmt.Sprintf("revoked %s; ", x.Name)
		case SessionEnd:
			s += fmt.Sprintf("end reason %d; ", x.Reason)
		}
	}
	return s
}

func wantNotices(t *testing.T, got []Notice, want string) {
	t.Helper()
	if b := brief(got); b != want {
		t.Errorf("got notices %q, want %q", b, want)
	}
}

// The answers of a batch are in the mailbox when Submit returns, in order, and
// wake nobody; the batch is one entry.
func TestSubmitAnswersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		before := h.desk.len()
		got := h.submit(l, ask(l, 0, 1, "a"), ask(l, 1, 1, "b"), ask(l, 2, 1, "a"), queue(l, 3, 1, "b"))
		wantNotices(t, got, fmt.Sprintf("answer 0/1 code %d; answer 1/1 code %d; answer 2/1 code %d; answer 3/1 code %d; ",
			lock.OK, lock.OK, lock.Held, lock.Queued))
		if n := h.desk.count(before, &lock.Acquire{}); n != 1 {
			t.Errorf("%d entries, want one", n)
		}
		if len(l.Wake()) != 0 {
			t.Error("woken for answers that Submit has brought")
		}
		if err := l.Submit(context.Background(), nil); err != nil {
			t.Errorf("an empty batch: %v", err)
		}
	})
}

// A request that is settled later comes into the mailbox of its session, and
// wakes; so do the end of a wait and a grant by the end of somebody else's hold.
func TestSettledComesToTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		holder, l := h.link(1), h.link(2)
		o := h.acquire(holder, 0, "a")
		impatient := queue(l, 1, 1, "a")
		impatient.Wait = lock.Second
		h.submit(l, queue(l, 0, 1, "a"), impatient)
		start := time.Now()
		wantNotices(t, h.await(l), fmt.Sprintf("answer 1/1 code %d; ", lock.WaitTimeout))
		if got := time.Since(start); got != time.Second {
			t.Errorf("the wait was over after %v, want 1s", got)
		}
		h.submit(holder, release(holder, 0, 2, "a", o.Token))
		wantNotices(t, h.await(l), fmt.Sprintf("answer 0/1 code %d; ", lock.OK))
	})
}

// What a batch of one's own settles is there when Submit returns.
func TestOwnReleaseGrantsOwnWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		o := h.acquire(l, 0, "a")
		h.submit(l, queue(l, 1, 1, "a"))
		got := h.submit(l, release(l, 0, 2, "a", o.Token))
		wantNotices(t, got, fmt.Sprintf("answer 0/2 code %d; answer 1/1 code %d; ", lock.OK, lock.OK))
		if len(l.Wake()) != 0 {
			t.Error("woken for what Submit has brought")
		}
	})
}

// What an entry brings is told of to the last when nobody waits for it any more: who
// was told of its first notice may have taken that before the others are there.
func TestLateEntriesAreToldOfToTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		o := h.acquire(l, 0, "a")
		h.submit(l, queue(l, 1, 1, "a"))
		told := 0
		l.Notify(func() { told = len(l.box) }) // called with the mutex held
		h.desk.rule(only(&lock.Release{}, delay))
		wantError(t, l.Submit(context.Background(), []lock.Command{release(l, 0, 2, "a", o.Token)}), journal.ErrUnknown)
		h.desk.late()
		got := l.Take(nil)
		wantNotices(t, got, fmt.Sprintf("answer 0/2 code %d; answer 1/1 code %d; ", lock.OK, lock.OK))
		if told != len(got) {
			t.Errorf("told of %d notices, there are %d", told, len(got))
		}
	})
}

// The end of the session is the last notice, and ends the link.
func TestSessionEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		end    func(h *house, l *Link)
		reason lock.EndReason
	}{
		"closed":   {func(h *house, l *Link) { h.call(&lock.Close{Caller: caller(l, 0, 0)}) }, lock.SessionClosed},
		"killed":   {func(h *house, l *Link) { h.call(&lock.Kill{Session: l.Session()}) }, lock.Forced},
		"disowned": {func(h *house, l *Link) { h.call(&lock.Disown{Session: l.Session()}) }, lock.SessionClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := openHouse(t, Config{})
				l := h.link(1)
				tt.end(h, l)
				wantNotices(t, h.await(l), fmt.Sprintf("end reason %d; ", tt.reason))
				<-l.Ended()
				var ended *SessionEndedError
				if err := l.Reason(); !errors.As(err, &ended) || ended.Reason != tt.reason {
					t.Errorf("the link ended because %v", err)
				}
				if _, ok := l.Confirm(); ok {
					t.Error("a keep-alive of an ended session was confirmed")
				}
				err := l.Submit(context.Background(), []lock.Command{ask(l, 0, 1, "a")})
				wantError(t, err, journal.ErrRefused)
				before := h.desk.len()
				l.Detach(0, true)
				synctest.Wait()
				if n := h.desk.count(before, &lock.Detach{}); n != 0 {
					t.Error("the end of a connection without a session was proposed")
				}
			})
		})
	}
}

// After Detach nothing leaves the mailbox and nothing is confirmed, even before
// the table knows; then the session runs out.
func TestDetach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		holder, l := h.link(1), h.link(2)
		o := h.acquire(holder, 0, "a")
		h.acquire(l, 0, "b")
		h.submit(l, queue(l, 1, 1, "a"))
		if valid, ok := l.Confirm(); !ok || valid != (10*time.Second*100/112).Truncate(time.Microsecond) {
			t.Errorf("confirm: %v, %v; want 10s/1.12", valid, ok)
		}
		if err := l.Submit(context.Background(), []lock.Command{ask(l, 2, 1, "a")}); err != nil {
			t.Fatal(err) // its answer is in the mailbox
		}
		h.desk.rule(only(&lock.Detach{}, refuse))
		l.Detach(4*time.Second, false)
		l.Detach(0, true)
		h.submit(holder, release(holder, 0, 2, "a", o.Token)) // grants it, unheard
		wantNotices(t, l.Take(nil), "")
		if _, ok := l.Confirm(); ok {
			t.Error("confirmed after Detach")
		}
		<-l.Ended()
		wantError(t, l.Reason(), ErrDetached)
		elapse(time.Minute)
		h.wantHeld("b", 1, 0) // the table still counts it as attached
		start := time.Now()
		h.desk.rule(nil)
		expired := h.watchForExpiry("b")
		expired()
		// At most a pause until it is proposed again, then what is left of the ttl.
		if got := time.Since(start); got < 6*time.Second || got > 6*time.Second+lastPause {
			t.Errorf("the session ended %v after the table could be told, want 6s", got)
		}
		if n := h.desk.count(0, &lock.Detach{}); n != 1 {
			t.Errorf("%d detaches, want one", n)
		}
	})
}

// What the table does not count as attached is not confirmed, whatever the node
// believes.
func TestConfirmLooksAtTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.mu.Lock()
		h.table.Apply(lock.Entry{Term: 1, StampTerm: 1, Commands: []lock.Command{
			&lock.Detach{Session: l.Session(), Attach: l.Number()},
		}})
		h.mu.Unlock()
		if _, ok := l.Confirm(); ok {
			t.Error("confirmed")
		}
	})
}

// A session that ends with its connection passes its locks on at once.
func TestDetachEndsSessionAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.linkAs(&lock.Open{Secret: lock.SecretHash{1}, OnEnd: lock.OnEndClose})
		next := h.link(2)
		h.acquire(l, 0, "a")
		h.submit(next, queue(next, 0, 1, "a"))
		start := time.Now()
		l.Detach(0, true)
		wantNotices(t, h.await(next), fmt.Sprintf("answer 0/1 code %d; ", lock.OK))
		if got := time.Since(start); got != 0 {
			t.Errorf("the lock was passed on after %v", got)
		}
	})
}

// What ended before a keep-alive is confirmed is in the mailbox by then.
func TestNoticesPrecedeConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		const rounds = 200
		tokens := make(chan lock.Token)
		go func() {
			for token := range tokens {
				h.call(&lock.ForceRelease{Name: "a", Token: token})
			}
		}()
		for i := range uint64(rounds) {
			got := h.submit(l, ask(l, 0, i+1, "a"))
			tokens <- got[len(got)-1].Outcome.Token
			for lost := false; !lost; {
				if _, ok := l.Confirm(); !ok {
					t.Fatal("not confirmed")
				}
				gone, _ := h.held("a")
				told := l.Take(nil)
				// Confirmed after the end: the notice is there.
				if _, ok := l.Confirm(); ok && gone == 0 {
					told = append(told, l.Take(nil)...)
					if len(told) != 1 || told[0].Kind != Lost {
						t.Fatalf("round %d: the hold is gone, but the mailbox had %q", i, brief(told))
					}
				}
				lost = len(told) > 0
			}
		}
		close(tokens)
	})
}

// Answers that come after Submit has given up wake, and are those of the batch.
func TestLateAnswersWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.desk.rule(only(&lock.Acquire{}, delay))
		err := l.Submit(context.Background(), []lock.Command{ask(l, 0, 1, "a")})
		wantError(t, err, journal.ErrUnknown)
		<-l.Wake() // Submit tells that it has given up
		wantNotices(t, l.Take(nil), "")
		h.desk.rule(nil)
		h.desk.late()
		wantNotices(t, h.await(l), "answer 0/1 code 0; ")

		h.desk.rule(only(&lock.Acquire{}, refuse))
		err = l.Submit(context.Background(), []lock.Command{ask(l, 1, 1, "b")})
		wantError(t, err, journal.ErrRefused)
		h.wantHeld("b", 0, 0)
	})
}

// Batches of several links in one entry: each gets its own answers.
func TestBatchesInOneEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		const links = 5
		var l [links]*Link
		for i := range l {
			l[i] = h.link(byte(i + 1))
		}
		h.desk.rule(only(&lock.Acquire{}, gather))
		var got [links][]Notice
		done := make(chan struct{}, links)
		for i := range l {
			go func() {
				got[i] = h.submit(l[i], ask(l[i], 0, 1, fmt.Sprint(i)), queue(l[i], 1, 1, "shared"))
				done <- struct{}{}
			}()
			synctest.Wait()
		}
		before := h.desk.len()
		h.desk.flush()
		for range links {
			<-done
		}
		if n := h.desk.count(before, nil); n != 1 {
			t.Fatalf("%d entries, want one", n)
		}
		for i := range l {
			code := lock.Queued
			if i == 0 {
				code = lock.OK
			}
			wantNotices(t, got[i], fmt.Sprintf("answer 0/1 code 0; answer 1/1 code %d; ", code))
			if len(l[i].Wake()) != 0 {
				t.Errorf("link %d was woken for what Submit has brought", i)
			}
		}
	})
}

// A muted link is told nothing but its end.
func TestMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		o := h.acquire(l, 0, "a")
		l.Mute()
		h.call(&lock.ForceRelease{Name: "a", Token: o.Token})
		synctest.Wait()
		if len(l.Wake()) != 0 {
			t.Error("a muted link was woken")
		}
		wantNotices(t, l.Take(nil), "")
		h.call(&lock.Kill{Session: l.Session()})
		<-l.Ended()
	})
}

// Take gives the mailbox's memory away for an empty slice, and appends to one
// that is not.
func TestTake(t *testing.T) {
	l := newLink(nil)
	l.put(Notice{Slot: 1}, true)
	first := l.Take(make([]Notice, 0, 4))
	l.put(Notice{Slot: 2}, true)
	l.put(Notice{Slot: 3}, true)
	if len(first) != 1 || first[0].Slot != 1 {
		t.Errorf("first: got %+v, want slot 1 alone", first)
	}
	both := l.Take(first)
	if len(both) != 3 || both[0].Slot != 1 || both[2].Slot != 3 {
		t.Errorf("appended: got %+v, want slots 1, 2, 3", both)
	}
	if rest := l.Take(nil); len(rest) != 0 {
		t.Errorf("left over: %+v", rest)
	}
}

// The ends of sessions that have much come in entries of their own, those of others
// together.
func TestClerkBoundsEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		holder := h.link(1)
		h.acquire(holder, 0, "a")
		var detaches []lock.Command
		for i, waits := range []int{3000, 1000, 0, 5000, 5000, 0} {
			l := h.link(byte(2 + i))
			var batch []lock.Command
			for slot := range waits {
				batch = append(batch, queue(l, uint32(slot), 1, "a"))
			}
			h.submit(l, batch...)
			detaches = append(detaches, &lock.Detach{Session: l.Session(), Attach: l.Number()})
		}
		var got []int
		for rest := detaches; len(rest) > 0; {
			n := h.fewEnough(rest)
			got = append(got, n)
			rest = rest[n:]
		}
		if want := []int{3, 1, 1, 1}; !slices.Equal(got, want) {
			t.Errorf("entries of %v detaches, want %v", got, want)
		}
	})
}
