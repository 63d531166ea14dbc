package ldlm

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A connection that stood for no time is not replaced at once for ever.
func TestConnectionsThatDoNotLastAreSpacedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		start := time.Now()
		for range 30 {
			synctest.Wait()
			conn.raw.Close()
			conn = srv.resume(1)
		}
		if took := time.Since(start); took < time.Second {
			t.Errorf("30 connections within %s", took)
		}
		synctest.Wait()
		if err := l.Err(); err != nil {
			t.Errorf("lock: %v", err)
		}
		pass(2 * shortLife) // this one lasts: the next is made at once
		conn.raw.Close()
		start = time.Now()
		srv.resume(1)
		if took := time.Since(start); took != 0 {
			t.Errorf("the connection that replaces one that lasted came after %s", took)
		}
	})
}

// With release on disconnect a server that has read a hello may take the end of
// that connection for the end of the session, though its answer never came.
func TestReleaseOnDisconnectWhenAnUnansweredConnectionBreaks(t *testing.T) {
	for _, test := range []struct {
		err  error
		lost bool
	}{
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}, true},
		{&net.OpError{Op: "write", Err: os.ErrDeadlineExceeded}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := newFakeServer(t)
			broken := make(chan error)
			dials := 0
			c := srv.client(WithReleaseOnDisconnect(), WithDialer(func(ctx context.Context, a string) (net.Conn, error) {
				conn, err := srv.dial(ctx, a)
				if dials++; err != nil || dials != 2 {
					return conn, err
				}
				return &breaking{conn, broken}, nil
			}))
			first, l := openWithLock(t, srv, c, "x", 1)
			first.raw.Close() // the server's doing
			srv.accept().hello()
			broken <- test.err
			synctest.Wait()
			if test.lost {
				wantLost(t, l, ReasonSessionClosed)
				return
			}
			srv.resume(1)
			synctest.Wait()
			if err := l.Err(); err != nil {
				t.Errorf("after %v: %v", test.err, err)
			}
		})
	}
}

// The end of the connection alone does not say that the session is over.
func TestCloseWhileTheConnectionBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, _ := openWithLock(t, srv, c, "x", 1)
		closed := make(chan error, 1)
		go func() { closed <- c.Close() }()
		conn.frame()
		conn.raw.Close()
		if err := <-closed; !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("Close: %v, want an unknown outcome", err)
		}
	})
}
