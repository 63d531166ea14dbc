package cli

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ldlm-io/ldlm"
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
)

// busyRun has clients of all kinds do what they do, some of it wrong, and returns
// what nobody else may learn.
func busyRun(t *testing.T, r *running, good, wrong string) (secrets []string) {
	t.Helper()
	address := r.address(t)
	client, conn := dialV1(t, address)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", wrong)
	if _, err := client.TryLock(ctx, &ldlmv1.TryLockRequest{Name: "a"}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a wrong password: %v", err)
	}
	ctx = metadata.AppendToOutgoingContext(t.Context(), "authorization", good)
	second, minute := int32(1), int32(60)
	for _, name := range []string{"kept", "given back", "renewed", "expires", "forced"} {
		request := &ldlmv1.TryLockRequest{Name: name}
		switch name {
		case "renewed":
			request.LockTimeoutSeconds = &minute
		case "expires":
			request.LockTimeoutSeconds = &second
		}
		l, err := client.TryLock(ctx, request)
		if err != nil || !l.Locked {
			t.Fatalf("%v, error %v", l, err)
		}
		secrets = append(secrets, l.Key)
		switch name {
		case "given back":
			_, err = client.Unlock(ctx, &ldlmv1.UnlockRequest{Name: name, Key: l.Key})
		case "renewed":
			_, err = client.Renew(ctx, &ldlmv1.RenewRequest{Name: name, Key: l.Key, LockTimeoutSeconds: 100})
		case "forced":
			if got := lockTool(t, r, "unlock", name, l.Key); got.stdout != "Unlocked: true\n" {
				t.Errorf("got %+v", got)
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
	r.stderr.await(t, `"msg":"Lock timer timeout"`)
	for _, opts := range [][]ldlm.DialOption{{ldlm.WithPassword(good)}, {ldlm.WithPassword(good), ldlm.WithGRPC()}} {
		secrets = append(secrets, busyNative(t, address, opts)...)
	}
	for _, l := range logLines(t, r.stderr.String()) {
		if rest, ok := l["rest_address"].(string); ok {
			secrets = append(secrets, busyREST(t, "http://"+rest, good, wrong)...)
		}
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	r.stderr.await(t, `"msg":"Client session cleanup"`)
	return append(secrets, good, wrong)
}

// busyREST does what a client of REST does, and ends its session with a lock.
func busyREST(t *testing.T, url, good, wrong string) (secrets []string) {
	t.Helper()
	var cookie *http.Cookie
	ask := func(method, path, password, body string) map[string]any {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("anybody", password)
		if cookie != nil {
			r.AddCookie(cookie)
		}
		a, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = a.Body.Close() }()
		for _, c := range a.Cookies() {
			cookie = c
		}
		var got map[string]any
		if err := json.NewDecoder(a.Body).Decode(&got); err != nil && password == good {
			t.Errorf("%s %s: %v", method, path, err)
		}
		return got
	}
	ask(http.MethodPost, "/session", wrong, "")
	id := ask(http.MethodPost, "/session", good, "")["session_id"].(string)
	key := ask(http.MethodPost, "/v1/lock", good, `{"name": "rest"}`)["key"].(string)
	other := ask(http.MethodPost, "/v1/lock", good, `{"name": "other"}`)["key"].(string)
	got := ask(http.MethodPost, "/v1/unlock", good, `{"name": "rest", "key": "`+key+`"}`)
	if unlocked, _ := got["unlocked"].(bool); !unlocked {
		t.Errorf("unlock: %v", got)
	}
	ask(http.MethodDelete, "/session", good, "")
	return []string{id, key, other}
}

// busyNative does with a native client what can be done, and leaves it behind
// with a lock.
func busyNative(t *testing.T, address string, opts []ldlm.DialOption) (secrets []string) {
	t.Helper()
	c, err := ldlm.Dial(address, append(opts, ldlm.WithSessionValue([]byte("the session's value")))...)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l, err := c.Lock(t.Context(), "native", ldlm.Lease(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, l.Key())
		if err := l.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	l, err := c.Lock(t.Context(), "killed")
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, l.Key())
	if _, err := c.Admin().ForceRelease(t.Context(), "killed", l.Token(), "in the way"); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return append(secrets, "the session's value")
}

// A busy server says nothing that would let a reader of its log in, or end
// somebody's hold: no password, no whole key, no secret of a session.
func TestLogKeepsSecrets(t *testing.T) {
	path := write(t, "passwords", "swordfish-1\nswordfish-2\n")
	r := startServer(t, environment{"LDLM_PASSWORD_FILE": path}, "-v", "debug", "-r", "127.0.0.1:0")
	secrets := busyRun(t, r, "swordfish-1", "open-sesame")
	overwrite(t, path, "swordfish-3\n")
	r.hangups <- syscall.SIGHUP
	log := r.stop(syscall.SIGTERM).stderr
	checkSecrets(t, log, append(secrets, "swordfish-2", "swordfish-3"))
	for _, msg := range []string{
		"Invalid password from client", "Session started", "TryLock request", "TryLock response", "Unlock request", "Renew request",
		"Lock timer timeout", "Lock released by force", "Session ended", "Client session cleanup", "Unlocked during client session cleanup",
		"Handling IPC Unlock request", "The configuration was read again",
	} {
		if !strings.Contains(log, `"msg":"`+msg+`"`) {
			t.Errorf("the log has no %q, so it was not so busy a run", msg)
		}
	}
}

func checkSecrets(t *testing.T, log string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		for _, form := range []string{s, strings.ReplaceAll(s, "-", ""), base64.StdEncoding.EncodeToString([]byte(s))} {
			if i := strings.Index(log, form); i >= 0 {
				t.Errorf("%q is in the log: …%s…", form, log[max(0, i-100):min(len(log), i+100)])
			}
		}
	}
	for _, pattern := range []string{`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}`, `[0-9a-fA-F]{17,}`, `[A-Za-z0-9+/_=-]{40,}`} {
		if found := regexp.MustCompile(pattern).FindString(log); found != "" {
			t.Errorf("what looks like a key or a secret is in the log: %s", found)
		}
	}
}

// What a format is for: programs, or people.
func TestLogFormat(t *testing.T) {
	for _, c := range []struct {
		format   string
		terminal bool
		text     bool
	}{{"", false, false}, {"auto", false, false}, {"auto", true, true}, {"json", true, false}, {"text", false, true}} {
		out, signals := newOutput(), make(chan os.Signal, 1)
		signals <- syscall.SIGTERM
		code := LdlmServer(Process{
			Args: []string{"-l", "127.0.0.1:0"}, Stdout: newOutput(), Stderr: out, StderrIsTerminal: c.terminal,
			Getenv: environment{"LDLM_LOG_FORMAT": c.format}.in(shortDir(t)),
			Notify: func() (<-chan os.Signal, func()) { return signals, func() {} },
		})
		if code != 0 {
			t.Errorf("%+v: exit code %d", c, code)
		}
		if text := strings.Contains(out.String(), `level=WARN msg="Shutting down..."`); text != c.text {
			t.Errorf("%+v: logged\n%s", c, out)
		} else if !text {
			wantLog(t, out.String(), "WARN", "Shutting down...")
		}
	}
}

// clogged is a stderr that is read until the server runs, and then no more.
type clogged struct {
	*output
	free chan struct{} // closed when it is read again
}

func (c clogged) Write(b []byte) (int, error) {
	if strings.Contains(c.String(), `"msg":"Server runs"`) {
		<-c.free
	}
	return c.output.Write(b)
}

// A server whose log nobody reads serves on, and ends when it is to.
func TestLogNobodyReads(t *testing.T) {
	stderr := clogged{newOutput(), make(chan struct{})}
	signals, ended := make(chan os.Signal, 1), make(chan int, 1)
	go func() {
		ended <- LdlmServer(Process{
			Args: []string{"-l", "127.0.0.1:0", "-v", "debug"}, Stdout: newOutput(), Stderr: stderr,
			Getenv: environment{}.in(shortDir(t)),
			Notify: func() (<-chan os.Signal, func()) { return signals, func() {} },
		})
	}()
	client, conn := dialV1(t, addressIn(t, stderr.await(t, `"msg":"Server runs"`)))
	name := strings.Repeat("x", 60_000) // which is in the log each time
	for range 20 {
		l, err := client.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: name})
		if err != nil || !l.Locked {
			t.Fatal(l, err)
		}
		if _, err := client.Unlock(t.Context(), &ldlmv1.UnlockRequest{Name: name, Key: l.Key}); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	signals <- syscall.SIGTERM
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	close(stderr.free)
	if log := stderr.await(t, `"missing":`); !strings.Contains(log, "Lines of the log are missing here") {
		t.Error("it is not said that lines are missing")
	}
}
