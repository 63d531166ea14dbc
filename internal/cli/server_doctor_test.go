package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/certs/certstest"
)

// examined runs ldlm doctor and returns its findings as verdicts and texts.
func examined(t *testing.T, args ...string) (code int, found string) {
	t.Helper()
	return examinedWith(t, nil, args...)
}

// examinedWith is examined with variables.
func examinedWith(t *testing.T, env environment, args ...string) (code int, found string) {
	t.Helper()
	r := call(t, Ldlm, env, append([]string{"doctor", "-o", "json", "--ipc_socket_file", ""}, args...)...)
	var all []finding
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil {
		t.Fatalf("%v in %+v", err, r)
	}
	var b strings.Builder
	for _, f := range all {
		b.WriteString(f.Verdict + " " + f.Check + ": " + f.Text + "\n")
	}
	return r.code, b.String()
}

func TestDoctor(t *testing.T) {
	a := certstest.New(t)
	good, soon, expired := a.Issue("good", time.Now().Add(100*24*time.Hour)), a.Issue("soon", time.Now().Add(time.Hour)), a.Issue("old", time.Now().Add(-time.Hour))
	open := write(t, "secrets", "x\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	server := startServer(t, nil)
	wide := t.TempDir()
	if err := os.Chmod(wide, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"-l " + freePort(t), 0, "ok ports: listen_address"},
		{"-l " + freePort(t), 0, "note data: no data_dir"},
		{"-l " + server.address(t), 0, "ok versions: server and this program"},
		{"-l nonsense", 1, "wrong configuration: listen_address"},
		{"--no_such_key", exitUsage, ""},
		{"-l 127.0.0.1:0 --tls_cert " + good.Certificate + " --tls_key " + good.Key, 0, "ok certificate: "},
		{"-l 127.0.0.1:0 --tls_cert " + soon.Certificate + " --tls_key " + soon.Key, 0, "note certificate: "},
		{"-l 127.0.0.1:0 --tls_cert " + expired.Certificate + " --tls_key " + expired.Key, 1, "has expired on"},
		{"-l 127.0.0.1:0 --tls_cert " + good.Certificate + " --tls_key " + soon.Key, 1, "wrong certificate: "},
		{"-l 127.0.0.1:0 --password_file " + open, 1, "wrong secrets: "},
		{"-l 127.0.0.1:0 --data_dir " + wide, 0, "note data: others may look"},
		{"-l 127.0.0.1:0 --data_dir " + open, 1, "is no directory"},
		{"-l 127.0.0.1:0 --data_dir " + filepath.Join(wide, "no", "folder"), 1, "wrong data: "},
		{"-l " + freePort(t) + " -r " + takePort(t).Addr().String(), 1, "wrong ports: "},
	} {
		if c.want == "" {
			if r := call(t, Ldlm, nil, "doctor", c.args); r.code != c.code {
				t.Errorf("%s: %+v", c.args, r)
			}
			continue
		}
		code, found := examined(t, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(found, c.want) {
			t.Errorf("%s: exit code %d, want %d, and %q in\n%s", c.args, code, c.code, c.want, found)
		}
	}
}

// The doctor knows REST of the server that runs, under TLS and behind a password too.
func TestDoctorKnowsREST(t *testing.T) {
	a := certstest.New(t)
	pair := a.Issue("server", time.Now().Add(100*24*time.Hour))
	secure := []string{"--tls_cert", pair.Certificate, "--tls_key", pair.Key, "--rest_listen_address", "127.0.0.1:0", "--password", "secret"}
	for _, args := range [][]string{secure[4:6], secure[4:], secure} {
		server := startServer(t, nil, args...)
		port := server.restAddress(t)
		env := environment{"LDLM_CLIENT_TLS_CA": a.File, "LDLM_PASSWORD": "secret"}
		if len(args) < len(secure) {
			delete(env, "LDLM_CLIENT_TLS_CA")
		}
		args = append(args, "-l", server.address(t), "--rest_listen_address", port)
		if _, found := examinedWith(t, env, args...); !strings.Contains(found, "ok ports: rest_listen_address "+port+" is in use, and the server runs") {
			t.Errorf("%q: found\n%s", args, found)
		}
	}
}

// The doctor of a member asks the others, and looks at its certificate.
func TestDoctorOfAMember(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca")
	for _, args := range [][]string{{"init"}, {"issue", "local"}, {"issue", "b"}} {
		if got := call(t, Ldlm, nil, append([]string{"cluster", "ca"}, append(args, "--dir", ca)...)...); got.code != 0 {
			t.Fatalf("%+v", got)
		}
	}
	files := func(name string) string {
		return " --cluster_ca " + filepath.Join(ca, "ca.pem") + " --cluster_cert " + filepath.Join(ca, name+".pem") + " --cluster_key " + filepath.Join(ca, name+"-key.pem")
	}
	other := freePort(t)
	first := strings.Fields("--data_dir " + filepath.Join(t.TempDir(), "a") + " --cluster_listen_address " + other + files("local"))
	startServer(t, nil, first...).address(t)
	status := append([]string{"cluster", "status", "-o", "json", "--member", other}, strings.Fields(files("local"))...)
	for !strings.Contains(call(t, Ldlm, nil, status...).stdout, `"leader": "local"`) {
		<-time.After(10 * time.Millisecond)
	}
	own := " --data_dir " + filepath.Join(t.TempDir(), "b") + " --cluster_listen_address " + freePort(t) + " "
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--member_name b --cluster_join " + other + files("b"), 0, "ok members: member local at " + other + " answers"},
		{"--member_name b --cluster_join " + other + files("b"), 0, "b.pem is valid until"},
		{"--member_name b --cluster_join " + other + files("local"), 1, "wrong members: "},
		{"--member_name b --cluster_join " + freePort(t) + files("b"), 0, "note members: "},
		{"--member_name b --cluster_join " + other, 0, "note members: members speak in plain text"},
		{"--cluster_join " + other, 1, "needs a member_name"},
	} {
		code, found := examined(t, strings.Fields("-l 127.0.0.1:0"+own+c.args)...)
		if code != c.code || !strings.Contains(found, c.want) {
			t.Errorf("%s: exit code %d, want %d, and %q in\n%s", c.args, code, c.code, c.want, found)
		}
	}
}

// Who waits for a member of which nobody knows who leads waits on.
func TestWaitReadyForALeader(t *testing.T) {
	own := freePort(t)
	r := startServer(t, nil, "--data_dir", filepath.Join(t.TempDir(), "a"), "--member_name", "a", "--cluster_members", "a="+own+",b="+freePort(t))
	if got := call(t, Ldlm, nil, "wait-ready", "--timeout", "1s", "--address", r.address(t)); got.code != exitUnavailable {
		t.Errorf("one of two is ready: %+v", got)
	}
}
