package ldlm

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

func TestUnreachableServerIsAnErrorAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		down := errors.New("connection refused")
		srv.setRefuse(down)
		c := srv.client()
		for range 20 {
			_, err := c.Lock(t.Context(), "x")
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, down) || !SafeToRetry(err) {
				t.Fatalf("error is %v, want ErrUnavailable with its cause", err)
			}
		}
		if got := srv.dials(); len(got) != 40 {
			t.Errorf("%d attempts for 20 calls at 2 addresses", len(got))
		}
	})
}

func TestContextBoundsTheWaitForASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Lock(ctx, "x") // the server accepts and says nothing
		if !errors.Is(err, context.DeadlineExceeded) || !SafeToRetry(err) {
			t.Errorf("error is %v, want the context's", err)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("after %s, want 1 s", got)
		}
	})
}

func TestRefusedSession(t *testing.T) {
	for _, test := range []struct {
		code ldlmv2.Code
		want error
	}{
		{ldlmv2.Code_CODE_UNAUTHENTICATED, ErrUnauthenticated},
		{ldlmv2.Code_CODE_DENIED, ErrDenied},
		{ldlmv2.Code_CODE_INVALID, ErrInvalid},
		{ldlmv2.Code_CODE_LIMIT, ErrLimit},
		{ldlmv2.Code_CODE_UNSUPPORTED, ErrUnsupported},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := newFakeServer(t)
			c := srv.client()
			result := lockAsync(t.Context(), c, "x")
			conn := srv.accept()
			conn.hello()
			conn.send(&ldlmv2.ServerFrame{End: &ldlmv2.Status{Code: test.code, Message: "because", Field: "ttl_us", Limit: 60}})
			r := <-result
			var e *Error
			if !errors.Is(r.err, test.want) || !errors.As(r.err, &e) || e.Name != "x" || e.Field != "ttl_us" || e.Limit != 60 {
				t.Errorf("%v: error is %v, want %v with its details", test.code, r.err, test.want)
			}
			if got := srv.dials(); len(got) != 1 {
				t.Errorf("%v: dialled %v, want no other address", test.code, got)
			}
		})
	}
}

func TestServerThatCannotServeIsPassedBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x")
		conn := srv.accept()
		conn.hello()
		conn.send(&ldlmv2.ServerFrame{End: &ldlmv2.Status{Code: ldlmv2.Code_CODE_UNAVAILABLE, Message: "no leader"}})
		conn = srv.open()
		conn.grant(conn.op(), 1)
		mustLock(t, result)
		if got := srv.dials(); !slices.Equal(got, []string{"one:3144", "two:3144"}) {
			t.Errorf("dialled %v", got)
		}
	})
}
