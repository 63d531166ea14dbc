package cli

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/certs/certstest"
)

// restAddress waits until a server says where it serves REST, and returns that.
func (r *running) restAddress(t *testing.T) string {
	t.Helper()
	for _, l := range logLines(t, r.stderr.await(t, `"msg":"Server runs"`)) {
		if l["msg"] == "Server runs" && l["rest_address"] != nil {
			return l["rest_address"].(string)
		}
	}
	t.Fatalf("the log does not say where REST is:\n%s", r.stderr)
	return ""
}

// post asks for something, and returns the status and the body.
func post(t *testing.T, config *tls.Config, url string) (status int, body string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}
	a, err := c.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(b)
}

func TestServerWithREST(t *testing.T) {
	r := startServer(t, environment{"LDLM_REST_LISTEN_ADDRESS": "127.0.0.1:0"})
	if status, body := post(t, nil, "http://"+r.restAddress(t)+"/session"); status != http.StatusCreated || !strings.Contains(body, `"session_id": "`) {
		t.Errorf("got %d %s", status, body)
	}
	got := r.stop(syscall.SIGTERM)
	if got.code != 0 {
		t.Errorf("exit code %d", got.code)
	}
	wantLog(t, got.stderr, "WARN", "REST server started. Listening on 127.0.0.1:0")
	wantLog(t, got.stderr, "INFO", "Session started", "transport", "rest")
}

func TestServerRESTPortInUse(t *testing.T) {
	first := startServer(t, nil, "-r", "127.0.0.1:0")
	taken := first.restAddress(t)
	r := start(t, LdlmServer, nil, "-l", "127.0.0.1:0", "-r", taken)
	got := r.wait()
	head := "net.Run() error starting server: listen tcp " + taken + ": bind: address already in use\nrest_listen_address " + taken +
		" is in use; another ldlm answers there, with REST"
	if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, head) {
		t.Errorf("exit code %d, stdout %q, stderr\n%s\nwant in it\n%s", got.code, got.stdout, got.stderr, head)
	}
	if left := names(t, r.dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
	same := freePort(t)
	if got := call(t, LdlmServer, nil, "-l", same, "-r", same); got.code != 1 || !strings.Contains(got.stderr, "each needs a port of its own") {
		t.Errorf("one port for both: %+v", got)
	}
}

// A server shows its certificate on both ports, and a new one after a hangup.
func TestServerWithTLS(t *testing.T) {
	a := certstest.New(t)
	pair, fresh := a.Issue("server", time.Now().Add(time.Hour)), a.Issue("fresh", time.Now().Add(30*24*time.Hour))
	r := startServer(t, nil, "-r", "127.0.0.1:0", "--tls_cert", pair.Certificate, "--tls_key="+pair.Key)
	address, rest := r.address(t), r.restAddress(t)
	shown := func(address string) string {
		t.Helper()
		c := a.Client()
		c.NextProtos = []string{"h2"}
		conn, err := tls.Dial("tcp", address, c)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if on, at := shown(address), shown(rest); on != "server" || at != "server" {
		t.Errorf("certificates of %q and %q", on, at)
	}
	if status, _ := post(t, a.Client(), "https://"+rest+"/session"); status != http.StatusCreated {
		t.Errorf("over HTTPS: %d", status)
	}
	fresh.Copy(t, pair)
	r.hangups <- syscall.SIGHUP
	r.stderr.await(t, `"msg":"TLS certificates reloaded"`)
	if on, at := shown(address), shown(rest); on != "fresh" || at != "fresh" {
		t.Errorf("after a hangup certificates of %q and %q", on, at)
	}
	got := r.stop(syscall.SIGTERM)
	wantLog(t, got.stderr, "INFO", "Loaded gRPC TLS configuration", "subject", "CN=server")
	wantLog(t, got.stderr, "WARN", "The TLS certificate expires soon. Replace the file; it is read within 30 s")
}

// Certificates that are no good end the start, in the words of version 1.
func TestServerTLSErrors(t *testing.T) {
	a := certstest.New(t)
	one, two := a.Issue("one", time.Now().Add(time.Hour)), a.Issue("two", time.Now().Add(time.Hour))
	for args, want := range map[string]string{
		"--client_cert_verify":                                                                 "client TLS certificate verification requires server TLS to be configured\n",
		"--client_ca=" + a.File:                                                                "client TLS certificate verification requires server TLS to be configured\n",
		"--tls_cert=/nowhere/cert --tls_key=/nowhere/key":                                      "LoadX509KeyPair() error loading cert: open /nowhere/cert: no such file or directory\n",
		"--tls_cert=" + one.Certificate + " --tls_key=" + two.Key:                              "LoadX509KeyPair() error loading cert: tls: private key does not match public key\n",
		"--tls_cert=" + one.Certificate + " --tls_key=" + one.Key + " --client_ca=/nowhere/ca": "os.ReadFile() failed to read ca cert: open /nowhere/ca: no such file or directory\n",
		"--tls_cert=" + one.Certificate + " --tls_key=" + one.Key + " --client_ca=" + one.Key:  "AppendCertsFromPEM() failed to append client ca cert\n",
	} {
		r := start(t, LdlmServer, nil, append([]string{"-l", "127.0.0.1:0"}, strings.Fields(args)...)...)
		got := r.wait()
		if got.code != 1 || got.stdout != "" || !strings.Contains("\n"+got.stderr, "\nnet.Run() error starting server: "+want) {
			t.Errorf("%s: exit code %d, stdout %q, stderr\n%s", args, got.code, got.stdout, got.stderr)
		}
		if left := names(t, r.dir); left != "" {
			t.Errorf("%s: left behind: %s", args, left)
		}
	}
}
