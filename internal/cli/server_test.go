package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ldlm-io/ldlm"
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
)

// The lines of a start and an end that other programs look for.
func TestLogOfALife(t *testing.T) {
	r := startServer(t, nil)
	r.address(t)
	got := r.stop(syscall.SIGTERM)
	if got.code != 0 || got.stdout != "" {
		t.Errorf("exit code %d, stdout %q", got.code, got.stdout)
	}
	socket := filepath.Join(r.dir, "ldlm-ipc.sock")
	for _, l := range [][]any{
		{"INFO", "IPC server started", "socket", socket},
		{"WARN", "gRPC server started. Listening on 127.0.0.1:0"},
		{"WARN", "Shutting down..."},
		{"INFO", "IPC server shutting down..."},
		{"INFO", "IPC server shut down"},
	} {
		wantLog(t, got.stderr, l[0].(string), l[1].(string), l[2:]...)
	}
	if left := names(t, r.dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestSocketIsOff(t *testing.T) {
	r := startServer(t, nil, "--ipc_socket_file", "")
	r.address(t)
	wantLog(t, r.stop(syscall.SIGTERM).stderr, "WARN", "IPC server disabled because of empty socket file path")
}

func TestLogLevel(t *testing.T) {
	r := startServer(t, environment{"LDLM_LOG_LEVEL": "warn"})
	log := r.stderr.await(t, "gRPC server started")
	if strings.Contains(log, `"INFO"`) {
		t.Errorf("lines of INFO at level warn:\n%s", log)
	}
}

func TestArguments(t *testing.T) {
	r := startServer(t, nil, "ignored", "--", "--nope")
	r.address(t)
}

// The old command and the new one are one server.
func TestLdlmServer(t *testing.T) {
	r := start(t, Ldlm, nil, "server", "--listen-address", "127.0.0.1:0")
	client, _ := dialV1(t, r.address(t))
	take(t, client, "a", 1)
	if got := r.stop(syscall.SIGINT); got.code != 0 {
		t.Errorf("exit code %d, log\n%s", got.code, got.stderr)
	}
}

// ownProcess is how a message ends that names this process, where it can be found.
func ownProcess() string {
	if runtime.GOOS != "linux" {
		return "\n"
	}
	return fmt.Sprintf("; its process is %d\n", os.Getpid())
}

func TestPortInUse(t *testing.T) {
	taken := takePort(t).Addr().String()
	r := start(t, LdlmServer, nil, "-l", taken)
	got := r.wait()
	want := "net.Run() error starting server: listen tcp " + taken + ": bind: address already in use\n" +
		"listen_address " + taken + " is in use; whoever has it is no ldlm that answers" + ownProcess()
	if got.code != 1 || got.stdout != "" || !strings.HasSuffix(got.stderr, want) {
		t.Errorf("exit code %d, stdout %q, stderr\n%swant\n%s", got.code, got.stdout, got.stderr, want)
	}
	if left := names(t, r.dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestAddressThatCannotBe(t *testing.T) {
	got := call(t, LdlmServer, nil, "-l", "127.0.0.1:99999")
	if got.code != 1 || !strings.Contains(got.stderr, "net.Run() error starting server: listen tcp: address 99999: invalid port") {
		t.Errorf("exit code %d, stderr %q", got.code, got.stderr)
	}
}

func existsText(path string) string {
	return "server.New() error creating server: ipc.Run(): file: " + path + " exists. IPC socket file already exists. " +
		"If another instance of ldlm isn't running, delete the socket file and try again. Otherwise, shut down that instance before " +
		"starting a new one. Alternatively specify a different IPC socket file\n"
}

func TestSocketInTheWay(t *testing.T) {
	first := startServer(t, nil)
	first.address(t)
	path := filepath.Join(first.dir, "ldlm-ipc.sock")
	if got, want := call(t, LdlmServer, environment{"TMPDIR": first.dir}, "-l", freePort(t)), existsText(path); got != (result{1, "", want}) {
		t.Errorf("got %+v\nwant %s", got, want)
	}
	if got := lockTool(t, first, "list"); got.code != 0 {
		t.Errorf("the first server's socket is gone: %+v", got)
	}

	dir := shortDir(t)
	file, missing, long := filepath.Join(dir, "file"), filepath.Join(dir, "no", "s"), filepath.Join(dir, strings.Repeat("x", 200))
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file: existsText(file),
		missing: "server.New() error creating server: ipc.Run(): ipc.Run() net.listen error: listen unix " + missing +
			": bind: no such file or directory\n",
		long: fmt.Sprintf("server.New() error creating server: ipc.Run(): socket path %s is %d bytes long, and this system allows %d: "+
			"choose a shorter one\n", long, len(long), len(syscall.RawSockaddrUnix{}.Path)-1),
	} {
		if got := call(t, LdlmServer, nil, "-l", freePort(t), "--ipc_socket_file", path); got != (result{1, "", want}) {
			t.Errorf("%s: got %+v\nwant %s", path, got, want)
		}
	}
	if left := names(t, dir); left != "file" {
		t.Errorf("left behind: %s", left)
	}
}

func TestSignalsEndTheProgram(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		c := spawn(t, "ldlm-server", "-l", "127.0.0.1:0")
		c.stderr.await(t, "Server runs")
		if code := c.signal(t, s); code != 0 {
			t.Errorf("%v: exit code %d", s, code)
		}
		wantLog(t, c.stderr.String(), "WARN", "Shutting down...")
		if left := names(t, c.dir); left != "" || c.stdout.String() != "" {
			t.Errorf("%v: left behind: %q, on stdout: %q", s, left, c.stdout)
		}
	}
}

func TestProgramExitCodes(t *testing.T) {
	for _, c := range []struct {
		program, args string
		want          int
	}{
		{"ldlm-server", "--nope", 1}, {"ldlm-server", "-help", 0}, {"ldlm-server", "-s x --data_dir y", 1}, {"ldlm-server", "--version", 0},
		{"ldlm", "server --nope", 64}, {"ldlm", "server x", 64}, {"ldlm", "", 0}, {"ldlm", "version", 0},
	} {
		if got := spawn(t, c.program, strings.Fields(c.args)...).end(t); got != c.want {
			t.Errorf("%s %s: exit code %d, want %d", c.program, c.args, got, c.want)
		}
	}
}

// A server that was killed leaves its socket; the next one takes it over.
func TestAfterKill(t *testing.T) {
	first := spawn(t, "ldlm-server", "-l", "127.0.0.1:0")
	first.stderr.await(t, "Server runs")
	first.kill(t)
	if left := names(t, first.dir); left != "ldlm-ipc.sock" {
		t.Fatalf("left behind: %q", left)
	}
	second := spawnIn(t, first.dir, "ldlm-server", "-l", "127.0.0.1:0")
	second.stderr.await(t, "Server runs")
	if code := spawnIn(t, first.dir, "ldlm-lock", "list").end(t); code != 0 {
		t.Errorf("ldlm-lock: exit code %d", code)
	}
	if code := second.signal(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if left := names(t, first.dir); left != "" {
		t.Errorf("left behind: %q", left)
	}
}

func TestPassword(t *testing.T) {
	r := startServer(t, environment{"LDLM_PASSWORD": "swordfish"})
	client, _ := dialV1(t, r.address(t))
	for password, want := range map[string]codes.Code{"": codes.Unauthenticated, "x": codes.Unauthenticated, "swordfish": codes.OK} {
		ctx := t.Context()
		if password != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", password)
		}
		_, err := client.TryLock(ctx, &ldlmv1.TryLockRequest{Name: "a"})
		if status.Code(err) != want {
			t.Errorf("password %q: %v, want %v", password, err, want)
		}
	}
	if log := r.stderr.String(); strings.Contains(log, "swordfish") {
		t.Errorf("the password is in the log:\n%s", log)
	}
}

func TestNoClearOnDisconnect(t *testing.T) {
	for args, want := range map[string]string{"": "No locks found\n", "-n": "{Name: a, Key: %s, Size: 1}\n"} {
		r := startServer(t, nil, strings.Fields(args)...)
		client, conn := dialV1(t, r.address(t))
		key := take(t, client, "a", 1)
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		r.stderr.await(t, `"msg":"Session ended"`)
		if got := lockTool(t, r, "list").stdout; got != strings.ReplaceAll(want, "%s", key) {
			t.Errorf("with %q the locks are %q", args, got)
		}
	}
}

// The culprit of a port that is taken is named, if it says who it is.
func TestPortOfAnotherServer(t *testing.T) {
	address := startServer(t, nil).address(t)
	got := start(t, LdlmServer, nil, "-l", address).wait()
	want := address + " is in use; another ldlm answers there, version " + currentBuild().version + ownProcess()
	if got.code != 1 || !strings.HasSuffix(got.stderr, want) {
		t.Errorf("exit code %d, stderr\n%swant\n%s", got.code, got.stderr, want)
	}
}

// Numbers are not checked for sense, so none may break the server.
func TestSenselessNumbers(t *testing.T) {
	r := startServer(t, nil, "-g=-1s", "-m=0", "-k=-1s", "-t=0", "--shards=0", "-d=-1h")
	client, _ := dialV1(t, r.address(t))
	key := take(t, client, "a", 1)
	if u, err := client.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: "a", Key: key}); err != nil || !u.Unlocked {
		t.Errorf("unlock: %v, error %v", u, err)
	}
}

