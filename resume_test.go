package ldlm

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// sameRequest checks that an operation is the repetition of another.
func sameRequest(t *testing.T, got, want *ldlmv2.Op) {
	t.Helper()
	if got.GetSlot() != want.GetSlot() || got.GetSeq() != want.GetSeq() || got.String() != want.String() {
		t.Errorf("operation is %v, want the same again: %v", got, want)
	}
}

func TestResumeKeepsLocksAndPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		waits := 0
		c := srv.client(WithHooks(Hooks{OnWait: func(Wait) { waits++ }}))
		result := lockAsync(t.Context(), c, "x")
		conn := srv.accept()
		first := conn.hello()
		conn.welcome()
		conn.grant(conn.op(), 1)
		l := mustLock(t, result)
		waiting := lockAsync(t.Context(), c, "y")
		op := conn.op()
		conn.answer(op, ldlmv2.Code_CODE_QUEUED)
		synctest.Wait()
		conn.raw.Close()

		conn = srv.accept()
		hello := conn.hello()
		if hello.GetSession() != testSession || !bytes.Equal(hello.GetSecret(), first.GetSecret()) {
			t.Errorf("hello for session %d, same secret %t; want %d with the same secret",
				hello.GetSession(), bytes.Equal(hello.GetSecret(), first.GetSecret()), testSession)
		}
		conn.welcomeBack(1)
		again := conn.op()
		sameRequest(t, again, op)
		conn.answer(again, ldlmv2.Code_CODE_QUEUED)
		synctest.Wait()
		conn.grant(again, 2)
		if got := mustLock(t, waiting); got.Token() != 2 {
			t.Errorf("token %d, want 2", got.Token())
		}
		if err := l.Err(); err != nil {
			t.Errorf("lock held over the resume: %v", err)
		}
		if waits != 1 {
			t.Errorf("OnWait was called %d times, want once for one call", waits)
		}
	})
}

func TestWhatIsMissingAfterResumeIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, kept := openWithLock(t, srv, c, "kept", 1)
		gone := lockOn(t, c, conn, "gone", 2)
		conn.raw.Close()
		srv.resume(1)
		<-gone.Done()
		wantLost(t, gone, ReasonUnknown)
		if err := kept.Err(); err != nil {
			t.Errorf("lock that is alive: %v", err)
		}
	})
}

// lockOn takes a lock over a connection to the fake server.
func lockOn(t *testing.T, c *Client, conn *fakeConn, name string, token uint64, opts ...LockOption) *Lock {
	t.Helper()
	result := lockAsync(t.Context(), c, name, opts...)
	conn.grant(conn.op(), token)
	return mustLock(t, result)
}

func TestAliveInSeveralParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, a := openWithLock(t, srv, c, "a", 1)
		b := lockOn(t, c, conn, "b", 2)
		conn.raw.Close()
		conn = srv.accept()
		conn.hello()
		conn.sendWelcome(true)
		conn.send(&ldlmv2.ServerFrame{Alive: &ldlmv2.Alive{Tokens: []uint64{1}}})
		synctest.Wait()
		if a.Err() != nil || b.Err() != nil {
			t.Fatalf("before the last part: %v, %v", a.Err(), b.Err())
		}
		conn.send(&ldlmv2.ServerFrame{Alive: &ldlmv2.Alive{Tokens: []uint64{2}, Last: true}})
		synctest.Wait()
		if a.Err() != nil || b.Err() != nil {
			t.Errorf("after the last part: %v, %v", a.Err(), b.Err())
		}
	})
}

func TestUnansweredKeepAlivesResumeElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1)
		if got := srv.dials(); !slices.Equal(got, []string{"one:3144"}) {
			t.Fatalf("dialled %v", got)
		}
		conn.setBeats(false)
		second := srv.resume(1)
		took, want := time.Since(start), 2*testBeat
		if took != want {
			t.Errorf("resumed after %s, want %s: one keep-alive without an answer", took, want)
		}
		// Whoever has a command to stop begins that when this is left: a third to stop
		// it in, and a margin of a tenth.
		if stops := testGoodFor - testGoodFor/3 - testGoodFor/10; took >= stops {
			t.Errorf("resumed after %s, when commands are stopped already, after %s", took, stops)
		}
		if got := srv.dials(); !slices.Equal(got, []string{"two:3144"}) {
			t.Errorf("dialled %v, want the other address", got)
		}
		if got := conn.beatsSeen(); !slices.Equal(got, []uint64{1}) {
			t.Errorf("keep-alives %v, want 1", got)
		}
		pass(testTTL)
		if err := l.Err(); err != nil {
			t.Errorf("lock after the resume: %v", err)
		}
		if got := second.beatsSeen(); len(got) == 0 || got[0] != 2 {
			t.Errorf("keep-alives on the new connection %v, want them to go on with 2", got)
		}
	})
}

