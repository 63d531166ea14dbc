package ldlm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// doAsync runs Do over a fresh session and returns the connection, after the
// grant under token 1.
func doAsync(t *testing.T, srv *fakeServer, c *Client, f func(context.Context) error) (*fakeConn, <-chan error) {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- c.Do(t.Context(), "x", f) }()
	conn := srv.open()
	conn.grant(conn.op(), 1)
	return conn, result
}

func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		inside := make(chan context.Context, 1)
		conn, result := doAsync(t, srv, c, func(ctx context.Context) error {
			inside <- ctx
			if got := TokenFrom(ctx); got != 1 {
				t.Errorf("token in the context is %d, want 1", got)
			}
			return nil
		})
		conn.ok(conn.op())
		if err := <-result; err != nil {
			t.Errorf("Do: %v", err)
		}
		if err := context.Cause(<-inside); err != ErrReleased {
			t.Errorf("the context ended with %v, want ErrReleased", err)
		}
		if got := TokenFrom(t.Context()); got != 0 {
			t.Errorf("token in another context is %d", got)
		}
	})
}

func TestDoReturnsTheErrorOfItsFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		failed := errors.New("failed")
		conn, result := doAsync(t, srv, c, func(context.Context) error { return failed })
		conn.ok(conn.op())
		if err := <-result; err != failed {
			t.Errorf("Do: %v, want %v as it is", err, failed)
		}
	})
}

func TestDoWithLoss(t *testing.T) {
	failed := errors.New("failed")
	for name, after := range map[string]func(context.Context) error{
		"function returns nil":         func(context.Context) error { return nil },
		"function returns its context": context.Cause,
		"function fails otherwise":     func(context.Context) error { return failed },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newFakeServer(t)
				c := srv.client()
				conn, result := doAsync(t, srv, c, func(ctx context.Context) error {
					<-ctx.Done()
					return after(ctx)
				})
				conn.send(&ldlmv2.ServerFrame{Lost: []*ldlmv2.Lost{{Name: "x", Token: 1, Reason: 5}}})
				err := <-result
				var lost *LostError
				if !errors.Is(err, ErrLost) || !errors.As(err, &lost) || lost.Reason != ReasonForced {
					t.Errorf("Do: %v, want the loss", err)
				}
				if strings.HasSuffix(name, "otherwise") && !errors.Is(err, failed) {
					t.Errorf("Do: %v, want what the function returned as well", err)
				}
			})
		})
	}
}

// The lock was lost at the last moment: the release says so.
func TestDoWithLossFoundByTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, result := doAsync(t, srv, c, func(context.Context) error { return nil })
		conn.answer(conn.op(), ldlmv2.Code_CODE_WRONG_KEY)
		if err := <-result; !errors.Is(err, ErrLost) {
			t.Errorf("Do: %v, want ErrLost", err)
		}
	})
}

// The work is done; that the release was not confirmed is not its failure.
func TestDoWhoseReleaseIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		_, result := doAsync(t, srv, c, func(context.Context) error { return nil })
		if err := <-result; err != nil {
			t.Errorf("Do: %v", err)
		}
	})
}

func TestDoThatIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, result := doAsync(t, srv, c, func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
		conn.send(&ldlmv2.ServerFrame{Lost: []*ldlmv2.Lost{{Name: "x", Token: 1, Revoked: true}}})
		op := conn.op()
		if op.GetRelease().GetToken() != 1 {
			t.Fatalf("operation is %v, want the release", op)
		}
		conn.ok(op)
		var lost *LostError
		if err := <-result; !errors.As(err, &lost) || lost.Reason != ReasonRevoked {
			t.Errorf("Do: %v, want the revocation", err)
		}
	})
}

func TestDoReleasesAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := make(chan any, 1)
		go func() {
			defer func() { result <- recover() }()
			_ = c.Do(t.Context(), "x", func(context.Context) error { panic("oops") })
		}()
		conn := srv.open()
		conn.grant(conn.op(), 1)
		op := conn.op()
		if op.GetRelease().GetToken() != 1 {
			t.Fatalf("operation is %v, want the release", op)
		}
		conn.ok(op)
		if got := <-result; got != "oops" {
			t.Errorf("panic is %v", got)
		}
	})
}

func TestDoThatDoesNotGetTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := make(chan error, 1)
		go func() {
			result <- c.Do(t.Context(), "x", func(context.Context) error {
				t.Error("the function was called without the lock")
				return nil
			}, WaitAtMost(time.Second))
		}()
		conn := srv.open()
		conn.answer(conn.op(), ldlmv2.Code_CODE_WAIT_TIMEOUT)
		if err := <-result; !errors.Is(err, ErrWaitTimeout) {
			t.Errorf("Do: %v, want ErrWaitTimeout", err)
		}
	})
}

func TestContextsOfALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		parent, cancel := context.WithCancel(t.Context())
		a, b := l.Context(parent), l.Context(t.Context())
		cancel()
		<-a.Done()
		if err := context.Cause(a); err != context.Canceled {
			t.Errorf("cause is %v, want that of the parent", err)
		}
		if b.Err() != nil {
			t.Errorf("the other context has ended too: %v", b.Err())
		}
		conn.send(&ldlmv2.ServerFrame{Lost: []*ldlmv2.Lost{{Name: "x", Token: 1, Reason: 5}}})
		<-b.Done()
		if late := l.Context(t.Context()); !errors.Is(context.Cause(late), ErrLost) {
			t.Errorf("a context of a lost lock ended with %v, want ErrLost", context.Cause(late))
		}
	})
}