func TestWarnsOfAnOpenDoor(t *testing.T) {
	const text = "No password is set: whoever reaches the address can take and release every lock"
	for _, c := range []struct {
		args string
		want bool
	}{{"-l 127.0.0.1:0", false}, {"-l :0", true}, {"-l :0 --password x", false}} {
		r := startServer(t, nil, strings.Fields(c.args)...)
		r.address(t)
		if got := strings.Contains(r.stop(syscall.SIGTERM).stderr, text); got != c.want {
			t.Errorf("%s: warned: %v, want %v", c.args, got, c.want)
		}
	}
}

// The end of a server gives nobody anything: who waits gets an error, and not the
// lock of a holder whose connection was closed a moment before.
func TestNobodyIsGrantedOnTheWayOut(t *testing.T) {
	for range 10 {
		r := startServer(t, nil, "-v", "debug")
		address := r.address(t)
		holder, _ := dialV1(t, address)
		take(t, holder, "a", 1)
		const waiters = 4
		ended := make(chan error, waiters)
		for range waiters {
			waiter, _ := dialV1(t, address)
			go func() {
				l, err := waiter.Lock(context.Background(), &ldlmv1.LockRequest{Name: "a"})
				if l.GetLocked() {
					err = fmt.Errorf("granted: %v", l)
				}
				ended <- err
			}()
		}
		r.stderr.awaitCount(t, `"msg":"Lock request"`, waiters)
		if got := r.stop(syscall.SIGTERM); got.code != 0 {
			t.Errorf("exit code %d", got.code)
		}
		for range waiters {
			if err := <-ended; status.Code(err) != codes.Unavailable {
				t.Errorf("a waiter's call ended with %v", err)
			}
		}
	}
}

