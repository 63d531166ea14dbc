package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// A new table is born with the wall clock as its first token, has the settings,
// and the member.
func TestOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wall := lock.Token(time.Now().UnixMicro())
		h := openHouse(t, Config{Settings: lock.Settings{MaxNames: 3}, Member: "a"})
		if got := h.settings().MaxNames; got != 3 {
			t.Errorf("MaxNames is %d, want 3", got)
		}
		if c := h.Counts(); c.Members != 1 || h.Incarnation() == 0 {
			t.Errorf("%d members, incarnation %d", c.Members, h.Incarnation())
		}
		if o := h.call(outside("a", "", time.Second, 0)); o.Token != wall+1 {
			t.Errorf("the first token is %d, want one more than %d", o.Token, wall)
		}
	})
}

// A table that was born already is not born again.
func TestOpenOverALivingTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d *desk
		n, err := Open(Config{}, func(m journal.Machine) (journal.Journal, error) {
			d = openDesk(m)
			d.elsewhere(t, &lock.Birth{Wall: 1000})
			return d, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		if got := d.count(1, &lock.Birth{}); got != 0 {
			t.Errorf("%d more births", got)
		}
		o, err := n.Call(context.Background(), outside("a", "", time.Second, 0))
		if err != nil || o.Token != 1001 {
			t.Errorf("the first token is %d (%v), want 1001", o.Token, err)
		}
	})
}

// What cannot be meant is refused, and nothing is left running.
func TestOpenRefuses(t *testing.T) {
	failed := errors.New("no journal today")
	for name, tt := range map[string]struct {
		cfg  Config
		open func(journal.Machine) (journal.Journal, error)
		want string
	}{
		"negative":     {Config{StallLimit: -1}, memory.Open, "StallLimit"},
		"backlog":      {Config{EventBacklog: -1}, memory.Open, "EventBacklog"},
		"settings":     {Config{Settings: lock.Settings{MinTTL: lock.Minute, MaxTTL: lock.Second}}, memory.Open, "Settings"},
		"member":       {Config{Member: "\xff"}, memory.Open, "Member"},
		"quiet":        {Config{QuietStart: 200 * 365 * 24 * time.Hour}, memory.Open, "QuietStart"},
		"no journal":   {Config{}, func(journal.Machine) (journal.Journal, error) { return nil, failed }, failed.Error()},
		"lost journal": {Config{}, closedJournal, "catch up"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(tt.cfg, tt.open)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one about %q", err, tt.want)
			}
		})
	}
}

func closedJournal(m journal.Machine) (journal.Journal, error) {
	j, err := memory.Open(m)
	if err != nil {
		return nil, err
	}
	return j, j.Close()
}

// Close answers everybody who waits, ends links and watches, and refuses
// whatever comes later.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.acquire(l, 0, "a")
		waiting := h.goCall(context.Background(), queue(l, 1, 1, "a"))
		w, err := h.Watch(WatchFilter{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		watching := make(chan error, 1)
		go func() {
			_, err := w.Next(context.Background())
			watching <- err
		}()
		synctest.Wait()
		if err := h.Err(); err != nil {
			t.Errorf("an open node has ended: %v", err)
		}
		for range 2 {
			if err := h.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		<-h.Done()
		<-l.Ended()
		wantError(t, (<-waiting).err, ErrClosed)
		wantError(t, <-watching, ErrClosed)
		wantError(t, l.Reason(), ErrClosed)
		wantError(t, h.Err(), ErrClosed)

		ctx := context.Background()
		_, err = h.Call(ctx, queue(l, 2, 1, "b"))
		wantError(t, err, ErrClosed)
		wantError(t, l.Submit(ctx, []lock.Command{ask(l, 3, 1, "b")}), ErrClosed)
		_, _, err = h.Attach(ctx, &lock.Open{Secret: lock.SecretHash{2}})
		wantError(t, err, ErrClosed)
		_, _, err = h.Lookup(ctx, "a")
		wantError(t, err, ErrClosed)
		_, _, err = h.List(ctx, lock.LockFilter{}, 0, 10)
		wantError(t, err, ErrClosed)
		_, _, err = h.LookupSession(ctx, 1)
		wantError(t, err, ErrClosed)
		_, _, err = h.Sessions(ctx, 0, 10)
		wantError(t, err, ErrClosed)
		_, err = h.Watch(WatchFilter{}, 0)
		wantError(t, err, ErrClosed)
		l.Detach(0, false)
		h.Advance(time.Second)
	})
}

// A call that is in doubt, or about to be cancelled, does not outlive the node.
func TestCloseWhileInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.desk.rule(only(&lock.Acquire{}, lose))
		calling := h.goCall(context.Background(), queue(l, 0, 1, "a"))
		attaching := make(chan error, 1)
		h.desk.rule(func(c lock.Command) ending {
			switch c.(type) {
			case *lock.Acquire, *lock.Open, *lock.Detach:
				return lose
			}
			return pass
		})
		go func() {
			_, _, err := h.Attach(context.Background(), &lock.Open{Secret: lock.SecretHash{2}})
			attaching <- err
		}()
		l.Detach(0, false)
		elapse(10 * time.Second)
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		wantError(t, (<-calling).err, ErrClosed)
		wantError(t, <-attaching, ErrClosed)
	})
}

// A journal that has failed ends the node: everybody is told, and why.
func TestFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.acquire(l, 0, "a")
		waiting := h.goCall(context.Background(), queue(l, 1, 1, "a"))
		h.desk.rule(only(&lock.Mark{}, doom))
		_, err := h.Call(context.Background(), &lock.Mark{})
		wantError(t, err, journal.ErrFatal, ErrClosed)
		wantError(t, (<-waiting).err, journal.ErrFatal, ErrClosed)
		<-h.Done()
		wantError(t, h.Err(), journal.ErrFatal, ErrClosed)
		<-l.Ended()
		wantError(t, l.Reason(), journal.ErrFatal)
	})
}
