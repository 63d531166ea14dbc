package grpcapi_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
)

var (
	errRefusedByTest = fmt.Errorf("%w: nobody leads", journal.ErrRefused)
	errUnknownToTest = fmt.Errorf("%w: the lead is lost", journal.ErrUnknown)
)

// moody is a node whose calls end as the test says.
type moody struct {
	grpcapi.Node
	// mood is why the next call fails, before or after it was carried out.
	before, after error
	// then is called after the next one was carried out.
	then   func() error
	attach error
}

func (m *moody) Call(ctx context.Context, c lock.Command) (lock.Outcome, error) {
	if err := m.before; err != nil {
		m.before = nil
		return lock.Outcome{}, err
	}
	o, err := m.Node.Call(ctx, c)
	if err == nil && m.then != nil {
		err = m.then()
	}
	if err == nil && m.after != nil {
		err, m.after = m.after, nil
	}
	return o, err
}

func (m *moody) Attach(ctx context.Context, open *lock.Open) (grpcapi.Link, lock.Outcome, error) {
	if err := m.attach; err != nil {
		m.attach = nil
		return nil, lock.Outcome{}, err
	}
	return m.Node.Attach(ctx, open)
}

// wrapping puts m between the server and its node.
func (m *moody) wrapping(_ *node.Config, c *grpcapi.Config) { c.Node = m }

// TestRefusedCallsMayBeMadeAgain: the connection and its session stay.
func TestRefusedCallsMayBeMadeAgain(t *testing.T) {
	m := &moody{}
	h := open(t, m.wrapping)
	c := h.client()
	m.attach = errRefusedByTest
	if _, err := c.TryLock(t.Context(), try("l")); status.Code(err) != codes.Unavailable {
		t.Errorf("no session could be opened: %v", err)
	}
	key := c.take("l")
	for range 3 {
		m.before = errRefusedByTest
		if _, err := c.TryLock(t.Context(), try("m")); status.Code(err) != codes.Unavailable {
			t.Errorf("refused: %v", err)
		}
	}
	c.take("m")
	c.release("l", key)
	if got := h.counts(); got.Sessions != 1 || got.Holds != 1 {
		t.Errorf("left are %+v; want the one session with one lock", got)
	}
}

// TestUnknownOutcomesEndTheConnection: what may have been granted ends with it.
func TestUnknownOutcomesEndTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, unknown := range []error{
			errUnknownToTest,
			fmt.Errorf("%w: %w", journal.ErrUnknown, context.Canceled),
			errors.New("anything else"),
		} {
			m := &moody{}
			h := open(t, m.wrapping)
			c := h.client()
			c.take("before")
			m.after = unknown
			if _, err := c.TryLock(t.Context(), try("l")); status.Code(err) != codes.Unavailable {
				t.Errorf("after %q: %v, want the connection to end", unknown, err)
			}
			synctest.Wait()
			if got := h.counts(); got.Sessions != 0 || got.Holds != 0 {
				t.Errorf("after %q: left are %+v, want nothing", unknown, got)
			}
		}
	})
}

// TestSessionsHaveALimit: it is named, and others go on.
func TestSessionsHaveALimit(t *testing.T) {
	h := open(t, func(n *node.Config, _ *grpcapi.Config) { n.Settings.MaxSessions = 1 })
	a, b := h.client(), h.client()
	a.take("l")
	if _, err := b.TryLock(t.Context(), try("m")); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a second session: %v, want ResourceExhausted", err)
	}
	a.close()
	h.until("l", unheld)
	b.take("m")
}

// TestLimitsOfAConnection: each is named in the answer, and nothing is changed.
func TestLimitsOfAConnection(t *testing.T) {
	h := open(t, func(n *node.Config, _ *grpcapi.Config) {
		n.Settings.MaxWaitersPerSession, n.Settings.MaxSlots = 2, 4
		n.Settings.MaxLocks, n.Settings.MaxHoldsPerSession = 5, 4
	})
	a, b := h.client(), h.client()
	a.take("l")
	calls := []*pending{b.start(want("l"))}
	h.until("l", waiters(1))
	calls = append(calls, b.start(want("l")))
	h.until("l", waiters(2))
	r, err := b.Lock(t.Context(), want("l"))
	equal(t, "a third waiting call", r, err, refusedLock("l", 0, "the connection has its limit of 2 waiting requests"))
	for i := range 2 {
		b.take(fmt.Sprint(i))
	}
	r, err = b.TryLock(t.Context(), try("3"))
	equal(t, "a fifth lock, two of them waited for", r, err, refusedLock("3", 0, "the connection has its limit of 4 locks"))
	a.take("3")
	a.take("4")
	r, err = a.TryLock(t.Context(), try("5"))
	equal(t, "a sixth name", r, err, refusedLock("5", 0, "the server has its limit of 5 locks"))
	for _, call := range calls {
		call.cancel()
		<-call.done
	}
	h.until("l", waiters(0))
	// Cancelled calls have given their slots back.
	for range 20 {
		b.isFree("0")
	}
}

// TestCallsAtOnceHaveALimit: a call beyond it is refused by name, and the slots
// of the others are good again when they have ended.
func TestCallsAtOnceHaveALimit(t *testing.T) {
	h := open(t, func(n *node.Config, _ *grpcapi.Config) { n.Settings.MaxSlots = 2 })
	a, b := h.client(), h.client()
	key := a.take("l")
	calls := []*pending{b.start(want("l"))}
	h.until("l", waiters(1))
	calls = append(calls, b.start(want("l")))
	h.until("l", waiters(2))
	r, err := b.TryLock(t.Context(), try("m"))
	equal(t, "a third call at once", r, err, refusedLock("m", 0, "the connection has its limit of 2 calls at once"))
	for _, call := range calls {
		call.cancel()
		<-call.done
	}
	h.until("l", waiters(0))
	for range 5 {
		if !b.isFree("m") {
			t.Error("a lock that was refused is held")
		}
	}
	a.release("l", key)
}

// TestQuietStart: while holders of an earlier life may still believe, a lock
// counts as taken.
func TestQuietStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(n *node.Config, _ *grpcapi.Config) { n.QuietStart = time.Minute })
		c := h.client()
		r, err := c.TryLock(t.Context(), try("l"))
		equal(t, "a try", r, err, &ldlmv1.LockResponse{Name: "l"})
		p := c.start(want("l"))
		if r, err := p.wait(); err != nil || !r.Locked || p.after < 59*time.Second || p.after > time.Minute+10*time.Millisecond {
			t.Errorf("a wait: %v, %v after %v; want the lock after a minute", r, err, p.after)
		}
	})
}
