package node

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// A newer link of the same session ends the older one, on which nothing may
// leave any more.
func TestNewerLinkSupersedes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		older := h.link(1)
		o := h.acquire(older, 0, "a")
		holder := h.link(2)
		h.acquire(holder, 0, "b")
		h.submit(older, queue(older, 1, 1, "b"))
		if err := older.Submit(context.Background(), []lock.Command{ask(older, 2, 1, "b")}); err != nil {
			t.Fatal(err) // its answer is in the mailbox
		}
		newer, resumed, err := h.Resume(context.Background(), &lock.Resume{
			Session: older.Session(), Secret: lock.SecretHash{1},
		})
		if err != nil || resumed.Alive == nil || len(resumed.Alive.Tokens) != 1 || resumed.Alive.Tokens[0] != o.Token {
			t.Fatalf("resume: %+v, %v; want the hold %d alive", resumed, err, o.Token)
		}
		<-older.Ended()
		wantError(t, older.Reason(), ErrSuperseded)
		if _, ok := older.Confirm(); ok {
			t.Error("a keep-alive on the older connection was confirmed")
		}
		// Asked again on the newer connection, it keeps its place, and nobody is
		// told that the older connection was superseded.
		wantNotices(t, h.submit(newer, queue(newer, 1, 1, "b")), fmt.Sprintf("answer 1/1 code %d; ", lock.Queued))
		h.call(&lock.Kill{Session: holder.Session()})
		wantNotices(t, h.await(newer), fmt.Sprintf("answer 1/1 code %d; ", lock.OK))
		wantNotices(t, older.Take(nil), "")
		before := h.desk.len()
		older.Detach(0, true)
		synctest.Wait()
		if n := h.desk.count(before, &lock.Detach{}); n != 0 {
			t.Error("the end of a superseded connection was proposed")
		}
		if err := newer.Reason(); err != nil {
			t.Errorf("the newer link ended: %v", err)
		}
	})
}

// What was asked on the older connection, and not again, is told on the newer one.
func TestNewerLinkInherits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		holder, older := h.link(1), h.link(2)
		o := h.acquire(holder, 0, "a")
		h.submit(older, queue(older, 0, 1, "a"))
		newer := h.link(2) // with the same secret
		h.submit(holder, release(holder, 0, 2, "a", o.Token))
		wantNotices(t, h.await(newer), fmt.Sprintf("answer 0/1 code %d; ", lock.OK))
	})
}

// The end of the older connection does not end the newer one, even if both are
// told in one entry.
func TestDetachAndResumeInOneEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		older := h.link(1)
		h.desk.rule(func(c lock.Command) ending {
			switch c.(type) {
			case *lock.Detach, *lock.Resume:
				return gather
			default:
				return pass
			}
		})
		older.Detach(0, false)
		synctest.Wait()
		resumed := make(chan *Link, 1)
		go func() {
			l, _, err := h.Resume(context.Background(), &lock.Resume{
				Session: older.Session(), Secret: lock.SecretHash{1},
			})
			if err != nil {
				t.Error(err)
			}
			resumed <- l
		}()
		synctest.Wait()
		h.desk.flush()
		newer := <-resumed
		if err := newer.Reason(); err != nil {
			t.Errorf("the newer link ended: %v", err)
		}
		if _, ok := newer.Confirm(); !ok {
			t.Error("not confirmed")
		}
	})
}
