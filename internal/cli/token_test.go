package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/auth"
)

func TestTokenCreate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	r := call(t, Ldlm, nil, "token", "create", "--name", "web", "--prefix", "web/", "--prefix", "to do", "--max-locks", "7", "--file", file)
	if r.code != 0 || !regexp.MustCompile(`^ldlm_[A-Za-z0-9_-]{43}\n$`).MatchString(r.stdout) || !strings.Contains(r.stderr, "web was added to "+file) {
		t.Errorf("%+v", r)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^name=web role=client sha256=[0-9a-f]{64} prefix=web/ prefix="to do" max_locks=7$`).Match(text) {
		t.Errorf("%s", text)
	}
	if strings.Contains(string(text), strings.TrimSpace(r.stdout)) || strings.Contains(r.stderr, strings.TrimSpace(r.stdout)) {
		t.Error("the token is somewhere else than on stdout")
	}
	for want, args := range map[string][]string{
		"web is there in line 2 already": {"--name", "web", "--file", file},
		"name is missing":                {"--file", file},
		"a name has 1 to 63":             {"--name", "a b"},
		"an admin may do everything":     {"--name", "a", "--role", "admin", "--prefix", "x"},
		"want client, read or admin":     {"--name", "a", "--role", "root"},
		"a number of 1 or more":          {"--name", "a", "--max-locks", "-1"},
	} {
		r := call(t, Ldlm, nil, append([]string{"token", "create"}, args...)...)
		if r.code == 0 || r.stdout != "" || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: %+v, want %q", args, r, want)
		}
	}
	if r := call(t, Ldlm, nil, "token", "create", "--name", "ops", "--role", "admin"); r.code != 0 || !strings.Contains(r.stderr, "name=ops role=admin sha256=") {
		t.Errorf("without a file: %+v", r)
	}
}

// A file that is broken changes nothing; one that has no line of a token any more
// shuts it out; and no token is in the log.
func TestReloadTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	create := func(name string) (token string) {
		r := call(t, Ldlm, nil, "token", "create", "--name", name, "--file", file)
		if r.code != 0 {
			t.Fatalf("%+v", r)
		}
		return strings.TrimSpace(r.stdout)
	}
	web := create("web")
	written := filepath.Join(t.TempDir(), "audit")
	r := startPlain(t, nil, "-l", "127.0.0.1:0", "--tokens_file", file, "--ipc_socket_file", "", "-v", "debug", "--audit_log", written)
	client, _ := dialV1(t, r.address(t))
	try := func(token string) codes.Code {
		ctx := metadata.AppendToOutgoingContext(context.WithoutCancel(t.Context()), "authorization", token)
		_, err := client.TryLock(ctx, &ldlmv1.TryLockRequest{Name: "a"})
		return status.Code(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := try(web); got != codes.OK {
		t.Errorf("a good token: %v", got)
	}
	overwrite(t, file, string(good)+"name=other rol=client\n")
	r.hangups <- syscall.SIGHUP
	if line := r.stderr.await(t, "The configuration cannot be read again"); !strings.Contains(line, ":3: ") || !strings.Contains(line, "did you mean role?") {
		t.Errorf("a broken file: %s", line)
	}
	if got := try(web); got != codes.OK {
		t.Errorf("after a broken file: %v", got)
	}
	overwrite(t, file, "# nobody\n")
	ops := create("ops")
	r.hangups <- syscall.SIGHUP
	if line := r.stderr.await(t, "The configuration was read again"); !strings.Contains(line, `"revoked":1`) {
		t.Errorf("a token taken out: %s", line)
	}
	client, _ = dialV1(t, r.address(t)) // the other connection is closed, sooner or later
	if got := try(web); got != codes.Unauthenticated {
		t.Errorf("a revoked token: %v", got)
	}
	if got := try(ops); got != codes.OK {
		t.Errorf("a new token: %v", got)
	}
	r.signals <- syscall.SIGTERM
	r.wait()
	audited, err := os.ReadFile(written)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"before":{"principal ops":"","principal web":"name=web role=client sha256=`, `"after":{"principal ops":"name=ops role=client sha256=`, `...","principal web":""}`,
	} {
		if !strings.Contains(string(audited), want) {
			t.Errorf("the audit log has no %s:\n%s", want, audited)
		}
	}
	for _, secret := range []string{web, ops, web[5:], ops[5:], strings.TrimSpace(string(good[len(good)-60:]))} {
		if strings.Contains(r.stderr.String()+string(audited), secret) {
			t.Errorf("a log has a token:\n%s\n%s", r.stderr, audited)
		}
	}
}

