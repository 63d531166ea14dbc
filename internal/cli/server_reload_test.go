package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
)

// startPlain runs ldlm-server in this process with these arguments alone, until
// the test ends.
func startPlain(t *testing.T, env environment, args ...string) *running {
	t.Helper()
	r := start(t, LdlmServer, env, args...)
	t.Cleanup(func() {
		select {
		case r.signals <- syscall.SIGTERM:
		default: // it was told before
		}
		<-r.stopped
	})
	return r
}

// overwrite changes a file of the test.
func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReload(t *testing.T) {
	secrets := write(t, "secrets", "old\n")
	settings := "listen_address: 127.0.0.1:0\npassword_file: " + secrets + "\n"
	path := write(t, "ldlm.yaml", settings+"log_level: info\n")
	r := startPlain(t, nil, "-c", path)
	client, _ := dialV1(t, r.address(t))
	try := func(password string) codes.Code {
		ctx := metadata.AppendToOutgoingContext(context.WithoutCancel(t.Context()), "authorization", password)
		_, err := client.TryLock(ctx, &ldlmv1.TryLockRequest{Name: "a"})
		return status.Code(err)
	}
	times := 0
	reload := func(line string) {
		t.Helper()
		r.hangups <- syscall.SIGHUP
		times++
		r.stderr.awaitCount(t, line, times)
	}
	const done, failed = "The configuration was read again", "The configuration cannot be read again"

	if try("old") != codes.OK || try("fresh") != codes.Unauthenticated {
		t.Error("the password of the file is not the one that is good")
	}
	overwrite(t, secrets, "old\nfresh\n")
	overwrite(t, path, settings+"log_level: debug\nshards: 3\n")
	reload(done)
	wantLog(t, r.stderr.await(t, "take effect at the next start"), "WARN", done, "passwords", 2.0, "log_level", "debug")
	if !strings.Contains(r.stderr.String(), `"settings":["shards"]`) {
		t.Errorf("that shards waits is not said:\n%s", r.stderr)
	}
	if try("old") != codes.OK || try("fresh") != codes.OK {
		t.Error("both passwords should be good")
	}
	r.stderr.await(t, `"level":"DEBUG"`)
	overwrite(t, secrets, "fresh\n")
	reload(done)
	if try("old") != codes.Unauthenticated || try("fresh") != codes.OK {
		t.Error("the new password alone should be good")
	}

	times = 0
	for _, text := range []string{settings + "log_level: loud\n", "listen_address: 127.0.0.1:0\n", settings + "keepalive_timeout: 10\n", "{", settings + "shardz: 1"} {
		overwrite(t, path, text)
		reload(failed)
		if try("old") != codes.Unauthenticated || try("fresh") != codes.OK {
			t.Errorf("after %q that could not be read something has changed", text)
		}
	}
	if got := r.stop(syscall.SIGTERM); got.code != 0 || strings.Contains(got.stderr, "fresh") {
		t.Errorf("exit code %d, log\n%s", got.code, got.stderr)
	}
}

// The signal itself, in a process of its own.
func TestHangup(t *testing.T) {
	c := spawn(t, "ldlm-server", "-l", "127.0.0.1:0")
	c.stderr.await(t, "Server runs")
	if err := c.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	c.stderr.await(t, "The configuration was read again")
	if code := c.signal(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestPasswordAsFlag(t *testing.T) {
	const text = "The password was given as a flag"
	for _, c := range []struct {
		env  environment
		args []string
		want bool
	}{
		{nil, []string{"--password=swordfish"}, true},
		{environment{"LDLM_PASSWORD": "swordfish"}, nil, false},
		{environment{"LDLM_PASSWORD_FILE": write(t, "secret", "swordfish")}, nil, false},
	} {
		r := startServer(t, c.env, c.args...)
		r.address(t)
		got := r.stop(syscall.SIGTERM).stderr
		if strings.Contains(got, text) != c.want || strings.Contains(got, "swordfish") {
			t.Errorf("%v %v: log\n%s", c.env, c.args, got)
		}
	}
}

func TestPasswordFileThatIsNone(t *testing.T) {
	for _, path := range []string{"/nowhere", t.TempDir(), "/dev/null", write(t, "x", "\n\n"), write(t, "y", "a\x00b")} {
		got := call(t, LdlmServer, environment{"LDLM_PASSWORD_FILE": path}, "-l", "127.0.0.1:0")
		if got.code != 1 || !strings.HasPrefix(got.stderr, "error parsing configuration: password_file: ") || !strings.Contains(got.stderr, path) {
			t.Errorf("%s: got %+v", path, got)
		}
	}
}

// Through the socket: another level for a while, and the configuration again,
// with an answer.
func TestOperatedThroughTheSocket(t *testing.T) {
	path := write(t, "ldlm.yaml", "listen_address: 127.0.0.1:0\n")
	r := startPlain(t, nil, "-c", path)
	client, _ := dialV1(t, r.address(t))
	operate := func(args ...string) result {
		return call(t, Ldlm, environment{"TMPDIR": r.dir}, append([]string{"config"}, args...)...)
	}
	take(t, client, "before", 1)
	if got := operate("log-level", "debug"); got != (result{}) {
		t.Errorf("log-level: got %+v", got)
	}
	take(t, client, "between", 1)
	r.stderr.await(t, `"msg":"TryLock request","lock":"between"`)
	if got := operate("reload"); got.code != 0 || got.stdout != "" || !strings.Contains(got.stderr, "read again") {
		t.Errorf("reload: got %+v", got)
	}
	take(t, client, "after", 1)
	overwrite(t, path, "listen_address: 127.0.0.1:0\nshardz: 1\n")
	want := "ldlm: the configuration was not read again, nothing has changed: unknown configuration file field: shardz\n" + path + ":2: did you mean shards?\n"
	if got := operate("reload", "-s", filepath.Join(r.dir, "ldlm-ipc.sock")); got != (result{1, "", want}) {
		t.Errorf("reload: got %+v\nwant %s", got, want)
	}
	log := r.stop(syscall.SIGTERM).stderr
	wantLog(t, log, "INFO", "Handling IPC LogLevel request", "log_level", "debug")
	wantLog(t, log, "ERROR", "The configuration cannot be read again; nothing has changed")
	for _, name := range []string{"before", "after"} {
		if strings.Contains(log, `"lock":"`+name+`"`) {
			t.Errorf("what happened %s is logged at debug:\n%s", name, log)
		}
	}
}

func TestStrangersAreTold(t *testing.T) {
	r := startServer(t, environment{"LDLM_PASWORD": "swordfish"})
	r.address(t)
	log := r.stop(syscall.SIGTERM).stderr
	wantLog(t, log, "WARN", "LDLM_PASWORD is no setting and is ignored; did you mean LDLM_PASSWORD?")
	if strings.Contains(log, "swordfish") {
		t.Errorf("the value is in the log:\n%s", log)
	}
}
