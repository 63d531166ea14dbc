package raftlog

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// Those who come while a round is under way share the next one, and it begins after they came.
func TestRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rounds
		var had atomic.Int64
		ask := func(context.Context) error {
			<-time.After(time.Second)
			had.Add(1)
			return nil
		}
		var asking sync.WaitGroup
		for i := range 100 {
			asking.Go(func() {
				<-time.After(time.Duration(i) * time.Millisecond)
				came := time.Now()
				if err := r.share(t.Context(), ask); err != nil {
					t.Error(err)
				}
				if took := time.Since(came); took < time.Second || took > 2*time.Second {
					t.Errorf("%d: an answer after %v", i, took)
				}
			})
		}
		asking.Wait()
		if had.Load() != 2 {
			t.Errorf("%d rounds for all", had.Load())
		}
	})
}

// The end of the one who has a round is told to the others as something to ask again.
func TestRoundLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rounds
		first, leave := context.WithCancel(t.Context())
		present := make(chan error, 1)
		go func() {
			present <- r.share(t.Context(), func(context.Context) error { <-time.After(time.Second); return nil })
		}()
		synctest.Wait()
		ended := make(chan error, 2)
		for range 2 {
			go func() {
				ended <- r.share(first, func(ctx context.Context) error { return ctx.Err() })
			}()
		}
		synctest.Wait()
		other := make(chan error, 1)
		go func() { other <- r.share(t.Context(), func(context.Context) error { return nil }) }()
		synctest.Wait()
		leave()
		for range 2 {
			if err := <-ended; !errors.Is(err, journal.ErrRefused) || !errors.Is(err, context.Canceled) {
				t.Errorf("who left: %v", err)
			}
		}
		if err := <-other; !elsewhere(err) {
			t.Errorf("who stayed: %v", err)
		}
		if err := <-present; err != nil {
			t.Error(err)
		}
	})
}

func TestExpected(t *testing.T) {
	if !expected([]byte("raft: failed to heartbeat to: peer=127.0.0.1:1")) {
		t.Error("a failed heartbeat is told at every attempt")
	}
	if expected([]byte("raft: failed to take snapshot")) {
		t.Error("a failed snapshot is not told")
	}
}
