package cli

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/ldlm-io/ldlm"
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/audit"
)

// manager is a service manager that listens to its services.
type manager struct{ c *net.UnixConn }

func newManager(t *testing.T) (m manager, path string) {
	t.Helper()
	path = filepath.Join(shortDir(t), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return manager{c}, path
}

// await returns the first datagram that has an assignment in it.
func (m manager) await(t *testing.T, part string) string {
	t.Helper()
	b := make([]byte, 4096)
	for {
		n, err := m.c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(b[:n]); strings.Contains(text, part) {
			return text
		}
	}
}

// get returns what a probe says.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Error(err)
	}
	return a.StatusCode, string(b)
}

// attribute is that of a line of the log.
func attribute(t *testing.T, log *output, msg, name string) string {
	t.Helper()
	for _, l := range logLines(t, log.await(t, `"msg":"`+msg+`"`)) {
		if l["msg"] == msg {
			if text, ok := l[name].(string); ok {
				return text
			}
		}
	}
	t.Fatalf("%q has no %s", msg, name)
	return ""
}

// TestServiceManager: a real process tells its manager that it is ready, alive,
// reloading and stopping.
func TestServiceManager(t *testing.T) {
	m, path := newManager(t)
	c := exec.Command(filepath.Join(programs, "ldlm-server"), "-l", "127.0.0.1:0", "--ipc_socket_file", filepath.Join(shortDir(t), "s"))
	c.Env = []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=1000000"}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if text := m.await(t, "READY=1"); !strings.Contains(text, "STATUS=serving on 127.0.0.1:") {
		t.Errorf("ready: %q", text)
	}
	for range 2 {
		m.await(t, "WATCHDOG=1")
	}
	if err := c.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if text := m.await(t, "RELOADING=1"); !strings.Contains(text, "\nMONOTONIC_USEC=") {
		t.Errorf("reloading: %q", text)
	}
	m.await(t, "READY=1")
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if text := m.await(t, "STOPPING=1"); !strings.Contains(text, "EXTEND_TIMEOUT_USEC=12000000") {
		t.Errorf("stopping: %q", text)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestSocketActivation: a real process serves on sockets that it was given, by
// their names, and leaves its own addresses alone.
func TestSocketActivation(t *testing.T) {
	var files []*os.File
	var addresses []string
	for range 3 {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files, addresses = append(files, f), append(addresses, l.Addr().String())
		l.Close() // f still listens
	}
	// LISTEN_PID is known once the process is there: a shell says it and becomes the server.
	c := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, filepath.Join(programs, "ldlm-server"),
		"-l", "127.0.0.1:1", "--ipc_socket_file", filepath.Join(shortDir(t), "s"))
	c.Env = []string{"LISTEN_FDS=3", "LISTEN_FDNAMES=admin:grpc:rest"}
	c.ExtraFiles = files
	log := newOutput()
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	log.await(t, "Probes are answered")
	for _, a := range []string{addresses[0], addresses[2]} {
		if code, body := get(t, "http://"+a+"/readyz?verbose"); code != http.StatusOK {
			t.Errorf("%s: %d %s", a, code, body)
		}
	}
	client, conn := dialV1(t, addresses[1])
	take(t, client, "a", 1)
	conn.Close()
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, log)
	}
}

func TestPassedSocketsThatCannotBe(t *testing.T) {
	for _, env := range []string{"LISTEN_FDS=x", "LISTEN_FDS=-1", "LISTEN_FDS=1000", "LISTEN_FDS=1"} {
		c := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" -l 127.0.0.1:0 --ipc_socket_file ""`, filepath.Join(programs, "ldlm-server"))
		c.Env = []string{env}
		if out, err := c.CombinedOutput(); c.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "socket") {
			t.Errorf("%s: %v, %s", env, err, out)
		}
	}
}

func healthOf(t *testing.T, address string) grpc_health_v1.HealthCheckResponse_ServingStatus {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	a, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: ldlmv1.LDLM_ServiceDesc.ServiceName})
	if err != nil {
		t.Error(err)
	}
	return a.GetStatus()
}

