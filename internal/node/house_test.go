package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// elapse lets fake time pass, and everything happen that is due by then.
func elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// house is a node on a desk, with what tests need often.
type house struct {
	*Node
	t    *testing.T
	desk *desk
}

func openHouse(t *testing.T, cfg Config) *house {
	t.Helper()
	var d *desk
	n, err := Open(cfg, func(m journal.Machine) (journal.Journal, error) {
		d = openDesk(m)
		return d, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{n, t, d}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := n.table.Check(); err != nil {
			t.Errorf("the table is broken: %v", err)
		}
	})
	return h
}

// link attaches the session of a secret.
func (h *house) link(secret byte) *Link {
	h.t.Helper()
	return h.linkAs(&lock.Open{Secret: lock.SecretHash{secret}})
}

func (h *house) linkAs(open *lock.Open) *Link {
	h.t.Helper()
	l, o, err := h.Attach(context.Background(), open)
	if err != nil || o.Code != lock.OK {
		h.t.Fatalf("attach: code %d, %v", o.Code, err)
	}
	return l
}

// submit submits commands over a link and returns what its mailbox then has.
func (h *house) submit(l *Link, commands ...lock.Command) []Notice {
	h.t.Helper()
	if err := l.Submit(context.Background(), commands); err != nil {
		h.t.Fatalf("submit: %v", err)
	}
	return l.Take(nil)
}

// acquire takes a lock at once.
func (h *house) acquire(l *Link, slot uint32, name string) lock.Outcome {
	h.t.Helper()
	got := h.submit(l, ask(l, slot, 1, name))
	if len(got) != 1 || got[0].Outcome.Code != lock.OK {
		h.t.Fatalf("acquire %q: got %+v", name, got)
	}
	return got[0].Outcome
}

// call makes a Call that must not fail.
func (h *house) call(c lock.Command) lock.Outcome {
	h.t.Helper()
	o, err := h.Call(context.Background(), c)
	if err != nil {
		h.t.Fatalf("call %T: %v", c, err)
	}
	return o
}

// await waits until something has gathered in a link's mailbox, and takes it.
func (h *house) await(l *Link) []Notice {
	h.t.Helper()
	<-l.Wake()
	return l.Take(nil)
}

// caller is the caller of a command over a link.
func caller(l *Link, slot uint32, seq uint64) lock.Caller {
	return lock.Caller{Session: l.Session(), Attach: l.Number(), Slot: slot, Seq: seq}
}

// ask is an acquire over a link that does not wait; queue one that does.
func ask(l *Link, slot uint32, seq uint64, name string) *lock.Acquire {
	return &lock.Acquire{Caller: caller(l, slot, seq), Items: []lock.Item{{Name: name}}}
}

func queue(l *Link, slot uint32, seq uint64, name string) *lock.Acquire {
	a := ask(l, slot, seq, name)
	a.Wait = lock.Forever
	return a
}

func release(l *Link, slot uint32, seq uint64, name string, token lock.Token) *lock.Release {
	return &lock.Release{Caller: caller(l, slot, seq), Hold: lock.Hold{Name: name, Token: token}}
}

// outside is an acquire outside sessions.
func outside(name, id string, lease, wait time.Duration) *lock.Acquire {
	return &lock.Acquire{
		Caller: lock.Caller{RequestID: id, Attempt: 1}, Items: []lock.Item{{Name: name}},
		Lease: spanOf(lease), Wait: spanOf(wait),
	}
}

// held returns how many holders and waiters a lock has.
func (h *house) held(name string) (holders, waiters int) {
	h.t.Helper()
	v, _, err := h.Lookup(context.Background(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	return v.HolderCount, v.WaiterCount
}

// wantHeld checks them.
func (h *house) wantHeld(name string, holders, waiters int) {
	h.t.Helper()
	if gotHolders, gotWaiters := h.held(name); gotHolders != holders || gotWaiters != waiters {
		h.t.Errorf("%q has %d holders and %d waiters, want %d and %d", name, gotHolders, gotWaiters, holders, waiters)
	}
}

// wantError checks that an error wraps all of want.
func wantError(t *testing.T, got error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(got, w) {
			t.Errorf("got error %v, want one that wraps %q", got, w)
		}
	}
}
