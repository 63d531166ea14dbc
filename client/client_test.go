package client_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/client"
	"github.com/ldlm-io/ldlm/ldlmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient returns a client of srv. That the dial option takes effect is what
// lets it connect.
func newClient(t *testing.T, srv *ldlmtest.Server, conf client.Config) *client.Client {
	t.Helper()
	conf.Address = ldlmtest.Address
	c, err := client.New(t.Context(), conf, grpc.WithContextDialer(srv.Dial))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func lockOf(t *testing.T, c *client.Client, name string, o *client.LockOptions) *client.Lock {
	t.Helper()
	l, err := c.Lock(name, o)
	if err != nil || !l.Locked || l.Name != name || len(l.Key) != 36 {
		t.Fatalf("Lock(%q): %+v, %v", name, l, err)
	}
	return l
}

func TestLockAndUnlock(t *testing.T) {
	c := newClient(t, ldlmtest.NewServer(t), client.Config{})
	l := lockOf(t, c, "my-task", nil)
	if ok, err := l.Unlock(); !ok || err != nil || l.Locked {
		t.Errorf("Unlock: %v, %v, locked %v", ok, err, l.Locked)
	}
	if ok, err := l.Unlock(); ok || err != client.ErrLockNotLocked {
		t.Errorf("second Unlock: %v, %v", ok, err)
	}
}

func TestWaitTimeoutReturnsALockAndAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ldlmtest.NewServer(t)
		a, b := newClient(t, srv, client.Config{}), newClient(t, srv, client.Config{})
		lockOf(t, a, "x", nil)
		start := time.Now()
		l, err := b.Lock("x", &client.LockOptions{WaitTimeoutSeconds: 5})
		if err != client.ErrLockWaitTimeout || !errors.Is(err, ldlm.ErrWaitTimeout) {
			t.Errorf("error %v", err)
		}
		if l == nil || l.Locked || time.Since(start).Round(time.Millisecond) != 5*time.Second {
			t.Errorf("lock %+v after %v", l, time.Since(start))
		}
	})
}

func TestContendedTryLockIsNoError(t *testing.T) {
	srv := ldlmtest.NewServer(t)
	a, b := newClient(t, srv, client.Config{}), newClient(t, srv, client.Config{})
	lockOf(t, a, "x", nil)
	l, err := b.TryLock("x", nil)
	if err != nil || l == nil || l.Locked || len(l.Key) != 36 {
		t.Errorf("TryLock: %+v, %v", l, err)
	}
	if ok, err := l.Unlock(); ok || err != client.ErrLockNotLocked {
		t.Errorf("Unlock of what is not locked: %v, %v", ok, err)
	}
}

func TestArgumentsAreRefused(t *testing.T) {
	c := newClient(t, ldlmtest.NewServer(t), client.Config{})
	lockOf(t, c, "sized", &client.LockOptions{Size: 2})
	lock := func(name string, o client.LockOptions) error { _, err := c.Lock(name, &o); return err }
	_, tryWait := c.TryLock("x", &client.LockOptions{WaitTimeoutSeconds: 1})
	_, renewZero := c.RefreshLock("x", "k", 0)
	_, renewNothing := c.RefreshLock("x", "k", 5)
	_, renewWrong := c.RefreshLock("sized", "k", 5)
	_, unlockNothing := c.Unlock("x", "k")
	_, unlockWrong := c.Unlock("sized", "bad")
	for _, tt := range []struct {
		name string
		err  error
		want string
		is   error
	}{
		{"try with wait", tryWait, "wait timeout not supported for TryLock", nil},
		{"wait", lock("x", client.LockOptions{WaitTimeoutSeconds: -1}), "wait timeout must be greater than 0", nil},
		{"timeout", lock("x", client.LockOptions{LockTimeoutSeconds: -1}), "lock timeout must be greater than 0", nil},
		{"name", lock("", client.LockOptions{}), "lock name cannot be empty", nil},
		{"size", lock("x", client.LockOptions{Size: -1}), "lock size must be greater than 0", client.ErrInvalidLockSize},
		{"other size", lock("sized", client.LockOptions{}), "lock size mismatch", client.ErrLockSizeMismatch},
		{"renew for nothing", renewZero, "lock timeout must be greater than 0", nil},
		{"renew unknown", renewNothing, "lock does not exist or invalid key", client.ErrLockDoesNotExistOrInvalidKey},
		{"renew by a wrong key", renewWrong, "lock does not exist or invalid key", client.ErrLockDoesNotExistOrInvalidKey},
		{"unlock unknown", unlockNothing, "a lock by that name does not exist", client.ErrLockDoesNotExist},
		{"unlock by a wrong key", unlockWrong, "invalid lock key", client.ErrInvalidLockKey},
	} {
		if tt.err == nil || tt.err.Error() != tt.want || tt.is != nil && tt.err != tt.is {
			t.Errorf("%s: %v, want %q", tt.name, tt.err, tt.want)
		}
	}
}

