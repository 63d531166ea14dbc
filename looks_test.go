package ldlm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/ldlmtest"
)

// TestLooks looks at a holder and a waiter from outside.
func TestLooks(t *testing.T) {
	srv := ldlmtest.NewServer(t)
	holder, waiter := srv.Client(t), srv.Client(t)
	ctx := t.Context()
	l, err := holder.Lock(ctx, "a", ldlm.Reason("because"))
	if err != nil {
		t.Fatal(err)
	}
	queued := make(chan struct{})
	go func() {
		defer close(queued)
		w, err := waiter.LockAll(ctx, []string{"a", "b"})
		if err != nil {
			t.Error(err)
			return
		}
		_ = w.Release(ctx)
	}()
	admin := holder.Admin()
	info, err := admin.Get(ctx, "a")
	for err == nil && info.WaiterCount == 0 {
		info, err = admin.Get(ctx, "a")
	}
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, e := range info.Events {
		types = append(types, e.Type.String())
	}
	if got := strings.Join(types, " "); got != "acquired queued" {
		t.Errorf("events are %q, want acquired queued", got)
	}

	s, err := admin.Session(ctx, info.Holders[0].Session)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Held) != 1 || s.Held[0].Name != "a" || s.Held[0].Token != l.Token() || s.Held[0].Reason != "because" || s.LastHeard < 0 {
		t.Errorf("the holder is %+v", s)
	}
	s, err = admin.Session(ctx, info.Waiters[0].Session)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Waiting) != 2 || s.Waiting[0].Name != "a" || s.Waiting[1].Name != "b" || s.Waiting[1].Names != 1 || len(s.Held) != 0 {
		t.Errorf("the waiter is %+v", s)
	}
	if _, err := admin.Session(ctx, 1<<40); !errors.Is(err, ldlm.ErrNotFound) || !strings.Contains(err.Error(), "session") {
		t.Errorf("a session that there is not: %v, want ErrNotFound", err)
	}

	looksStatus(t, admin, l.Token())
	if err := l.Release(ctx); err != nil {
		t.Fatal(err)
	}
	<-queued
}

func looksStatus(t *testing.T, admin *ldlm.Admin, token uint64) {
	t.Helper()
	got, err := admin.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Uptime <= 0 {
		t.Errorf("it has been running for %s", got.Uptime)
	}
	if got.Refusals == nil || *got.Refusals != (ldlm.Refusals{}) {
		t.Errorf("refused were %+v, want nobody", got.Refusals)
	}
	got.Uptime, got.Refusals = 0, nil
	want := ldlm.ServerStatus{
		Version: "ldlmtest", Leads: true, Locks: 2, Held: 1, Contended: 2, Holds: 1, Waiters: 1,
		Sessions: 2, Attached: 2, Token: token,
	}
	if got != want {
		t.Errorf("status is %+v, want %+v", got, want)
	}
}
