package node

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// After StopGranting a release and the end of a lease free a lock, and nobody
// gets it: not who tries, not who waits.
func TestStopGranting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := Open(Config{}, memory.Open)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		call := func(c lock.Command) lock.Outcome {
			o, err := n.Call(t.Context(), c)
			if err != nil {
				t.Error(err)
			}
			return o
		}
		var waiters []chan error
		for _, name := range []string{"released", "expires"} {
			hold := &lock.Acquire{Items: []lock.Item{{Name: name}}, Lease: lock.Second, Key: lock.Key{1}}
			if o := call(hold); o.Code != lock.OK {
				t.Fatalf("%s: %v", name, o.Code)
			}
			ended := make(chan error, 1)
			waiters = append(waiters, ended)
			go func() {
				o, err := n.Call(t.Context(), &lock.Acquire{
					Caller: lock.Caller{RequestID: name}, Items: []lock.Item{{Name: name}}, Wait: lock.Forever, Lease: lock.Minute,
				})
				if err == nil {
					t.Errorf("%s: the waiter got %v", name, o.Code)
				}
				ended <- err
			}()
		}
		synctest.Wait()
		if err := n.StopGranting(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o := call(&lock.Release{Hold: lock.Hold{Name: "released", Key: lock.Key{1}}}); o.Code != lock.OK {
			t.Errorf("a release: %v", o.Code)
		}
		<-time.After(time.Hour)
		for _, name := range []string{"released", "expires", "new"} {
			try := &lock.Acquire{Items: []lock.Item{{Name: name}}, Lease: lock.Second, Key: lock.Key{2}}
			if o := call(try); o.Code == lock.OK {
				t.Errorf("%s: a try was granted", name)
			}
			if v, _, err := n.Lookup(t.Context(), name); err != nil || v.Held != 0 {
				t.Errorf("%s is held, or cannot be looked at: %v", name, err)
			}
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		for _, ended := range waiters {
			if err := <-ended; !errors.Is(err, ErrClosed) {
				t.Errorf("a waiter ended with %v, want %v", err, ErrClosed)
			}
		}
	})
}
