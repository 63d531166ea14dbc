package server_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/server"
)

// dialV1 connects a client of the first protocol.
func dialV1(t *testing.T, address string) ldlmv1.LDLMClient {
	t.Helper()
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test is over
	return ldlmv1.NewLDLMClient(c)
}

func durably(dir string) func(*server.Config) {
	return func(c *server.Config) { c.DataDir, c.RestartLease = dir, 10*time.Minute }
}

// A server ends in order, or is killed, while a client of the first protocol holds a
// lock and another waits for it. After the restart nobody else has it, and its key
// is good.
func TestRestartWithClientsOfTheFirstProtocol(t *testing.T) {
	for _, end := range []string{"shutdown", "kill"} {
		t.Run(end, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			p := startPorts(t, durably(dir))
			held, err := dialV1(t, p.clients).Lock(t.Context(), &ldlmv1.LockRequest{Name: "a"})
			if err != nil || !held.GetLocked() {
				t.Fatalf("lock: %v, %v", held, err)
			}
			waited := make(chan error, 1)
			go func() {
				_, err := dialV1(t, p.clients).Lock(context.WithoutCancel(t.Context()), &ldlmv1.LockRequest{Name: "a"})
				waited <- err
			}()
			awaitWaiter(t, p)
			if end == "kill" {
				copied := filepath.Join(t.TempDir(), "data")
				if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				dir = copied
			}
			ctx, cancel := context.WithTimeout(context.Background(), fuse)
			defer cancel()
			if err := p.Shutdown(ctx); err != nil {
				t.Fatal(err)
			}
			if err := <-waited; status.Code(err) != codes.Unavailable {
				t.Errorf("who waited got %v, want unavailable", err)
			}

			v1 := dialV1(t, startPorts(t, durably(dir)).clients)
			if again, err := v1.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "a"}); err != nil || again.GetLocked() {
				t.Errorf("somebody else: %v, %v", again, err)
			}
			if renewed, err := v1.Renew(t.Context(), &ldlmv1.RenewRequest{Name: "a", Key: held.GetKey(), LockTimeoutSeconds: 60}); err != nil || !renewed.GetLocked() {
				t.Errorf("renew: %v, %v", renewed, err)
			}
			if let, err := v1.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "a", Key: held.GetKey()}); err != nil || !let.GetUnlocked() {
				t.Errorf("unlock: %v, %v", let, err)
			}
			if again, err := v1.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "a"}); err != nil || !again.GetLocked() {
				t.Errorf("afterwards: %v, %v", again, err)
			}
		})
	}
}

// awaitWaiter returns when somebody waits for the lock a.
func awaitWaiter(t *testing.T, p *ports) {
	t.Helper()
	for {
		view, _, err := p.Node().Lookup(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if len(view.Waiters) > 0 {
			return
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A directory that cannot be used keeps the server from starting, and its ports are
// free again.
func TestDataDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	p := startPorts(t, durably(dir))
	cfg := server.Config{Listener: listen(t), REST: listen(t)}
	durably(dir)(&cfg)
	s, err := server.Start(cfg)
	if err == nil {
		_ = s.Shutdown(t.Context())
		t.Fatal("a second server has started over the same directory")
	}
	for _, l := range []net.Listener{cfg.Listener, cfg.REST} {
		if l.Close() == nil {
			t.Error("a port was left open")
		}
	}
	if _, _, err := p.Node().Lookup(t.Context(), "a"); err != nil {
		t.Errorf("the first one: %v", err)
	}
}
