package ldlm

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// oneByOne makes so many calls that come one by one that callers read their
// answers themselves.
func oneByOne(t *testing.T, c *Client, conn *fakeConn) {
	t.Helper()
	for i := range uint64(standByAfter) {
		result := lockAsync(t.Context(), c, "one by one")
		conn.grant(conn.op(), 1000+i)
		l := mustLock(t, result)
		done := releaseAsync(t, l)
		conn.ok(conn.op())
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
	if got := turnOf(c); got != ofNobody {
		t.Fatalf("after %d calls one by one the turn to read is %d, want it to be nobody's", 2*standByAfter, got)
	}
}

func releaseAsync(t *testing.T, l *Lock) <-chan error {
	done := make(chan error, 1)
	go func() { done <- l.Release(t.Context()) }()
	return done
}

func turnOf(c *Client) turnToRead {
	s := c.openSessions()[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link.reading.turn
}

// standingBy opens a session in which callers read their answers themselves, and
// which has a lock.
func standingBy(t *testing.T, opts ...DialOption) (*fakeServer, *Client, *fakeConn, *Lock) {
	t.Helper()
	srv := newFakeServer(t)
	c := srv.client(opts...)
	conn, l := openWithLock(t, srv, c, "held", 100)
	oneByOne(t, c, conn)
	return srv, c, conn, l
}

func TestCallersReadTheirAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, conn, _ := standingBy(t)
		result := lockAsync(t.Context(), c, "x")
		op := conn.op()
		synctest.Wait()
		if got := turnOf(c); got != ofCaller {
			t.Errorf("while the only call is under way the turn to read is %d, want the caller's", got)
		}
		conn.grant(op, 2000)
		l := mustLock(t, result)
		if got := turnOf(c); l.Token() != 2000 || got != ofNobody {
			t.Errorf("token %d, turn %d; want 2000 and nobody's", l.Token(), got)
		}
	})
}

func TestNoticeIsReadThoughNobodyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, conn, l := standingBy(t)
		start := time.Now()
		conn.send(&ldlmv2.ServerFrame{Lost: []*ldlmv2.Lost{{
			Name: "held", Token: 100, Reason: ldlmv2.EndReason_END_REASON_FORCED,
		}}})
		<-l.Done()
		if got := time.Since(start); got > 2*lastLook {
			t.Errorf("the loss was read after %s, want at most two looks of %s", got, lastLook)
		}
		wantLost(t, l, ReasonForced)
	})
}

func TestContextEndsWhileCallerReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, conn, _ := standingBy(t)
		const patience = 100 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		start := time.Now()
		result := lockAsync(ctx, c, "x")
		op := conn.op()
		r := <-result
		if got := time.Since(start); !errors.Is(r.err, context.DeadlineExceeded) || got != patience {
			t.Errorf("after %s: %v; want the deadline's error after %s", got, r.err, patience)
		}
		if cancel := conn.op(); cancel.Cancel == nil || cancel.GetSlot() != op.GetSlot() {
			t.Errorf("%v follows, want the call's cancel", cancel)
		}
	})
}

func TestContextEndsJustAfterCallerBeganToRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, conn, _ := standingBy(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
		defer cancel()
		start := time.Now()
		result := lockAsync(ctx, c, "x")
		conn.op()
		r := <-result
		if got := time.Since(start); !errors.Is(r.err, context.DeadlineExceeded) || got > 2*lastLook {
			t.Errorf("after %s: %v; want the deadline's error within two looks of %s", got, r.err, lastLook)
		}
	})
}

func TestQueuedCallerReadsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, conn, _ := standingBy(t)
		result := lockAsync(t.Context(), c, "x")
		op := conn.op()
		conn.answer(op, ldlmv2.Code_CODE_QUEUED)
		synctest.Wait()
		if got := turnOf(c); got != ofReader {
			t.Errorf("while a call waits the turn to read is %d, want the read goroutine's", got)
		}
		conn.grant(op, 2000)
		if l := mustLock(t, result); l.Token() != 2000 {
			t.Errorf("token %d, want 2000", l.Token())
		}
	})
}

func TestCallerReadsForOthersToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, conn, _ := standingBy(t)
		first := lockAsync(t.Context(), c, "x")
		opFirst := conn.op()
		second := lockAsync(t.Context(), c, "y")
		opSecond := conn.op()
		conn.grant(opSecond, 2001)
		mustLock(t, second)
		conn.grant(opFirst, 2002)
		mustLock(t, first)
		third, fourth := lockAsync(t.Context(), c, "z"), lockAsync(t.Context(), c, "z2")
		conn.grant(conn.op(), 2003)
		conn.grant(conn.op(), 2004)
		mustLock(t, third)
		mustLock(t, fourth)
	})
}

func TestConnectionBreaksWhileCallerReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, c, conn, _ := standingBy(t)
		result := lockAsync(t.Context(), c, "x")
		op := conn.op()
		synctest.Wait()
		conn.raw.Close()
		conn = srv.resume(100)
		again := conn.op()
		if again.GetSlot() != op.GetSlot() || again.GetSeq() != op.GetSeq() {
			t.Errorf("%v is asked after the resumption, want %v again", again, op)
		}
		conn.grant(again, 2000)
		if l := mustLock(t, result); l.Token() != 2000 {
			t.Errorf("token %d, want 2000", l.Token())
		}
	})
}

func TestCloseWhileCallersRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, conn, l := standingBy(t)
		start := time.Now()
		closed := make(chan error, 1)
		go func() { closed <- c.Close() }()
		if f := conn.frame(); f.Close == nil {
			t.Fatalf("%v comes, want a close", f)
		}
		conn.send(&ldlmv2.ServerFrame{End: &ldlmv2.Status{Code: ldlmv2.Code_CODE_OK}})
		if err := <-closed; err != nil || time.Since(start) != 0 {
			t.Errorf("Close after %s: %v; want it at once, without error", time.Since(start), err)
		}
		if err := l.Err(); !errors.Is(err, ErrReleased) {
			t.Errorf("the lock ended with %v, want ErrReleased", err)
		}
	})
}