// That the last reload has failed is told until one succeeds: nobody may look at the log
// while a token that was taken out is still good.
func TestStatusTellsOfAFailedReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	token := strings.TrimSpace(call(t, Ldlm, nil, "token", "create", "--name", "web", "--file", file).stdout)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := startPlain(t, nil, "-l", "127.0.0.1:0", "--tokens_file", file, "--ipc_socket_file", "")
	env := environment{"LDLM_TOKEN": token, "LDLM_ADDRESS": s.address(t)}
	want := func(told bool) {
		t.Helper()
		for args, want := range map[string]string{
			"status": "and nothing has changed", "status -o json": `"reload_failed_ms":`,
			"doctor --ipc_socket_file= -l " + s.address(t) + " --tokens_file " + file: "could not be read again",
		} {
			r := call(t, Ldlm, env, strings.Fields(args)...)
			if strings.Contains(r.stdout, want) != told || strings.Contains(r.stdout, token) {
				t.Errorf("ldlm %s, which should tell of a failed reload: %t\n%s%s", args, told, r.stdout, r.stderr)
			}
		}
	}
	want(false)
	overwrite(t, file, string(good)+"name=other rol=client\n")
	s.hangups <- syscall.SIGHUP
	s.stderr.await(t, "The configuration cannot be read again")
	overwrite(t, file, string(good)) // for the doctor, which reads it
	want(true)
	s.hangups <- syscall.SIGHUP
	s.stderr.await(t, "The configuration was read again")
	want(false)
}

// Of many changes some are told.
func TestAccountChanges(t *testing.T) {
	var many []auth.Account
	for i := range maxToldChanges + 5 {
		_, hash := auth.NewToken()
		many = append(many, auth.Account{Principal: auth.Principal{Name: fmt.Sprint("p", i), Role: auth.Client}, Tokens: []auth.TokenHash{hash}})
	}
	if got := accountChanges(many, many); len(got) != 0 {
		t.Errorf("nothing has changed, and %v", got)
	}
	if got := accountChanges(nil, many); len(got) != maxToldChanges+1 {
		t.Errorf("%d changes are told", len(got))
	}
	other := slices.Clone(many[:1])
	_, hash := auth.NewToken()
	other[0].Tokens = []auth.TokenHash{hash}
	if got := accountChanges(many[:1], other); len(got) != 1 || got[0].Before == got[0].After {
		t.Errorf("another token: %v", got)
	}
}

// The doctor of a server with tokens: who shows none has not found anything wrong.
func TestDoctorWithTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	r := call(t, Ldlm, nil, "token", "create", "--name", "web", "--file", file)
	token := strings.TrimSpace(r.stdout)
	s := startPlain(t, nil, "-l", "127.0.0.1:0", "--tokens_file", file, "--ipc_socket_file", "")
	args := []string{"doctor", "-l", s.address(t), "--tokens_file", file, "--ipc_socket_file", ""}
	wrong, _ := auth.NewToken()
	for _, c := range []struct {
		token, want string
		code        int
	}{
		{"", "answers; which version it is it tells who has a token", 0},
		{token, "server and this program are", 0},
		{wrong, "answers, and refuses", 1},
	} {
		if r := call(t, Ldlm, environment{"LDLM_TOKEN": c.token}, args...); r.code != c.code || !strings.Contains(r.stdout, c.want) {
			t.Errorf("exit code %d, want %d, and %q in\n%s", r.code, c.code, c.want, r.stdout)
		}
	}
}