// Several holds of one lock by one client: each has its own key and is renewed.
func TestSeveralHoldsOfOneLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ldlmtest.NewServer(t)
		c := newClient(t, srv, client.Config{})
		o := &client.LockOptions{Size: 2, LockTimeoutSeconds: 1}
		a, b := lockOf(t, c, "slots", o), lockOf(t, c, "slots", o)
		if a.Key == b.Key {
			t.Error("two holds with one key")
		}
		<-time.After(time.Minute)
		for _, l := range []*client.Lock{a, b} {
			if ok, err := l.Unlock(); !ok || err != nil {
				t.Errorf("after a minute of renewals: %v, %v", ok, err)
			}
		}
	})
}

// Without renewal a permit frees itself exactly when its timeout is over, not a
// moment before, whatever the client believes: rate limiters rely on it. It
// ends as it was meant to, so nobody is told of a loss.
func TestNoAutoRefreshLeavesItToTheServer(t *testing.T) {
	for name, conf := range map[string]client.Config{
		"NoAutoRefresh": {NoAutoRefresh: true}, "NoAutoRenew": {NoAutoRenew: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ldlmtest.NewServer(t)
				conf.OnLockLost = func(*client.Lock, error) { t.Error("told of a loss") }
				c := newClient(t, srv, conf)
				start := time.Now()
				lockOf(t, c, "rate", &client.LockOptions{LockTimeoutSeconds: 10})
				lockOf(t, c, "rate", &client.LockOptions{LockTimeoutSeconds: 10})
				if got := time.Since(start).Round(time.Millisecond); got != 10*time.Second {
					t.Errorf("free after %v, want 10s", got)
				}
			})
		})
	}
}

// A program that refreshes by itself keeps the lock, with the timeouts it asks for.
func TestRefreshLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ldlmtest.NewServer(t)
		c := newClient(t, srv, client.Config{NoAutoRefresh: true})
		l := lockOf(t, c, "task1-lock", &client.LockOptions{LockTimeoutSeconds: 10})
		for range 10 {
			<-time.After(5 * time.Second)
			r, err := c.RefreshLock("task1-lock", l.Key, 10)
			if err != nil || !r.Locked || r.Key != l.Key {
				t.Fatalf("RefreshLock: %+v, %v", r, err)
			}
		}
		if ok, err := l.Unlock(); !ok || err != nil {
			t.Errorf("Unlock: %v, %v", ok, err)
		}
	})
}

// Losing a lock is told in three ways and does not end the program.
func TestLossIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ldlmtest.NewServer(t)
		told := make(chan error, 1)
		c := newClient(t, srv, client.Config{OnLockLost: func(l *client.Lock, err error) {
			if l.Name != "x" {
				t.Errorf("told of %q", l.Name)
			}
			told <- err
		}})
		l := lockOf(t, c, "x", &client.LockOptions{LockTimeoutSeconds: 30})
		ctx := l.Context(context.Background())
		srv.Expire("x")
		<-l.Done()
		<-ctx.Done()
		if err := <-told; !errors.Is(err, ldlm.ErrLost) {
			t.Errorf("told %v", err)
		}
		ok, err := l.Unlock()
		if ok || !errors.Is(err, client.ErrInvalidLockKey) || !errors.Is(err, ldlm.ErrLost) {
			t.Errorf("Unlock of a lost lock: %v, %v", ok, err)
		}
	})
}

