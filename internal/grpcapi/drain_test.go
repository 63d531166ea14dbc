package grpcapi_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// TestDrain: waiting calls are answered at once, nothing new is acquired,
// releases and renewals go on, and the ends of connections are the server's.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		a, b := h.client(), h.client()
		key, other := a.takeFor("l", 60), a.take("other")
		p, q := b.start(want("l")), b.start(want("l"))
		synctest.Wait()
		h.server.Drain()
		for _, call := range []*pending{p, q} {
			if _, err := call.wait(); status.Code(err) != codes.Unavailable || call.after != 0 {
				t.Errorf("a waiting call: %v after %v, want Unavailable at once", err, call.after)
			}
		}
		synctest.Wait()
		if got := h.counts(); got.Waiters != 0 || got.Holds != 2 {
			t.Errorf("left are %+v, want the two holds and nobody waiting", got)
		}
		for what, err := range map[string]error{
			"Lock":    second(a.Lock(t.Context(), want("new"))),
			"TryLock": second(a.TryLock(t.Context(), try("new"))),
			"Acquire": second(ldlmv2.NewLDLMClient(a.conn).Acquire(t.Context(), &ldlmv2.AcquireRequest{
				Acquire: &ldlmv2.Acquire{Name: "new", LeaseUs: 1e6},
			})),
			"OpenSession": second(ldlmv2.NewLDLMClient(a.conn).OpenSession(t.Context(), &ldlmv2.OpenSessionRequest{
				Secret: make([]byte, 16),
			})),
		} {
			if status.Code(err) != codes.Unavailable {
				t.Errorf("%s: %v, want Unavailable", what, err)
			}
		}
		if r := a.renew("l", key, 90); !r.Locked {
			t.Errorf("renew: %v", r)
		}
		a.release("other", other)
		a.close()
		synctest.Wait()
		if got := h.counts(); got.Holds != 1 || got.Sessions != 2 {
			t.Errorf("left are %+v; the end of a connection ended its session", got)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// TestStop: a server with calls of all kinds under way stops at once, and
// nobody is granted anything on the way out.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		a, b := h.client(), h.client()
		a.take("l")
		p := b.start(want("l"))
		watch, err := ldlmv2.NewLDLMClient(b.conn).Watch(t.Context(), &ldlmv2.WatchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := watch.Recv(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begun := time.Now()
		h.server.Stop(t.Context()) // which does not end
		if got := time.Since(begun); got > time.Second {
			t.Errorf("stopping took %v", got)
		}
		if _, err := p.wait(); status.Code(err) != codes.Unavailable {
			t.Errorf("a waiting call: %v, want Unavailable", err)
		}
		for err == nil {
			_, err = watch.Recv()
		}
		if status.Code(err) != codes.Unavailable {
			t.Errorf("a watch: %v, want Unavailable", err)
		}
		if v, _, err := h.node.Lookup(context.Background(), "l"); err != nil || v.HolderCount != 1 || v.Holders[0].Session != 1 {
			t.Errorf("the lock is %+v (%v); want it held by session 1 as before", v, err)
		}
		if _, err := a.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "x"}); status.Code(err) != codes.Unavailable {
			t.Errorf("a call to the stopped server: %v", err)
		}
	})
}
