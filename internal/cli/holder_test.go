package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/ldlmtest"
)

// A signal that comes between the grant and the start of the command ends what is
// not there yet.
func TestSignalBeforeTheStart(t *testing.T) {
	signals := make(chan os.Signal, 1)
	h := &holder{signals: signals}
	if err := h.endsBeforeStart(); err != nil {
		t.Errorf("without a signal: %v", err)
	}
	signals <- os.Interrupt
	e := (*exitError)(nil)
	if err := h.endsBeforeStart(); !errors.As(err, &e) || e.code != 130 {
		t.Errorf("error %v, want exit code 130", err)
	}
}

// A server that does not answer keeps nobody who wants the end: a signal bounds the wait
// for a release, and another one ends it.
func TestReleaseIsInterrupted(t *testing.T) {
	for _, c := range []struct {
		signals     int
		takes       time.Duration
		interrupted bool
		says        string
	}{
		{0, 5 * time.Second, false, "no answer"},
		{1, time.Second, true, "interrupted"},
		{2, 0, true, "interrupted"},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := ldlmtest.NewServer(t)
			client := server.Client(t)
			lock, err := client.Lock(t.Context(), "x")
			if err != nil {
				t.Fatal(err)
			}
			server.Partition(client)
			said, signals := newOutput(), make(chan os.Signal, c.signals)
			for range c.signals {
				signals <- os.Interrupt
			}
			h := &holder{
				holdingOptions: holdingOptions{names: []string{"x"}, ttl: 10 * time.Second}, signals: signals, remarks: newRemarks(said, true),
			}
			began := time.Now()
			interrupted := h.release(t.Context(), lock)
			if took := time.Since(began); took != c.takes || interrupted != c.interrupted {
				t.Errorf("%d signals: it took %s, interrupted %t", c.signals, took, interrupted)
			}
			h.remarks.close()
			if got, want := said.String(), `ldlm: "x" is not released in order (`+c.says+"); it is free after its ttl of 10s at the latest\n"; got != want {
				t.Errorf("%d signals: it says %q, want %q", c.signals, got, want)
			}
		})
	}
}

// What is said of a leader that leads no more is as of now, not as of when it began.
func TestObservedLeaderHasItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := ldlmtest.NewServer(t)
		said := newOutput()
		h := &holder{p: &Process{Stdout: said}, holdingOptions: holdingOptions{names: []string{"boss"}, output: "json"}}
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- h.observeLeaders(ctx, server.Client(t)) }()
		said.await(t, "\n")
		lock, err := server.Client(t).Lock(ctx, "boss")
		if err != nil {
			t.Fatal(err)
		}
		said.awaitCount(t, "\n", 2)
		<-time.After(3 * time.Second)
		if err := lock.Release(ctx); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(said.awaitCount(t, "\n", 3), "\n")
		var change leaderChange
		if err := json.Unmarshal([]byte(lines[2]), &change); err != nil {
			t.Fatal(err)
		}
		if b := change.Before; b == nil || b.Held != "3s" || time.Time(change.Time).Sub(time.Time(*b.Since)) != 3*time.Second || change.Ended != "released" {
			t.Errorf("the change is %s", lines[2])
		}
		cancel()
		<-over
	})
}
