package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/certs/certstest"
)

// asking are all commands that ask a server, as they are called.
var asking = []string{
	"ls", "get x", "watch", "sessions ls", "sessions get 1", "sessions kill 1 --yes", "unlock x y", "unlock --force --yes x",
	"unlock --force --yes --token 1 x", "renew x y --lease 1", "resize x 2", "status", "ping", "ls -w",
}

func TestNoServer(t *testing.T) {
	address := freePort(t)
	for _, args := range asking {
		got := call(t, Ldlm, environment{"LDLM_ADDRESS": address}, strings.Fields(args)...)
		if got.code != 69 || got.stdout != "" || !strings.HasPrefix(got.stderr, "ldlm: ") || !strings.Contains(got.stderr, ": no server can serve: "+address+": connection refused\n") ||
			!strings.HasSuffix(got.stderr, "\nIs a server there? One to try things with: ldlm dev. Elsewhere: --address HOST:PORT, or LDLM_ADDRESS. Asked: "+address+".\n") {
			t.Errorf("ldlm %s: got %+v", args, got)
		}
	}
}

func TestNoServers(t *testing.T) {
	first, second := freePort(t), freePort(t)
	got := call(t, Ldlm, environment{"LDLM_ADDRESS": first + "," + second}, "lock", "x", "--", "true")
	want := `ldlm: lock "x": no server can serve: ` + first + ": connection refused\n" + second + ": connection refused\nIs a server there?"
	if got.code != 69 || !strings.HasPrefix(got.stderr, want) {
		t.Errorf("got %+v, want %q", got, want)
	}
}

// Somebody listens and says nothing: that is as good as nobody, except where
// something may have been changed.
func TestServerThatSaysNothing(t *testing.T) {
	address := takePort(t).Addr().String()
	for _, args := range []string{"ls", "get x", "sessions ls", "status", "ping", "wait-ready"} {
		got := call(t, Ldlm, environment{"LDLM_ADDRESS": address}, append(strings.Fields(args), "--timeout", "0.1")...)
		if got.code != 69 || got.stdout != "" || !strings.Contains(got.stderr, "no answer within 100ms (--timeout)") || !strings.HasSuffix(got.stderr, "Asked: "+address+".\n") {
			t.Errorf("ldlm %s: got %+v", args, got)
		}
	}
}

// A try is such a question; what it may have been granted is given back.
func TestTryThatNobodyAnswers(t *testing.T) {
	address := takePort(t).Addr().String()
	for _, args := range []string{"lock -n x", "lock -w 0 x", "lock -n --all x y -- true", "elect -n x -- true"} {
		got := call(t, Ldlm, environment{"LDLM_ADDRESS": address}, append([]string{"--timeout=0.1"}, strings.Fields(args)...)...)
		if got.code != 69 || got.stdout != "" || !strings.Contains(got.stderr, `"x": no answer within 100ms (--timeout)`) || !strings.HasSuffix(got.stderr, "Asked: "+address+".\n") {
			t.Errorf("ldlm %s: got %+v", args, got)
		}
	}
}

func TestAddressThatIsNone(t *testing.T) {
	for address, text := range map[string]string{
		"http://127.0.0.1:3144": `address "http://127.0.0.1:3144"`, "127.0.0.1:x": `address "127.0.0.1:x"`, ",": "no address",
	} {
		got := call(t, Ldlm, nil, "status", "--address", address)
		if got.code != 64 || !strings.HasPrefix(got.stderr, "ldlm: "+text) || !strings.HasSuffix(got.stderr, "\nWant HOST:PORT, several separated by commas, or unix:PATH.\n") {
			t.Errorf("%s: got %+v", address, got)
		}
	}
}

// Somebody listens whose certificate is not to be trusted: that is not as good as nobody.
func TestWrongCertificate(t *testing.T) {
	a, other := certstest.New(t), certstest.New(t)
	pair := a.Issue("server", time.Now().Add(time.Hour))
	address := startServer(t, nil, "--tls_cert", pair.Certificate, "--tls_key", pair.Key).address(t)
	for _, args := range asking {
		got := call(t, Ldlm, environment{"LDLM_ADDRESS": address}, append(strings.Fields(args), "--tls-ca", other.File)...)
		if got.code != 69 || got.stdout != "" || !strings.Contains(got.stderr, "\nThe server's certificate is checked against --tls-ca FILE") {
			t.Errorf("ldlm %s: got %+v", args, got)
		}
	}
}

