package cli

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// startDev runs ldlm dev in this process until the test ends.
func startDev(t *testing.T, env environment, args ...string) *running {
	t.Helper()
	r := start(t, Ldlm, env, append([]string{"dev", "-r", "127.0.0.1:0"}, args...)...)
	t.Cleanup(func() {
		select {
		case r.signals <- syscall.SIGTERM:
		default: // it was told before
		}
		<-r.stopped
	})
	return r
}

// banner is what a development server says, with its address and its folder
// replaced by words.
func (r *running) banner(t *testing.T) (text, address string) {
	t.Helper()
	text = r.stdout.await(t, "Ctrl-C stops it.\n")
	_, after, _ := strings.Cut(text, "gRPC ")
	address = strings.Fields(after)[0]
	_, after, _ = strings.Cut(text, "http://")
	rest, after, _ := strings.Cut(after, "\n")
	_, after, _ = strings.Cut(after, "http://")
	admin, _, _ := strings.Cut(after, " ")
	return strings.NewReplacer(address, "ADDRESS", "http://"+rest, "http://REST", "http://"+admin, "http://ADMIN", r.dir, "TMPDIR", "ldlm "+currentBuild().version, "ldlm VERSION").Replace(text), address
}

func TestDev(t *testing.T) {
	r := startDev(t, environment{"LDLM_LISTEN_ADDRESS": "0.0.0.0:1", "LDLM_PASSWORD": "x", "LDLM_STATE_FILE": "x"}, "-l", "127.0.0.1:0")
	banner, address := r.banner(t)
	golden(t, "dev.txt", banner)
	client, _ := dialV1(t, address)
	key := take(t, client, "demo", 1)
	if got, want := lockTool(t, r, "list").stdout, "{Name: demo, Key: "+key+", Size: 1}\n"; got != want {
		t.Errorf("ldlm-lock list: %q, want %q", got, want)
	}
	got := r.stop(syscall.SIGINT)
	if got.code != 0 || strings.Contains(got.stderr, `"INFO"`) {
		t.Errorf("exit code %d, stderr\n%s", got.code, got.stderr)
	}
	wantLog(t, got.stderr, "WARN", "Shutting down...")
	if left := names(t, r.dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestDevWithoutSocket(t *testing.T) {
	banner, _ := startDev(t, nil, "-l", "localhost:0", "--ipc_socket_file", "").banner(t)
	if strings.Contains(banner, "ldlm-lock") {
		t.Errorf("there is no socket, but it says\n%s", banner)
	}
}

// A second one on another port does without the usual socket, and says so; one
// that was asked for is needed.
func TestDevBesideAnother(t *testing.T) {
	first := startDev(t, nil, "-l", "127.0.0.1:0")
	first.banner(t)
	second := startDev(t, environment{"TMPDIR": first.dir}, "-l", "127.0.0.1:0")
	banner, _ := second.banner(t)
	path := filepath.Join(first.dir, "ldlm-ipc.sock")
	if !strings.Contains(banner, "  ldlm-lock   off: another server has "+path+" (choose one with --ipc_socket_file)\n") ||
		strings.Contains(banner, "ldlm-lock list") {
		t.Errorf("it says\n%s", banner)
	}
	third := start(t, Ldlm, nil, "dev", "-l", "127.0.0.1:0", "-r", "127.0.0.1:0", "--ipc_socket_file", path).wait()
	if third.code != 1 || third.stdout != "" || !strings.HasPrefix(third.stderr, "ldlm: ipc.Run(): file: "+path+" exists. ") {
		t.Errorf("exit code %d, stdout %q, stderr %q", third.code, third.stdout, third.stderr)
	}
}

func TestDevPortInUse(t *testing.T) {
	_, dev := startDev(t, nil, "-l", "127.0.0.1:0").banner(t)
	guarded := startServer(t, environment{"LDLM_PASSWORD": "x"}).address(t)

	web := takePort(t)
	site := &http.Server{Handler: http.NotFoundHandler()}
	t.Cleanup(func() { _ = site.Close() })
	go func() { _ = site.Serve(web) }()

	rude := takePort(t)
	go func() {
		for {
			c, err := rude.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	for address, who := range map[string]string{
		dev:                  "another ldlm answers there, version " + currentBuild().version,
		guarded:              "another ldlm answers there",
		web.Addr().String():  "whoever has it is no ldlm that answers",
		rude.Addr().String(): "whoever has it is no ldlm that answers",
	} {
		_, port, _ := net.SplitHostPort(address)
		for flag, option := range map[string]string{"-l": "listen_address", "-r": "rest_listen_address"} {
			want := "ldlm: dev: port " + port + " is in use; " + who + "\nAnother one: ldlm dev --" + option + " 127.0.0.1:0\n"
			args := []string{"dev", "-l", "127.0.0.1:0", "-r", "127.0.0.1:0", flag, address}
			if got := call(t, Ldlm, nil, args...); got != (result{1, "", want}) {
				t.Errorf("%s %s: got %+v\nwant %s", flag, address, got, want)
			}
		}
	}
}

// Who listens and says nothing is not waited for, for long.
func TestDevPortIsSilent(t *testing.T) {
	silent := takePort(t).Addr().String()
	got := call(t, Ldlm, nil, "dev", "-l", silent)
	if got.code != 1 || !strings.Contains(got.stderr, "whoever has it is no ldlm that answers") {
		t.Errorf("got %+v", got)
	}
}

func TestDevIsForThisMachine(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0"} {
		got := call(t, Ldlm, nil, "dev", "-l", address)
		if got.code != 64 || got.stdout != "" || !strings.Contains(got.stderr, "ldlm server --listen_address "+address) {
			t.Errorf("%s: got %+v", address, got)
		}
	}
	for _, address := range []string{"nonsense", "127.0.0.1", ""} {
		if got := call(t, Ldlm, nil, "dev", "-l", address); got.code != 64 || !strings.HasPrefix(got.stderr, "ldlm dev: --listen_address: ") {
			t.Errorf("%s: got %+v", address, got)
		}
	}
}

// With -q it says nothing, unless data is asked for.
func TestQuietDev(t *testing.T) {
	for args, says := range map[string]bool{"dev -q": false, "-q dev": false, "dev -q -o json": true} {
		signals := make(chan os.Signal, 1)
		signals <- syscall.SIGINT
		out := newOutput()
		code := Ldlm(Process{
			Args: append(strings.Fields(args), "-l", "127.0.0.1:0", "-r", ""), Stdout: out, Stderr: newOutput(),
			Getenv: environment{}.in(shortDir(t)),
			Notify: func() (<-chan os.Signal, func()) { return signals, func() {} },
		})
		if code != 0 || (out.String() != "") != says {
			t.Errorf("%s: exit code %d, stdout %q", args, code, out)
		}
	}
}

// For people the log is text, for everything else JSON.
func TestDevLog(t *testing.T) {
	out := newOutput()
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGINT
	code := Ldlm(Process{
		Args: []string{"dev", "-l", "127.0.0.1:0", "-r", ""}, Stdout: newOutput(), Stderr: out, StderrIsTerminal: true,
		Getenv: environment{}.in(shortDir(t)),
		Notify: func() (<-chan os.Signal, func()) { return signals, func() {} },
	})
	if log := out.String(); code != 0 || !strings.Contains(log, `level=WARN msg="Shutting down..."`) {
		t.Errorf("exit code %d, log\n%s", code, log)
	}
}
