package server_test

import (
	"errors"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/ldlm-io/ldlm"
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
)

// narrow makes changes to the account of a token and takes them over, as a reload does.
type narrow func(change func(p *auth.Principal))

// narrowable is a server with one principal, for which names begin with old/ and new/.
func narrowable(t *testing.T) (p *ports, gate *auth.Gate, token string, change narrow) {
	t.Helper()
	token, hash := auth.NewToken()
	p, gate, _ = house(t)
	change = func(f func(p *auth.Principal)) {
		who := auth.Principal{Name: "web", Role: auth.Client, Prefixes: []string{"old/", "new/"}}
		f(&who)
		gate.SetAccounts([]auth.Account{{Principal: who, Tokens: []auth.TokenHash{hash}}})
	}
	change(func(*auth.Principal) {})
	return p, gate, token, change
}

// TestNarrowedWhileHeld: what is held and waited for when prefixes are narrowed, or the
// role is, goes on; nothing more may be asked for; and what is held may be given back.
func TestNarrowedWhileHeld(t *testing.T) {
	for what, f := range map[string]func(p *auth.Principal){
		"the prefixes": func(p *auth.Principal) { p.Prefixes = p.Prefixes[1:] },
		"the role":     func(p *auth.Principal) { p.Role = auth.Read },
	} {
		for carrier, opts := range map[string][]ldlm.DialOption{"plain": nil, "gRPC": {ldlm.WithGRPC()}} {
			t.Run(what+", "+carrier, func(t *testing.T) { narrowWhileHeld(t, f, opts) })
		}
	}
}

func narrowWhileHeld(t *testing.T, f func(p *auth.Principal), opts []ldlm.DialOption) {
	p, gate, token, change := narrowable(t)
	dial := func() *ldlm.Client {
		c, err := ldlm.Dial(p.clients, append(opts, ldlm.WithToken(token))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	holder, waiter := dial(), dial()
	held, err := holder.Lock(t.Context(), "old/a")
	if err != nil {
		t.Fatal(err)
	}
	granted := make(chan error, 1)
	var second *ldlm.Lock
	p.await(t, "old/a", lock.RequestQueued, func() {
		go func() {
			var err error
			second, err = waiter.Lock(t.Context(), "old/a")
			granted <- err
		}()
	})

	change(f)
	denied := gate.Counts().Denied
	if _, err := holder.TryLock(t.Context(), "old/b"); !errors.Is(err, ldlm.ErrDenied) {
		t.Errorf("a new lock: %v", err)
	}
	if err := held.SetValue(t.Context(), []byte("x")); !errors.Is(err, ldlm.ErrDenied) {
		t.Errorf("a value: %v", err)
	}
	if n := gate.Counts().Denied - denied; n != 2 {
		t.Errorf("%d refusals were counted, want 2", n)
	}
	if err := held.Release(t.Context()); err != nil {
		t.Fatalf("to give back what is held: %v", err)
	}
	if err := <-granted; err != nil {
		t.Fatalf("who waited: %v", err)
	}
	if err := second.Release(t.Context()); err != nil {
		t.Errorf("to give back what was waited for: %v", err)
	}
	if n := gate.Counts().Denied - denied; n != 2 {
		t.Errorf("to give back counts as a refusal: %d", n)
	}
}

// TestReleaseTellsNothing: who may not use a lock learns by a release that it does not
// hold neither whether there is one nor whether it is held.
func TestReleaseTellsNothing(t *testing.T) {
	p, _, visitors := house(t)
	ops, err := ldlm.Dial(p.clients, ldlm.WithToken(visitors[6].credential))
	if err != nil {
		t.Fatal(err)
	}
	defer ops.Close()
	if _, err := ops.Lock(t.Context(), "out/there"); err != nil {
		t.Fatal(err)
	}
	web, err := ldlm.Dial(p.clients, ldlm.WithToken(visitors[3].credential))
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	for _, name := range []string{"out/there", "out/nowhere"} {
		err := web.ReleaseKey(t.Context(), name, "0123456789abcdef0123456789abcdef")
		if !errors.Is(err, ldlm.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNarrowedV1: a client of the first protocol has names and keys alone, and is
// refused; its lock ends with its connection.
func TestNarrowedV1(t *testing.T) {
	p, _, token, change := narrowable(t)
	conn, err := grpc.NewClient("passthrough:///"+p.clients, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", token)
	v1 := ldlmv1.NewLDLMClient(conn)
	r, err := v1.TryLock(ctx, &ldlmv1.TryLockRequest{Name: "old/a", LockTimeoutSeconds: proto.Int32(3600)})
	if err != nil || !r.GetLocked() {
		t.Fatalf("%v, %v", r, err)
	}
	change(func(p *auth.Principal) { p.Prefixes = p.Prefixes[1:] })
	if _, err := v1.Renew(ctx, &ldlmv1.RenewRequest{Name: "old/a", Key: r.GetKey(), LockTimeoutSeconds: 3600}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("renew: %v", err)
	}
	if _, err := v1.Unlock(ctx, &ldlmv1.UnlockRequest{Name: "old/a", Key: r.GetKey()}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("unlock: %v", err)
	}
	p.await(t, "old/a", lock.HoldReleased, func() {
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// await does something, and waits for an event of a lock that comes of it.
func (p *ports) await(t *testing.T, name string, what lock.EventType, do func()) {
	t.Helper()
	w, err := p.Node().Watch(node.WatchFilter{Name: name}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	do()
	for {
		events, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range events {
			if events[i].Type == what {
				return
			}
		}
	}
}