// blockEnd begins a call and never says what it is about, which holds up the end
// of a server.
func blockEnd(t *testing.T, address string) {
	t.Helper()
	client, conn := dialV1(t, address)
	take(t, client, "connected", 1)
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, "/ldlm.LDLM/TryLock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.CloseSend() })
	take(t, client, "called", 1) // the server has seen the call before, on the same connection
}

// A call that does not end holds the end of the server up, for ten seconds at
// most; a second signal does not wait for it.
func TestSecondSignal(t *testing.T) {
	r := startServer(t, nil)
	blockEnd(t, r.address(t))
	r.signals <- syscall.SIGINT
	r.stderr.await(t, "IPC server shut down")
	if got := r.stop(syscall.SIGTERM); got.code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d", got.code)
	}

	c := spawn(t, "ldlm-server", "-l", "127.0.0.1:0")
	blockEnd(t, addressIn(t, c.stderr.await(t, "Server runs")))
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.stderr.await(t, "IPC server shut down")
	if code := c.signal(t, syscall.SIGINT); code != 128+int(syscall.SIGINT) {
		t.Errorf("exit code %d", code)
	}
}

// startQuietly starts a server with the default settings, for a test that ends it.
func startQuietly(t *testing.T, l net.Listener, log *output) *Server {
	t.Helper()
	var settings config.Server
	config.Bind(pflag.NewFlagSet("", pflag.ContinueOnError), &settings)
	socket, err := adminsock.Listen(filepath.Join(shortDir(t), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := StartServer(ServerConfig{
		Settings: settings, Logger: slog.New(slog.NewJSONHandler(log, nil)), Listener: l, Socket: socket,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// While calls hold the end up, leases end, and nobody gets what becomes free.
func TestLeasesThatEndOnTheWayOut(t *testing.T) {
	log := newOutput()
	s := startQuietly(t, takePort(t), log)
	holder, _ := dialV1(t, s.Addr().String())
	seconds := int32(1)
	r, err := holder.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "a", LockTimeoutSeconds: &seconds})
	if err != nil || !r.Locked {
		t.Fatalf("%v, error %v", r, err)
	}
	waited := make(chan error, 1)
	go func() {
		o, err := s.Node().Call(context.Background(), &lock.Acquire{
			Caller: lock.Caller{RequestID: "w"}, Items: []lock.Item{{Name: "a"}}, Wait: lock.Forever, Lease: lock.Minute,
		})
		if err == nil {
			err = fmt.Errorf("ended with code %d", o.Code)
		}
		waited <- err
	}()
	blockEnd(t, s.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(ctx) }()
	log.await(t, "IPC server shut down")
	s.Node().Advance(time.Minute)
	if v, ok, err := s.Node().Lookup(t.Context(), "a"); err != nil || !ok || v.Held != 0 || len(v.Holders) > 0 {
		t.Errorf("the lock is %+v, error %v", v, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-waited; !errors.Is(err, node.ErrClosed) {
		t.Errorf("the waiter: %v", err)
	}
}

// Shutdown cuts off who has not let go when its context ends.
func TestShutdownIsBounded(t *testing.T) {
	s := startQuietly(t, takePort(t), newOutput())
	blockEnd(t, s.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// A port that breaks ends the server with an error instead of leaving it deaf.
func TestServerFails(t *testing.T) {
	l := takePort(t)
	s := startQuietly(t, l, newOutput())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-s.Failed()
	if s.Err() == nil {
		t.Error("it failed without an error")
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Native clients take locks on the same port, and exclude those of the first
// protocol. At the end of the server a waiting one is not granted anything.
func TestNativeClients(t *testing.T) {
	r := startServer(t, nil)
	address := r.address(t)
	old, _ := dialV1(t, address)
	key := take(t, old, "a", 1)
	for name, opts := range map[string][]ldlm.DialOption{"plain": nil, "grpc": {ldlm.WithGRPC()}} {
		c, err := ldlm.Dial(address, opts...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.TryLock(t.Context(), "a"); !errors.Is(err, ldlm.ErrHeld) {
			t.Errorf("%s: a lock that a client of the first protocol has: %v", name, err)
		}
		if _, err := c.Lock(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	list := lockTool(t, r, "list").stdout
	if !strings.Contains(list, "{Name: a, Key: "+key+", Size: 1}\n") || strings.Count(list, "\n") != 3 {
		t.Errorf("the list is\n%s", list)
	}
	if got := r.stop(syscall.SIGTERM); got.code != 0 {
		t.Errorf("exit code %d, log\n%s", got.code, got.stderr)
	}
}