// One side encrypts and the other does not, or the port is that of something else.
func TestServerThatIsNotUnderstood(t *testing.T) {
	pair := certstest.New(t).Issue("server", time.Now().Add(time.Hour))
	encrypted := startServer(t, nil, "--tls_cert", pair.Certificate, "--tls_key", pair.Key).address(t)
	r := startDev(t, nil, "-l", "127.0.0.1:0", "--ipc_socket_file", "", "-o", "json")
	var d devDocument
	if err := json.Unmarshal([]byte(r.stdout.await(t, "\n")), &d); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"ls", "ping", "watch", "lock x -- true", "unlock x y"} {
		for _, how := range [][]string{{"--address", encrypted}, {"--address", d.Address, "--tls"}, {"--address", d.RESTAddress}} {
			got := call(t, Ldlm, nil, append(append([]string{"--timeout=1h"}, how...), strings.Fields(args)...)...)
			if got.code != 69 || got.stdout != "" || !strings.HasSuffix(got.stderr,
				"\nWhoever is there has hung up, or is not understood. Is that the port? Does it want TLS (--tls, --tls-ca FILE), or none? Asked: "+how[1]+".\n") {
				t.Errorf("ldlm %s, %q: got %+v", args, how, got)
			}
		}
	}
}

func TestWrongPassword(t *testing.T) {
	var address string
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("swordfish\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, env := range []environment{{}, {"LDLM_PASSWORD": "haddock"}} {
		// Each has a server of its own, which slows down who guesses for long.
		address = startServer(t, environment{"LDLM_PASSWORD": "swordfish"}).address(t)
		env["LDLM_ADDRESS"] = address
		for _, args := range append(asking, "wait-ready") {
			got := call(t, Ldlm, env, strings.Fields(args)...)
			if got.code != 77 || got.stdout != "" || !strings.HasSuffix(got.stderr, "\nThe password comes from --password-file FILE, or LDLM_PASSWORD; a token from --token-file FILE, or LDLM_TOKEN.\n") {
				t.Errorf("ldlm %s: got %+v", args, got)
			}
		}
		if got := call(t, Ldlm, env, "ls", "--password-file", file); got.code != 0 {
			t.Errorf("with the password: got %+v", got)
		}
	}
	got := call(t, Ldlm, environment{"LDLM_ADDRESS": address}, "ls", "--password-file", file+".not")
	if got.code != 64 || !strings.HasPrefix(got.stderr, "ldlm: cannot read the file of the password: ") {
		t.Errorf("got %+v", got)
	}
}

// Whoever reads has had enough: nothing is said.
func TestBrokenPipe(t *testing.T) {
	s := newSite(t)
	takeLock(t, s.client(t, "db-1"), "x")
	for _, args := range [][]string{{"ls"}, {"ls", "-w"}, {"watch", "--after", "123456789", "-q"}, {"context", "ls"}, {"ping", "-o", "json"}} {
		stderr := newOutput()
		code := Ldlm(Process{
			Args: args, Stdin: strings.NewReader(""), Stdout: brokenPipe{}, Stderr: stderr, Getenv: s.env.in(t.TempDir()),
			Notify: func() (<-chan os.Signal, func()) { return nil, func() {} },
		})
		if code != 141 || stderr.String() != "" {
			t.Errorf("ldlm %q: exit code %d, stderr %q", args, code, stderr.String())
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}

// What cannot be written for another reason is a failure.
func TestFullDisk(t *testing.T) {
	s := newSite(t)
	for _, args := range []string{"ls", "ls -o yaml", "ls --sort none", "context ls", "version", "help lock", "help exit-codes", "lock --help", "config", "completion bash"} {
		stderr := newOutput()
		code := Ldlm(Process{
			Args: strings.Fields(args), Stdout: fullDisk{}, Stderr: stderr, Getenv: s.env.in(t.TempDir()),
			Notify: func() (<-chan os.Signal, func()) { return nil, func() {} },
		})
		if got := stderr.String(); code != 1 || got != "ldlm: no space left on device\n" {
			t.Errorf("ldlm %s: exit code %d, stderr %q", args, code, got)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
