package load

import (
	"context"
	"crypto/tls"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/server"
)

// start starts a server that ends with the test, and returns its address.
func start(t *testing.T, network, address string, passwords auth.Passwords) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(server.Config{Listener: l, Passwords: passwords})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// dialers make connections over each of the carriers.
func dialers(address string) map[string]func(context.Context) (Conn, error) {
	native := func(options ...ldlm.DialOption) func(context.Context) (Conn, error) {
		return func(context.Context) (Conn, error) {
			c, err := ldlm.Dial(address, options...)
			if err != nil {
				return nil, err
			}
			return Native(c), nil
		}
	}
	return map[string]func(context.Context) (Conn, error){
		"plain": native(), "grpc": native(ldlm.WithGRPC()),
		"v1": func(context.Context) (Conn, error) { return V1(address, nil, "") },
	}
}

func TestEveryWorkloadOverEveryCarrier(t *testing.T) {
	address := start(t, "tcp", "127.0.0.1:0", auth.NewPasswords())
	for carrier, dial := range dialers(address) {
		for _, workload := range Workloads() {
			c := Config{Dial: dial, Workload: workload, Workers: 4, Connections: 2, Pairs: 200, Prefix: carrier + "/"}
			if workload == Held {
				c.HeldLocks = 300
			}
			got, err := Run(t.Context(), c)
			if err != nil || got.Pairs != 200 || got.PairsPerSecond <= 0 || got.Latency.Max <= 0 || got.Latency.P50 > got.Latency.Max {
				t.Errorf("%s, %s: got %+v, %v", carrier, workload, got, err)
			}
		}
	}
}

// What is taken is held until the connection is closed.
func TestTake(t *testing.T) {
	address := start(t, "tcp", "127.0.0.1:0", auth.NewPasswords())
	other, err := ldlm.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for carrier, dial := range dialers(address) {
		conn, err := dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := Take(t.Context(), conn, carrier, 300); err != nil {
			t.Errorf("%s: %v", carrier, err)
		}
		for _, name := range []string{"00000000", "00000299"} {
			if l, err := other.TryLock(t.Context(), carrier+name); err == nil {
				t.Errorf("%s: %s is free", carrier, l.Name())
			}
		}
		if _, err := other.TryLock(t.Context(), carrier+"00000300"); err != nil {
			t.Errorf("%s: one too many: %v", carrier, err)
		}
		if err := conn.Close(); err != nil {
			t.Errorf("%s: %v", carrier, err)
		}
		if _, err := other.Lock(t.Context(), carrier+"00000000"); err != nil {
			t.Errorf("%s: it was closed: %v", carrier, err)
		}
	}
}

func TestV1ShowsItsPassword(t *testing.T) {
	address := start(t, "tcp", "127.0.0.1:0", auth.NewPasswords("x"))
	for password, want := range map[string]string{"x": "", "y": "Unauthenticated", "": "Unauthenticated"} {
		conn, err := V1(address, nil, password)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Lock(t.Context(), "a")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("password %q: got %v", password, err)
		}
		conn.Close()
	}
}

func TestV1OverUnixSocket(t *testing.T) {
	address := start(t, "unix", filepath.Join(t.TempDir(), "s"), auth.NewPasswords())
	conn, err := V1("unix:"+address, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Lock(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestV1Refusals(t *testing.T) {
	address := start(t, "tcp", "127.0.0.1:0", auth.NewPasswords())
	conn, err := V1(address, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Lock(t.Context(), ""); err == nil || !strings.HasPrefix(err.Error(), `lock "": `) {
		t.Errorf("no name: %v", err)
	}
	h, err := conn.Lock(t.Context(), "a")
	if err == nil {
		err = h.Release(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Release(t.Context()); err == nil || !strings.HasPrefix(err.Error(), `release of "a": `) {
		t.Errorf("released twice: %v", err)
	}
	encrypted, err := V1(address, &tls.Config{MinVersion: tls.VersionTLS12}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer encrypted.Close()
	if _, err := encrypted.Lock(t.Context(), "a"); err == nil {
		t.Error("the server speaks plain text, and yet there is a lock")
	}
}

func TestTarget(t *testing.T) {
	for address, want := range map[string]string{
		"a:1": "dns:a:1", "a": "dns:a:3144", "[::1]:1": "dns:[::1]:1", "::1": "dns:[::1]:3144", "[::1]": "dns:[::1]:3144",
		" a:1 , b:2": "dns:a:1", "unix:/s": "unix:/s", "": "", "a:": "", //nolint:gocritic // blanks are cut
	} {
		if got, err := target(address); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", address, got, err, want)
		}
	}
}
