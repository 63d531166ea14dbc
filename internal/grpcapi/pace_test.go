package grpcapi

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// While many refusals of a connection are kept back, less is read from it; its end is not
// waited for.
func TestConnectionsAreReadSlowlyWhileManyCallsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := &connection{Conn: near, writing: make(chan struct{}, 1), over: make(chan struct{}), strangers: &strangers{}}
		read := func(want time.Duration) {
			t.Helper()
			var writing sync.WaitGroup
			writing.Go(func() { _, _ = far.Write([]byte{1}) })
			began := time.Now()
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("with %d calls that rest it was read after %v, want %v", c.resting.Load(), took, want)
			}
			writing.Wait()
		}
		var calls sync.WaitGroup
		rest := func(calling int) {
			for range calling {
				calls.Go(func() { c.rest(t.Context(), time.Minute) })
			}
			synctest.Wait()
		}
		rest(mostResting - 1)
		read(0)
		rest(1)
		read(readPause)
		calls.Wait()
		read(0)
		rest(mostResting)
		began := time.Now()
		ended := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err == nil || time.Since(began) != 0 {
			t.Errorf("reading ended after %v with %v", time.Since(began), err)
		}
		calls.Wait()
	})
}