// From the moment that a resume is sent, answers on the older connection count
// for nothing, even to what was sent before.
func TestOlderConnectionDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1)
		conn.setBeats(false)
		second := srv.accept()
		second.hello() // and no answer
		conn.confirm(2, time.Hour)
		conn.send(&ldlmv2.ServerFrame{Lost: []*ldlmv2.Lost{{Name: "x", Token: 1, Reason: 5}}})
		synctest.Wait()
		if err := l.Err(); err != nil {
			t.Fatalf("a notice on the older connection was heard: %v", err)
		}
		srv.setRefuse(errors.New("down"))
		<-l.Done()
		if got := time.Since(start); got != testGoodFor {
			t.Errorf("lost after %s, want %s", got, testGoodFor)
		}
	})
}

// A connection whose hello was answered too late has been given up for another.
func TestLateWelcomeDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		conn.raw.Close()
		slow := srv.accept()
		slow.hello()
		fast := srv.accept()
		fast.hello()
		slow.welcomeBack() // without the token
		synctest.Wait()
		fast.welcomeBack(1)
		synctest.Wait()
		if err := l.Err(); err != nil {
			t.Errorf("lock: %v", err)
		}
		if _, ok := <-slow.frames; ok {
			t.Error("a frame came over the connection that was given up")
		}
	})
}

func TestGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		srv.dials()
		conn.send(&ldlmv2.ServerFrame{GoAway: &ldlmv2.GoAway{Reason: "maintenance"}})
		srv.resume(1)
		if got := srv.dials(); !slices.Equal(got, []string{"two:3144"}) {
			t.Errorf("dialled %v, want the other address", got)
		}
		synctest.Wait()
		if err := l.Err(); err != nil {
			t.Errorf("lock: %v", err)
		}
		if _, ok := <-conn.frames; ok {
			t.Error("the old connection is still used, want its end")
		}
	})
}

func TestRepeatedCallsKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		other := lockAsync(t.Context(), c, "other")
		opO := conn.op()
		a := lockAsync(t.Context(), c, "a")
		opA := conn.op()
		conn.grant(opO, 8) // frees a slot before those of what is older
		mustLock(t, other)
		released := make(chan error, 1)
		go func() { released <- l.Release(t.Context()) }()
		opR := conn.op()
		b := lockAsync(t.Context(), c, "b")
		opB := conn.op()
		conn.raw.Close()
		conn = srv.resume(8) // x is not alive: its release was carried out
		sameRequest(t, conn.op(), opA)
		sameRequest(t, conn.op(), opR)
		sameRequest(t, conn.op(), opB)
		conn.ok(opR)
		if err := <-released; err != nil {
			t.Errorf("release: %v", err)
		}
		conn.grant(opB, 3)
		conn.grant(opA, 2)
		if a, b := mustLock(t, a), mustLock(t, b); a.Token() != 2 || b.Token() != 3 {
			t.Errorf("tokens %d and %d, want 2 and 3", a.Token(), b.Token())
		}
	})
}

// However much has gathered, a frame is not larger than it may be.
func TestMuchToSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, _ := openWithLock(t, srv, c, "x", 1)
		srv.setRefuse(errors.New("down"))
		conn.raw.Close()
		synctest.Wait()
		long := strings.Repeat("long ", 3<<20/5)
		var waiting []<-chan lockResult
		for _, name := range []string{"a", "b", "c"} {
			waiting = append(waiting, lockAsync(t.Context(), c, name, Reason(long)))
			synctest.Wait()
		}
		srv.setRefuse(nil)
		conn = srv.resume(1)
		for i, name := range []string{"a", "b", "c"} {
			op := conn.op()
			if a := op.GetAcquire(); a.GetName() != name || a.GetNote().GetReason() != long {
				t.Errorf("operation %d asks for %q with %d bytes of reason", i, a.GetName(), len(a.GetNote().GetReason()))
			}
			conn.grant(op, uint64(i+2))
			mustLock(t, waiting[i])
		}
	})
}

func TestServerThatLostTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		start := time.Now()
		conn, l := openWithLock(t, srv, c, "x", 1)
		waiting := lockAsync(t.Context(), c, "y", WaitAtMost(time.Minute))
		conn.answer(conn.op(), ldlmv2.Code_CODE_QUEUED)
		pass(time.Second)
		conn.raw.Close()
		conn = srv.accept()
		conn.hello()
		conn.send(&ldlmv2.ServerFrame{End: &ldlmv2.Status{
			Code: ldlmv2.Code_CODE_SESSION_LOST, Ending: ldlmv2.Ending_ENDING_FATAL,
			Ended: ldlmv2.EndReason_END_REASON_SESSION_EXPIRED,
		}})
		<-l.Done()
		wantLost(t, l, ReasonSessionExpired)

		// What waited joins the queue again, for what is left of its wait.
		conn = srv.open()
		op := conn.op()
		left := time.Duration(op.GetAcquire().GetWaitUs()) * time.Microsecond
		if want := time.Minute - time.Since(start); left > want || left < want-time.Second {
			t.Errorf("waits for another %s, want %s", left, want)
		}
		conn.grant(op, 9)
		if l := mustLock(t, waiting); l.Token() != 9 {
			t.Errorf("token %d, want 9", l.Token())
		}
	})
}

func TestTryIsNotRepeatedOverAnotherSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		result := make(chan error, 1)
		go func() {
			_, err := c.TryLock(t.Context(), "y")
			result <- err
		}()
		op := conn.op()
		conn.answer(op, ldlmv2.Code_CODE_SESSION_LOST)
		err := <-result
		if !errors.Is(err, ErrUnavailable) || !SafeToRetry(err) {
			t.Errorf("try in a lost session: %v, want ErrUnavailable and safe to retry", err)
		}
		wantLost(t, l, ReasonSessionExpired)
	})
}

func TestStaleAnswerMeansSessionLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		_ = lockAsync(t.Context(), c, "y", WaitAtMost(time.Second))
		conn.answer(conn.op(), ldlmv2.Code_CODE_STALE)
		<-l.Done()
		wantLost(t, l, ReasonSessionExpired)
	})
}

func TestSupersededConnectionResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, _ := openWithLock(t, srv, c, "x", 1)
		waiting := lockAsync(t.Context(), c, "y")
		op := conn.op()
		conn.answer(op, ldlmv2.Code_CODE_SUPERSEDED)
		conn = srv.resume(1)
		sameRequest(t, conn.op(), op)
		conn.grant(op, 2)
		mustLock(t, waiting)
	})
}

// With release on disconnect the server takes the end of a connection by this
// side for the end of the session: locks are lost before that can be.
func TestReleaseOnDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client(WithReleaseOnDisconnect())
		result := lockAsync(t.Context(), c, "x")
		conn := srv.accept()
		if got := conn.hello().GetOnEndOfStream(); got != ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE {
			t.Errorf("on_end_of_stream = %v", got)
		}
		conn.welcome()
		conn.grant(conn.op(), 1)
		l := mustLock(t, result)
		conn.setBeats(false)
		second := srv.accept() // after keep-alives without an answer
		second.hello()
		synctest.Wait()
		select {
		case <-conn.frames:
			t.Error("the old connection was closed before the session stood on another")
		default:
		}
		second.welcomeBack(1)
		synctest.Wait()
		if _, ok := <-conn.frames; ok {
			t.Error("the old connection is still open though the session stands on another")
		}
		if err := l.Err(); err != nil {
			t.Errorf("lock: %v", err)
		}

		second.raw.Close() // the server's end: the session may be resumed
		third := srv.resume(1)
		synctest.Wait()
		if err := l.Err(); err != nil {
			t.Errorf("lock after the server ended a connection: %v", err)
		}
		srv.setRefuse(errors.New("down"))
		third.setBeats(false)
		<-l.Done()
		wantLost(t, l, ReasonUnconfirmed)
	})
}

// Where the end of a connection can end the session, one on which hello was not answered is
// not closed: the server may read that hello later than the one that it answered, and the
// end after it.
func TestUnansweredConnectionStays(t *testing.T) {
	for _, ends := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			srv := newFakeServer(t)
			var opts []DialOption
			if ends {
				opts = append(opts, WithReleaseOnDisconnect())
			}
			c := srv.client(opts...)
			conn, l := openWithLock(t, srv, c, "x", 1)
			conn.raw.Close()
			silent := srv.accept()
			silent.hello()
			conn = srv.resume(1)
			pass(time.Second)
			if got := silent.isGone(); got == ends {
				t.Errorf("the session ends with its connection: %t; the one without an answer is closed: %t", ends, got)
			}

			// The server reads it at last: the session has a newer connection for it.
			silent.sendWelcome(true)
			synctest.Wait()
			conn.send(&ldlmv2.ServerFrame{End: &ldlmv2.Status{Code: ldlmv2.Code_CODE_SUPERSEDED}})
			conn.raw.Close()
			srv.resume(1)
			pass(time.Second)
			if !silent.isGone() || l.Err() != nil {
				t.Errorf("after a newer connection stands the one that was answered late is closed: %t; the lock: %v", silent.isGone(), l.Err())
			}
		})
	}
}
