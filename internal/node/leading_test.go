package node

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
)

// TestLeading: who asks is told when it changes.
func TestLeading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := Open(Config{}, memory.Open)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		leads, changed := n.Leading()
		if !leads {
			t.Error("alone, and it does not lead")
		}
		select {
		case <-changed:
			t.Error("told of a change without one")
		default:
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		<-changed
		if leads, _ := n.Leading(); leads {
			t.Error("closed, and it leads")
		}
	})
}

// never is a journal whose lead never comes.
type never struct{ journal.Journal }

func (never) Lead(ctx context.Context) (context.Context, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// TestPulse: the loop shows that it lives, leading or not.
func TestPulse(t *testing.T) {
	for name, open := range map[string]func(journal.Machine) (journal.Journal, error){
		"leading": memory.Open,
		"waiting": func(m journal.Machine) (journal.Journal, error) {
			j, err := memory.Open(m)
			return never{j}, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var beats atomic.Int32
				n, err := Open(Config{Pulse: func() { beats.Add(1) }, PulseEvery: time.Second}, open)
				if err != nil {
					t.Fatal(err)
				}
				elapse(10 * time.Second)
				if got := beats.Load(); got < 9 || got > 10 {
					t.Errorf("%d beats in 10 s", got)
				}
				if err := n.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestNoPulse: the loop is silent when the table is stuck. It takes real time, for
// the clock of a bubble stands while a mutex is waited for.
func TestNoPulse(t *testing.T) {
	var beats atomic.Int32
	n, err := Open(Config{Pulse: func() { beats.Add(1) }, PulseEvery: time.Millisecond}, memory.Open)
	if err != nil {
		t.Fatal(err)
	}
	clock := time.NewTicker(time.Millisecond)
	defer clock.Stop()
	for beats.Load() == 0 {
		<-clock.C
	}
	n.mu.Lock()
	before := beats.Load()
	for range 30 {
		<-clock.C
	}
	// It may have had the table already, and then tells so once.
	if got := beats.Load() - before; got > 1 {
		t.Errorf("%d beats though the table is stuck", got)
	}
	before = beats.Load()
	n.mu.Unlock()
	for beats.Load() == before {
		<-clock.C
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}