// TestDrain: SIGTERM turns every probe, while everything is served; then who
// waits is told to come again, and nobody is given what others still hold.
func TestDrain(t *testing.T) {
	r := startServer(t, nil, "-r", "127.0.0.1:0", "--admin_listen_address", "127.0.0.1:0", "--shutdown_delay", "1h", "-v", "debug")
	address, rest := r.address(t), r.restAddress(t)
	admin := attribute(t, r.stderr, "Probes are answered", "admin_address")
	urls := []string{"http://" + rest + "/readyz", "http://" + admin + "/readyz"}
	for _, u := range urls {
		if code, body := get(t, u); code != http.StatusOK || body != "ready\n" {
			t.Errorf("%s: %d %q", u, code, body)
		}
	}
	r.signals <- syscall.SIGTERM
	r.stderr.await(t, "still serving")
	for _, u := range urls {
		if code, body := get(t, u+"?verbose"); code != http.StatusServiceUnavailable || !strings.Contains(body, "[-] draining: ") || !strings.Contains(body, "[+] quorum: ok") {
			t.Errorf("%s: %d %q", u, code, body)
		}
	}
	if code, _ := get(t, "http://"+rest+"/healthz"); code != http.StatusOK {
		t.Errorf("it does not live: %d", code)
	}
	if got := healthOf(t, address); got != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health: %v", got)
	}
	client, _ := dialV1(t, address)
	take(t, client, "served meanwhile", 1)
	if got := r.stop(syscall.SIGTERM); got.code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d after a second signal", got.code)
	}
}