func TestZeroLock(t *testing.T) {
	var l Lock
	ctx := t.Context()
	if l.Name() != "" || l.Names() != nil || l.Token() != 0 || l.Fence() != 0 || l.Fences() != nil || l.Done() != nil ||
		l.Err() != nil || !l.Deadline().IsZero() || l.Waited() != 0 {
		t.Error("a zero lock says something")
	}
	if got := l.Context(ctx); got.Err() != nil || TokenFrom(got) != 0 {
		t.Errorf("context is %v", got)
	}
	for _, err := range []error{l.Renew(ctx), l.RenewFor(ctx, time.Second), l.SetValue(ctx, nil), l.Downgrade(ctx), l.Release(ctx)} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestLocker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		mu := c.Locker(t.Context(), "x")
		done := make(chan any, 1)
		go func() {
			defer func() { done <- recover() }()
			mu.Lock()
			defer mu.Unlock() // which is once too often
			mu.Unlock()
		}()
		conn := srv.open()
		conn.grant(conn.op(), 1)
		conn.ok(conn.op())
		if got, _ := (<-done).(string); !strings.Contains(got, "unlock of unlocked") {
			t.Errorf("second unlock: %q, want a panic", got)
		}
		go func() {
			defer func() { done <- recover() }()
			mu.Lock()
		}()
		conn.answer(conn.op(), ldlmv2.Code_CODE_LIMIT)
		if got, _ := (<-done).(string); !strings.Contains(got, ErrLimit.Error()) {
			t.Errorf("failed lock: %q, want a panic", got)
		}
		go func() {
			defer func() { done <- recover() }()
			mu.Lock()
			defer mu.Unlock()
		}()
		conn.grant(conn.op(), 2)
		conn.answer(conn.op(), ldlmv2.Code_CODE_WRONG_KEY)
		if got, _ := (<-done).(string); !strings.Contains(got, "was lost") {
			t.Errorf("unlock of a lost lock: %q, want a panic", got)
		}
	})
}

func TestHoldOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		done := make(chan error, 1)
		go func() { done <- l.SetValue(t.Context(), []byte("v")) }()
		op := conn.op()
		if v := op.GetSetValue(); v.GetName() != "x" || v.GetToken() != 1 || string(v.GetValue()) != "v" {
			t.Errorf("operation is %v", op)
		}
		conn.ok(op)
		if err := <-done; err != nil {
			t.Errorf("set value: %v", err)
		}
		go func() { done <- l.Downgrade(t.Context()) }()
		op = conn.op()
		if d := op.GetDowngrade(); d.GetName() != "x" || d.GetToken() != 1 {
			t.Errorf("operation is %v", op)
		}
		conn.answer(op, ldlmv2.Code_CODE_INVALID)
		if err := <-done; !errors.Is(err, ErrInvalid) {
			t.Errorf("downgrade: %v, want ErrInvalid", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- l.Downgrade(ctx) }()
		op = conn.op()
		cancel()
		if err := <-done; !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, context.Canceled) {
			t.Errorf("canceled downgrade: %v, want an unknown outcome", err)
		}
		conn.ok(op)
		if err := l.SetValue(t.Context(), make([]byte, maxRequestBytes+1)); !errors.Is(err, ErrInvalid) {
			t.Errorf("huge value: %v, want ErrInvalid", err)
		}
		conn.send(&ldlmv2.ServerFrame{Lost: []*ldlmv2.Lost{{Name: "x", Token: 1, Reason: 5}}})
		<-l.Done()
		if err := l.SetValue(t.Context(), nil); !errors.Is(err, ErrLost) {
			t.Errorf("set value of a lost lock: %v, want ErrLost", err)
		}
	})
}

func TestByKey(t *testing.T) {
	const key = "00000000-0000-0000-0000-000000000000"
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1, Lease(time.Minute))
		if got := l.Key(); got != key {
			t.Errorf("key is %s", got)
		}
		done := make(chan error, 1)
		go func() { done <- c.ReleaseKey(t.Context(), "y", key) }()
		op := conn.op()
		if r := op.GetRelease(); r.GetName() != "y" || r.GetKey() != key || r.GetToken() != 0 || !r.GetAll() {
			t.Errorf("operation is %v", op)
		}
		conn.answer(op, ldlmv2.Code_CODE_NOT_FOUND)
		if err := <-done; !errors.Is(err, ErrNotFound) {
			t.Errorf("release by key: %v, want ErrNotFound", err)
		}
		go func() { done <- c.RenewKey(t.Context(), "y", key, time.Second) }()
		op = conn.op()
		if r := op.GetRenew(); r.GetName() != "y" || r.GetKey() != key || r.GetLeaseUs() != 1e6 {
			t.Errorf("operation is %v", op)
		}
		conn.answer(op, ldlmv2.Code_CODE_WRONG_KEY)
		if err := <-done; !errors.Is(err, ErrWrongKey) {
			t.Errorf("renewal by key: %v, want ErrWrongKey", err)
		}
		// Of a hold of its own the client knows what it means.
		go func() { done <- c.ReleaseKey(t.Context(), "x", key) }()
		op = conn.op()
		if r := op.GetRelease(); r.GetName() != "x" || r.GetToken() != 1 || r.GetKey() != "" {
			t.Errorf("operation is %v, want the release of its own hold", op)
		}
		conn.ok(op)
		if err := <-done; err != nil || l.Err() != ErrReleased {
			t.Errorf("release by key: %v; the lock: %v", err, l.Err())
		}
		if err := c.RenewKey(t.Context(), "y", key, 0); !errors.Is(err, ErrInvalid) {
			t.Errorf("renewal for nothing: %v, want ErrInvalid", err)
		}
		if err := c.ReleaseKey(t.Context(), "y", "\xff"); !errors.Is(err, ErrInvalid) {
			t.Errorf("odd key: %v, want ErrInvalid", err)
		}
	})
}