func TestSessionEndsWithTheConnection(t *testing.T) {
	srv := ldlmtest.NewServer(t)
	a, b := newClient(t, srv, client.Config{}), newClient(t, srv, client.Config{})
	lockOf(t, a, "x", nil)
	done := make(chan error, 1)
	go func() {
		_, err := b.Lock("x", nil)
		done <- err
	}()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := a.Lock("y", nil); !errors.Is(err, ldlm.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// MaxRetries repeats calls that reach no server, three seconds apart.
func TestMaxRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ldlmtest.NewServer(t)
		var up atomic.Bool
		start := time.Now()
		conf := client.Config{Address: ldlmtest.Address, MaxRetries: 3}
		c, err := client.New(t.Context(), conf, grpc.WithContextDialer(func(ctx context.Context, a string) (net.Conn, error) {
			if !up.Load() {
				return nil, errors.New("nobody there")
			}
			return srv.Dial(ctx, a)
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		time.AfterFunc(4*time.Second, func() { up.Store(true) })
		if l, err := c.Lock("x", nil); err != nil || !l.Locked {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		if got := time.Since(start); got < 6*time.Second {
			t.Errorf("reached after %v, before the second retry", got)
		}
	})
}

func TestContextOfNewAbortsCalls(t *testing.T) {
	srv := ldlmtest.NewServer(t)
	holder := newClient(t, srv, client.Config{})
	lockOf(t, holder, "x", nil)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := client.New(ctx, client.Config{Address: ldlmtest.Address}, grpc.WithContextDialer(srv.Dial))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mine := lockOf(t, c, "mine", nil)
	done := make(chan error, 1)
	go func() {
		_, err := c.Lock("x", nil)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("aborted call: %v", err)
	}
	if ok, err := mine.Unlock(); !ok || err != nil {
		t.Errorf("Unlock after the end of the context: %v, %v", ok, err)
	}
}

// One lock, many goroutines, both clients' shapes: never two in it.
func TestExclusion(t *testing.T) {
	srv := ldlmtest.NewServer(t)
	c := newClient(t, srv, client.Config{})
	var inside atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				l, err := c.Lock("x", nil)
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two inside")
				}
				inside.Add(-1)
				if ok, err := l.Unlock(); !ok || err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestRefresher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ldlmtest.NewServer(t)
		holder := newClient(t, srv, client.Config{NoAutoRefresh: true})
		lost := make(chan error, 1)
		other := newClient(t, srv, client.Config{OnLockLost: func(_ *client.Lock, err error) { lost <- err }})
		l := lockOf(t, holder, "x", &client.LockOptions{LockTimeoutSeconds: 3})
		r := client.NewRefresher(other, "x", l.Key, 3)
		r.Start() // runs already
		<-time.After(time.Minute)
		if !srv.Held("x") {
			t.Fatal("not refreshed")
		}
		r.Stop()
		r.Stop()
		<-time.After(4 * time.Second)
		if srv.Held("x") {
			t.Error("refreshed after Stop")
		}
		r.Start()
		if err := <-lost; !errors.Is(err, ldlm.ErrLost) {
			t.Errorf("told %v", err)
		}
		r.Stop()
	})
}

func TestModernSharesTheSession(t *testing.T) {
	c := newClient(t, ldlmtest.NewServer(t), client.Config{})
	l := lockOf(t, c, "x", nil)
	if l.Modern().Token() == 0 {
		t.Error("no token")
	}
	var held *ldlm.HeldError
	if _, err := c.Modern().TryLock(t.Context(), "x"); !errors.As(err, &held) {
		t.Errorf("try beside it: %v", err)
	}
}