// TestDrainUnderLoad: a real process with holders and waiters of both protocols
// ends by itself, soon, with exit code 0 and nothing left behind.
func TestDrainUnderLoad(t *testing.T) {
	dir := shortDir(t)
	socket := filepath.Join(dir, "clients")
	c := exec.Command(filepath.Join(programs, "ldlm-server"), "-l", "unix:"+socket, "--ipc_socket_file", filepath.Join(dir, "ipc"), "-v", "debug")
	c.Env = []string{"NOTHING="}
	log := newOutput()
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	log.await(t, "Server runs")
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	native, err := ldlm.Dial("unix:" + socket)
	if err != nil {
		t.Fatal(err)
	}
	defer native.Close()
	held, err := native.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const waiters = 50
	ended := make(chan error, waiters)
	for range waiters {
		go func() { ended <- waitV1(ctx, "unix:"+socket) }()
	}
	log.awaitCount(t, `"msg":"Lock request"`, waiters)
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range waiters {
		if err := <-ended; status.Code(err) != codes.Unavailable {
			t.Errorf("a waiter: %v", err)
		}
	}
	if err := c.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if left := names(t, dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
	cancel()
	ctx, stop := context.WithTimeout(t.Context(), time.Nanosecond)
	defer stop()
	_ = held.Release(ctx) // nobody answers any more
}

// waitV1 waits for the lock "a" and says how that ends.
func waitV1(ctx context.Context, target string) error {
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = ldlmv1.NewLDLMClient(conn).Lock(ctx, &ldlmv1.LockRequest{Name: "a"})
	return err
}

// auditLog reads a log that a server has closed.
func auditLog(t *testing.T, path string) []audit.Entry {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []audit.Entry
	for line := range strings.Lines(string(b)) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// TestAudit: what is done against somebody's will on a server with everything on.
func TestAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	r := startServer(t, nil, "--audit_log", path, "--password", "secret", "-r", "127.0.0.1:0")
	address := r.address(t)
	ctx := t.Context()
	c, err := ldlm.Dial(address, ldlm.WithPassword("secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, name := range []string{"forced", "resized", "unlocked"} {
		if _, err := c.Lock(ctx, name, ldlm.Size(1)); err != nil {
			t.Fatal(err)
		}
	}
	info, err := c.Admin().Get(ctx, "forced")
	if err != nil {
		t.Fatal(err)
	}
	ask := environment{"LDLM_ADDRESS": address, "LDLM_PASSWORD": "secret"}
	token := strconv.FormatUint(info.Holders[0].Token, 10)
	got := call(t, Ldlm, ask, "unlock", "--force", "--yes", "--reason", "stuck", "--token", token, "forced")
	if got.code != 0 || !strings.HasPrefix(got.stderr, "Released. Nobody waits for it. Recorded in the audit log.") {
		t.Errorf("%+v", got)
	}
	if err := c.Admin().Resize(ctx, "resized", 3); err != nil {
		t.Error(err)
	}
	if got := lockTool(t, r, "unlock", "unlocked"); got.code != 0 {
		t.Errorf("%+v", got)
	}
	for _, password := range []string{"", "wrong"} {
		k, err := ldlm.Dial(address, ldlm.WithPassword(password))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.TryLock(ctx, "x"); err == nil {
			t.Error("let in")
		}
		k.Close()
	}
	post(t, nil, "http://"+r.restAddress(t)+"/session")
	session := strconv.FormatUint(info.Holders[0].Session, 10)
	if got := call(t, Ldlm, ask, "sessions", "kill", session, "--yes"); got.code != 0 ||
		!strings.HasPrefix(got.stderr, "ldlm: session "+session+" is ended, recorded in the audit log; if word of it does not reach its client") {
		t.Errorf("%+v", got)
	}
	r.hangups <- syscall.SIGHUP
	r.stderr.await(t, "The configuration was read again")
	if got := r.stop(syscall.SIGTERM); got.code != 0 {
		t.Errorf("exit code %d", got.code)
	}
	wantAudit(t, path)
}

// wantAudit checks what TestAudit has done.
func wantAudit(t *testing.T, path string) {
	t.Helper()
	all := auditLog(t, path)
	find := func(want string, is func(e *audit.Entry) bool) {
		t.Helper()
		if !slices.ContainsFunc(all, func(e audit.Entry) bool { return is(&e) }) {
			t.Errorf("no entry of %s in %+v", want, all)
		}
	}
	before := func(e *audit.Entry, key string) any { m, _ := e.Before.(map[string]any); return m[key] }
	find("the forced release", func(e *audit.Entry) bool {
		return e.Action == audit.ForcedRelease && e.Lock == "forced" && e.Reason == "stuck" && e.Actor.Via == "grpc" &&
			strings.HasPrefix(e.Actor.Remote, "127.0.0.1:") && before(e, "pid") == float64(os.Getpid())
	})
	find("the new size", func(e *audit.Entry) bool {
		after, _ := e.After.(map[string]any)
		return e.Action == audit.Resize && before(e, "size") == 1.0 && after["size"] == 3.0
	})
	find("ldlm-lock unlock", func(e *audit.Entry) bool {
		return e.Action == audit.ForcedRelease && e.Lock == "unlocked" && e.Actor.Via == "socket"
	})
	for _, via := range []string{"native", "rest"} {
		find("a refusal over "+via, func(e *audit.Entry) bool { return e.Action == audit.Refused && e.Actor.Via == via })
	}
	find("the reload", func(e *audit.Entry) bool {
		return e.Action == audit.ConfigReload && e.Actor.Via == "signal" && e.Error == ""
	})
	b, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(b), "secret") {
		t.Errorf("the password is in it: %s, %v", b, err)
	}
}

func TestWarnings(t *testing.T) {
	key := write(t, "secrets", "old\n")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	r := startServer(t, nil, "-l", ":0", "--password_file", key, "--admin_listen_address", ":0",
		"--member_name", "a", "--cluster_ca", key)
	r.address(t)
	text := r.stop(syscall.SIGTERM).stderr
	for _, want := range []string{"Passwords travel in plain text", "Everybody on this machine may read password_file", "profiles of the process", "REST is off", "member_name, cluster_ca"} {
		if !strings.Contains(text, want) {
			t.Errorf("no word of %q in\n%s", want, text)
		}
	}
}
