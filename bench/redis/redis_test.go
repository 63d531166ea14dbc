package redis

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm/internal/load"
)

// startRedis starts a server that ends with the test. Where everything has to be
// tried there must be one.
func startRedis(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("there is no redis-server:", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	c := exec.CommandContext(t.Context(), path, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			return l.Addr().String()
		}
	}
	t.Fatal("it does not say that it is ready")
	return ""
}

func TestLocksExclude(t *testing.T) {
	address := startRedis(t)
	pipelined, err := Pipelined(address)
	if err != nil {
		t.Fatal(err)
	}
	for kind, conn := range map[string]load.Conn{"pool": Pool(address, 2), "pipelined": pipelined} {
		name := "name of " + kind
		h, err := conn.Lock(t.Context(), name)
		if err != nil {
			t.Fatal(kind, err)
		}
		if _, err := conn.Lock(t.Context(), name); err == nil || err.Error() != fmt.Sprintf("lock %q is held, and nobody waits here", name) {
			t.Errorf("%s: taken twice: %v", kind, err)
		}
		if err := h.Release(t.Context()); err != nil {
			t.Errorf("%s: release: %v", kind, err)
		}
		next, err := conn.Lock(t.Context(), name)
		if err != nil {
			t.Errorf("%s: it was released: %v", kind, err)
		}
		// Who does not hold it any more does not take it from who does.
		if err := h.Release(t.Context()); err == nil || err.Error() != fmt.Sprintf("lock %q was not held any more", name) {
			t.Errorf("%s: released twice: %v", kind, err)
		}
		if err := next.Release(context.Background()); err != nil {
			t.Errorf("%s: release: %v", kind, err)
		}
		if err := conn.Close(); err != nil {
			t.Errorf("%s: close: %v", kind, err)
		}
	}
}
