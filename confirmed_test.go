package ldlm

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// Who holds a lock can say since when nobody confirms it, and why.
func TestConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if ago, trouble := new(Lock).Confirmed(); ago != 0 || trouble != nil {
			t.Errorf("the zero lock was confirmed %s ago, trouble %v", ago, trouble)
		}
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x")
		conn := srv.open()
		conn.grant(conn.op(), 1)
		l := mustLock(t, result)
		<-time.After(1500 * time.Millisecond)
		if ago, trouble := l.Confirmed(); ago != 1500*time.Millisecond || trouble != nil {
			t.Errorf("confirmed %s ago, trouble %v", ago, trouble)
		}
		srv.setRefuse(syscall.ECONNREFUSED)
		conn.raw.Close()
		synctest.Wait()
		<-time.After(500 * time.Millisecond)
		ago, trouble := l.Confirmed()
		if ago != 2*time.Second || !errors.Is(trouble, syscall.ECONNREFUSED) || !strings.Contains(trouble.Error(), ": connection refused") {
			t.Errorf("confirmed %s ago, trouble %v", ago, trouble)
		}
		srv.setRefuse(nil)
		srv.resume(1)
		synctest.Wait()
		if ago, trouble := l.Confirmed(); ago > time.Second || trouble != nil {
			t.Errorf("resumed, and confirmed %s ago, trouble %v", ago, trouble)
		}
	})
}
