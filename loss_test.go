package ldlm

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

type lockResult struct {
	lock *Lock
	err  error
}

// lockAsync asks for a lock and does not wait.
func lockAsync(ctx context.Context, c *Client, name string, opts ...LockOption) <-chan lockResult {
	result := make(chan lockResult, 1)
	go func() {
		l, err := c.Lock(ctx, name, opts...)
		result <- lockResult{l, err}
	}()
	return result
}

// mustLock is the lock of a result.
func mustLock(t *testing.T, result <-chan lockResult) *Lock {
	t.Helper()
	r := <-result
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.lock
}

// openWithLock opens the client's session with a first lock.
func openWithLock(t *testing.T, srv *fakeServer, c *Client, name string, token uint64, opts ...LockOption) (*fakeConn, *Lock) {
	t.Helper()
	result := lockAsync(context.Background(), c, name, opts...)
	conn := srv.open()
	conn.grant(conn.op(), token)
	return conn, mustLock(t, result)
}

// wantLost checks that a hold was lost for a reason.
func wantLost(t *testing.T, l *Lock, reason EndReason) {
	t.Helper()
	var lost *LostError
	if err := l.Err(); !errors.As(err, &lost) || !errors.Is(err, ErrLost) {
		t.Fatalf("Err() = %v, want a LostError", err)
	}
	if lost.Reason != reason {
		t.Errorf("lost because %s, want: %s", lost.Reason, reason)
	}
	select {
	case <-l.Done():
	default:
		t.Error("Done is open, want it closed after a loss")
	}
}

func TestLossAtExactlyValidFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 100)
		ctx := l.Context(t.Context())
		conn.setBeats(false)
		srv.setRefuse(errors.New("down"))

		pass(testGoodFor - 1)
		if err := l.Err(); err != nil {
			t.Fatalf("a nanosecond before the end: %v", err)
		}
		<-l.Done()
		if got := time.Since(start); got != testGoodFor {
			t.Errorf("lost after %s, want %s", got, testGoodFor)
		}
		<-ctx.Done()
		var lost *LostError
		if err := context.Cause(ctx); !errors.As(err, &lost) || !errors.Is(err, ErrLost) {
			t.Fatalf("cause is %v, want a LostError", err)
		}
		if lost.Reason != ReasonUnconfirmed || lost.Token != 100 || !lost.LastRenewed.Equal(start) {
			t.Errorf("lost %+v, want reason unconfirmed, token 100, last renewed %s", lost, start)
		}
	})
}

func TestKeepAliveCountsFromItsSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1)
		conn.setBeats(false)
		srv.setRefuse(errors.New("down"))

		pass(testBeat + time.Second) // the first keep-alive was sent a second ago
		conn.confirm(1, testGoodFor)
		<-l.Done()
		if got, want := time.Since(start), testBeat+testGoodFor; got != want {
			t.Errorf("lost after %s, want %s: sending plus valid_for", got, want)
		}
	})
}

func TestConfirmationOfUnknownNumberCountsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1)
		conn.setBeats(false)
		srv.setRefuse(errors.New("down"))
		pass(time.Second)
		conn.confirm(99, testGoodFor)
		<-l.Done()
		if got := time.Since(start); got != testGoodFor {
			t.Errorf("lost after %s, want %s", got, testGoodFor)
		}
	})
}

// A machine that sleeps does not run timers, and its monotonic clock stands
// still; the loss is known all the same as soon as anybody asks.
func TestLossWhileSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		suspend := suspendable(c)
		conn, l := openWithLock(t, srv, c, "x", 1)
		pass(time.Second)
		if err := l.Err(); err != nil {
			t.Fatal(err)
		}
		conn.setBeats(false)
		suspend(testTTL)
		wantLost(t, l, ReasonUnconfirmed)
	})
}

// After a suspend the first thing to arrive may be an answer that was under way.
func TestAnswersAfterSuspendDoNotRevive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		suspend := suspendable(c)
		conn, l := openWithLock(t, srv, c, "x", 1)
		conn.setBeats(false)
		pass(testBeat)
		suspend(testTTL)
		conn.confirm(1, time.Hour)
		synctest.Wait()
		wantLost(t, l, ReasonUnconfirmed)
	})
}

func TestJeopardyAtTwoThirds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		start := time.Now()
		var told []time.Duration
		c := srv.client(WithHooks(Hooks{OnJeopardy: func(left time.Duration) {
			told = append(told, time.Since(start), left)
		}}))
		conn, l := openWithLock(t, srv, c, "x", 1)
		conn.setBeats(false)
		srv.setRefuse(errors.New("down"))
		<-l.Done()
		synctest.Wait()
		third := testGoodFor / 3
		if len(told) != 2 || told[0] != testGoodFor-third || told[1] != third {
			t.Errorf("told %v, want once: after %s with %s left", told, testGoodFor-third, third)
		}
	})
}

func TestLateAnswersDoNotReviveASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		conn.setBeats(false)
		waiting := lockAsync(t.Context(), c, "y", WaitAtMost(time.Minute))
		op := conn.op()
		conn.answer(op, ldlmv2.Code_CODE_QUEUED)
		srv.setRefuse(errors.New("down"))
		<-l.Done()
		conn.confirm(1, time.Hour)
		conn.grant(op, 2)
		if r := <-waiting; !errors.Is(r.err, ErrUnavailable) {
			t.Errorf("waiting lock: %v, %v; want no server", r.lock, r.err)
		}
		wantLost(t, l, ReasonUnconfirmed)
		if err := l.Release(t.Context()); !errors.Is(err, ErrLost) {
			t.Errorf("release of a lost lock: %v, want ErrLost", err)
		}
	})
}

// Nobody has refused: whoever asks for the error is not to believe that others hold it.
func TestWaitIsOverWhenNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		conn.setBeats(false)
		waiting := lockAsync(t.Context(), c, "y", WaitAtMost(time.Microsecond))
		conn.answer(conn.op(), ldlmv2.Code_CODE_QUEUED)
		srv.setRefuse(errors.New("down"))
		<-l.Done()
		if r := <-waiting; !errors.Is(r.err, ErrUnavailable) || errors.Is(r.err, ErrWaitTimeout) || !SafeToRetry(r.err) {
			t.Errorf("waiting lock: %v, %v; want no server, and safe to retry", r.lock, r.err)
		}
	})
}

func TestAfterLossAnotherSessionIsOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x")
		conn := srv.accept()
		first := conn.hello()
		conn.welcome()
		conn.grant(conn.op(), 1)
		l := mustLock(t, result)
		conn.setBeats(false)
		srv.setRefuse(errors.New("down"))
		<-l.Done()
		synctest.Wait()
		if _, ok := <-conn.frames; ok {
			t.Error("a frame came, want the end of the connection")
		}

		srv.setRefuse(nil)
		result = lockAsync(t.Context(), c, "x")
		conn = srv.accept()
		second := conn.hello()
		if second.GetSession() != 0 || bytes.Equal(first.GetSecret(), second.GetSecret()) {
			t.Errorf("second hello has session %d; want a new session with a new secret", second.GetSession())
		}
		conn.welcome()
		conn.grant(conn.op(), 2)
		if l := mustLock(t, result); l.Token() != 2 || l.Err() != nil {
			t.Errorf("token %d, %v; want 2, held", l.Token(), l.Err())
		}
		wantLost(t, l, ReasonUnconfirmed)
	})
}

func TestLostNotices(t *testing.T) {
	for _, test := range []struct {
		name   string
		lost   *ldlmv2.Lost
		reason EndReason
	}{
		{"forced", &ldlmv2.Lost{Name: "x", Token: 1, Reason: ldlmv2.EndReason_END_REASON_FORCED}, ReasonForced},
		{"released by key", &ldlmv2.Lost{Name: "x", Token: 1, Reason: ldlmv2.EndReason_END_REASON_RELEASED}, ReasonReleased},
		{"expired", &ldlmv2.Lost{Name: "x", Token: 1, Reason: ldlmv2.EndReason_END_REASON_EXPIRED}, ReasonExpired},
		{"new reason", &ldlmv2.Lost{Name: "x", Token: 1, Reason: 99}, ReasonUnknown},
		{"revoked", &ldlmv2.Lost{Name: "x", Token: 1, Revoked: true}, ReasonRevoked},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newFakeServer(t)
				var told []*LostError
				c := srv.client(WithHooks(Hooks{OnLost: func(_ *Lock, err *LostError) { told = append(told, err) }}))
				conn, l := openWithLock(t, srv, c, "x", 1)
				conn.send(&ldlmv2.ServerFrame{Lost: []*ldlmv2.Lost{test.lost, {Name: "y", Token: 5}}})
				<-l.Done()
				synctest.Wait()
				wantLost(t, l, test.reason)
				if len(told) != 1 || told[0].Reason != test.reason || told[0].Name != "x" {
					t.Errorf("told %v, want the loss of x once", told)
				}
			})
		})
	}
}

// What was revoked still has to be released, and the server waits for it.
func TestRevokedLockIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		told := 0
		c := srv.client(WithHooks(Hooks{OnLost: func(*Lock, *LostError) { told++ }}))
		conn, l := openWithLock(t, srv, c, "x", 1)
		gone := lockOn(t, c, conn, "gone", 2)
		for range 2 { // it is told again after a resume
			conn.send(&ldlmv2.ServerFrame{Lost: []*ldlmv2.Lost{
				{Name: "x", Token: 1, Revoked: true}, {Name: "gone", Token: 2, Revoked: true},
			}})
		}
		conn.send(&ldlmv2.ServerFrame{Lost: []*ldlmv2.Lost{{Name: "gone", Token: 2, Reason: 5}}})
		<-l.Done()
		synctest.Wait()
		wantLost(t, gone, ReasonRevoked)
		if err := gone.Release(t.Context()); !errors.Is(err, ErrLost) {
			t.Errorf("release of what has ended: %v, want ErrLost", err)
		}
		if told != 2 {
			t.Errorf("OnLost was called %d times, want once for each lock", told)
		}
		done := make(chan error, 1)
		go func() { done <- l.Release(t.Context()) }()
		op := conn.op()
		if r := op.GetRelease(); r.GetName() != "x" || r.GetToken() != 1 {
			t.Fatalf("op is %v, want the release of x under token 1", op)
		}
		conn.ok(op)
		if err := <-done; err != nil {
			t.Errorf("release: %v", err)
		}
	})
}

// The end of a grant can come in the very frame that brings it.
func TestGrantAndLossInOneFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x")
		conn := srv.open()
		op := conn.op()
		conn.send(&ldlmv2.ServerFrame{
			Answers: []*ldlmv2.Answer{{Slot: op.Slot, Seq: op.Seq, Code: ldlmv2.Code_CODE_OK, Token: 3, AtOnce: true}},
			Lost:    []*ldlmv2.Lost{{Name: "x", Token: 3, Reason: ldlmv2.EndReason_END_REASON_FORCED}},
		})
		wantLost(t, mustLock(t, result), ReasonForced)
	})
}

// about compares times that are computed from two clocks, one of them real.
func about(got, want time.Time) bool {
	return got.Sub(want).Abs() < time.Second
}

// A server that gives a token twice, or none, has made a mistake; nobody shall
// believe in what came of it.
func TestTokenGivenTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		for _, token := range []uint64{1, 0} {
			result := lockAsync(t.Context(), c, "y")
			conn.grant(conn.op(), token)
			if r := <-result; !errors.Is(r.err, ErrInternal) {
				t.Errorf("grant under token %d: %v, want ErrInternal", token, r.err)
			}
		}
		if err := l.Err(); err != nil || holds(c) != 1 {
			t.Errorf("the first hold: %v, %d locks in the books", err, holds(c))
		}
	})
}

// With much to tell at once, a notice can come before its grant.
func TestNoticeBeforeItsGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x")
		conn := srv.open()
		op := conn.op()
		conn.send(&ldlmv2.ServerFrame{Lost: []*ldlmv2.Lost{{Name: "x", Token: 3, Revoked: true}}})
		conn.grant(op, 3)
		wantLost(t, mustLock(t, result), ReasonRevoked)
		synctest.Wait()
		for _, s := range c.openSessions() {
			if len(s.early) != 0 {
				t.Errorf("%d notices are kept, want none", len(s.early))
			}
		}
	})
}

// A session is believed in from when its hello was sent, however late that is answered.
func TestBeliefCountsFromTheHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		go func() {
			conn := srv.accept()
			conn.hello()
			pass(2 * time.Second)
			conn.setBeats(false)
			srv.setRefuse(errors.New("down"))
			conn.welcome()
			conn.grant(conn.op(), 1)
		}()
		l, err := c.Lock(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		<-l.Done()
		if got := time.Since(start); got != testGoodFor {
			t.Errorf("lost after %s, want %s", got, testGoodFor)
		}
	})
}

// An answer to a keep-alive that was answered before says nothing.
func TestRepeatedConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1)
		conn.setBeats(false)
		srv.setRefuse(errors.New("down"))
		pass(testBeat + time.Second)
		conn.confirm(1, testGoodFor)
		pass(testBeat)
		conn.confirm(1, time.Hour)
		<-l.Done()
		if got, want := time.Since(start), testBeat+testGoodFor; got != want {
			t.Errorf("lost after %s, want %s", got, want)
		}
	})
}

func TestDeadlineMovesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1)
		if got, want := l.Deadline(), start.Add(testGoodFor); !about(got, want) {
			t.Errorf("deadline %s, want %s", got, want)
		}
		pass(testBeat)
		synctest.Wait()
		if got, want := l.Deadline(), start.Add(testBeat+testGoodFor); !about(got, want) {
			t.Errorf("deadline after a keep-alive %s, want %s", got, want)
		}
		go func() { conn.ok(conn.op()) }()
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := l.Deadline(); !got.IsZero() {
			t.Errorf("deadline of a released lock is %s, want none", got)
		}
	})
}
