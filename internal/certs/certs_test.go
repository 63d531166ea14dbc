package certs_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/ldlm-io/ldlm/internal/certs"
	"github.com/ldlm-io/ldlm/internal/certs/certstest"
	"github.com/ldlm-io/ldlm/internal/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const year = 365 * 24 * time.Hour

// open opens certificates, and returns their log.
func open(t *testing.T, f certs.Files) (*certs.Certificates, *logtest.Log) {
	t.Helper()
	var log logtest.Log
	c, err := certs.Open(f, log.JSON(slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	return c, &log
}

// handshake says whom a client has met, as the server's certificate is called,
// or how either side failed.
func handshake(t *testing.T, server, client *tls.Config) (met string, serverErr, clientErr error) {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(ours, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		ours.Close()
		done <- err
	}()
	if client.ServerName == "" {
		client = client.Clone()
		client.ServerName = "localhost"
	}
	c := tls.Client(theirs, client)
	clientErr = c.Handshake()
	if clientErr == nil {
		// Under TLS 1.3 a client learns only now that it was refused.
		_, clientErr = c.Read(make([]byte, 1))
	}
	theirs.Close()
	serverErr = <-done
	if serverErr == nil && clientErr == nil {
		met = c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	return met, serverErr, clientErr
}

func wantMet(t *testing.T, what string, server, client *tls.Config, want string) {
	t.Helper()
	met, serverErr, clientErr := handshake(t, server, client)
	if met != want {
		t.Errorf("%s: met %q, want %q (server: %v, client: %v)", what, met, want, serverErr, clientErr)
	}
}

func TestOpenErrors(t *testing.T) {
	a := certstest.New(t)
	good, other := a.Issue("good", time.Now().Add(year)), a.Issue("other", time.Now().Add(year))
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	none, garbage := filepath.Join(dir, "none.pem"), file("garbage.pem", "no PEM at all")
	locked := file("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	damaged := file("damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	for _, c := range []struct {
		what        string
		files       certs.Files
		first, then string
	}{
		{"a CA without a certificate", certs.Files{ClientCA: a.File},
			"client TLS certificate verification requires server TLS to be configured", "need tls_cert"},
		{"verification without a certificate", certs.Files{VerifyClients: true, Key: good.Key},
			"client TLS certificate verification requires server TLS to be configured", "need tls_cert"},
		{"no key", certs.Files{Certificate: good.Certificate},
			"LoadX509KeyPair() error loading cert: open : no such file or directory", "tls_key is not set"},
		{"no such certificate", certs.Files{Certificate: none, Key: good.Key},
			"LoadX509KeyPair() error loading cert: open " + none + ": no such file or directory", "tls_cert names " + none},
		{"a folder", certs.Files{Certificate: good.Certificate, Key: dir},
			"LoadX509KeyPair() error loading cert: read " + dir + ": is a directory", "tls_key " + dir + " cannot be read"},
		{"a mismatched pair", certs.Files{Certificate: good.Certificate, Key: other.Key},
			"LoadX509KeyPair() error loading cert: tls: private key does not match public key", other.Key + " is not the key of"},
		{"no certificate in it", certs.Files{Certificate: garbage, Key: good.Key},
			"LoadX509KeyPair() error loading cert: tls: failed to find any PEM data in certificate input", garbage + " has no certificate"},
		{"no key in it", certs.Files{Certificate: good.Certificate, Key: garbage},
			"LoadX509KeyPair() error loading cert: tls: failed to find any PEM data in key input", garbage + " has no private key"},
		{"a key with a passphrase", certs.Files{Certificate: good.Certificate, Key: locked},
			"LoadX509KeyPair() error loading cert: ", "openssl pkey -in " + locked},
		{"a damaged certificate", certs.Files{Certificate: damaged, Key: good.Key},
			"LoadX509KeyPair() error loading cert: x509: ", damaged + " has no certificate"},
		{"no such CA", certs.Files{Certificate: good.Certificate, Key: good.Key, ClientCA: none},
			"os.ReadFile() failed to read ca cert: open " + none + ": no such file or directory", "client_ca names " + none},
		{"no certificate in the CA's file", certs.Files{Certificate: good.Certificate, Key: good.Key, ClientCA: good.Key},
			"AppendCertsFromPEM() failed to append client ca cert", good.Key + " has no certificate"},
	} {
		_, err := certs.Open(c.files, slog.New(slog.DiscardHandler))
		if err == nil {
			t.Errorf("%s: no error", c.what)
			continue
		}
		first, then, _ := strings.Cut(err.Error(), "\n")
		if !strings.HasPrefix(first, c.first) || !strings.Contains(then, c.then) || strings.Contains(then, "\n") {
			t.Errorf("%s: got\n%v\nwant %q, then %q", c.what, err, c.first, c.then)
		}
	}
}

func TestUnreadableKey(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	p := certstest.New(t).Issue("p", time.Now().Add(year))
	if err := os.Chmod(p.Key, 0); err != nil {
		t.Fatal(err)
	}
	_, err := certs.Open(certs.Files{Certificate: p.Certificate, Key: p.Key}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), p.Key+" may not be read by this process") {
		t.Errorf("got %v", err)
	}
}

func TestPlainText(t *testing.T) {
	c, log := open(t, certs.Files{Key: "ignored.key"})
	if c != nil || !strings.Contains(log.String(), "tls_key is ignored") {
		t.Errorf("a key alone: %v, log %s", c, log)
	}
	if c, log := open(t, certs.Files{}); c != nil || len(log.String()) != 0 {
		t.Errorf("nothing: %v, log %s", c, log)
	}
}

func TestClients(t *testing.T) {
	a, foreign := certstest.New(t), certstest.New(t)
	server, good := a.Issue("server", time.Now().Add(year)), a.Issue("client", time.Now().Add(year))
	expired := a.Issue("expired", time.Now().Add(-time.Hour))
	own := foreign.Issue("foreigner", time.Now().Add(year))
	files := certs.Files{Certificate: server.Certificate, Key: server.Key}
	open1, _ := open(t, files)
	wantMet(t, "no client certificate is asked for", open1.Config("h2"), a.Client(), "server")
	files.ClientCA = a.File
	c, _ := open(t, files)
	conf := c.Config("h2", "http/1.1")
	wantMet(t, "a good client", conf, a.Client(good), "server")
	for what, p := range map[string][]certstest.Pair{"none": nil, "expired": {expired}, "foreign": {own}} {
		wantMet(t, what, conf, a.Client(p...), "")
	}
	system := certs.Files{Certificate: server.Certificate, Key: server.Key, VerifyClients: true}
	c, _ = open(t, system)
	wantMet(t, "a client that the system does not know", c.Config(), a.Client(good), "")
	wantMet(t, "no certificate, and the system's authorities", c.Config(), a.Client(), "")
}

func TestVersionsAndProtocols(t *testing.T) {
	a := certstest.New(t)
	p := a.Issue("server", time.Now().Add(year))
	c, _ := open(t, certs.Files{Certificate: p.Certificate, Key: p.Key})
	for version, want := range map[uint16]string{
		tls.VersionTLS13: "server", tls.VersionTLS12: "server", tls.VersionTLS11: "", tls.VersionTLS10: "",
	} {
		client := a.Client()
		client.MinVersion, client.MaxVersion = version, version
		wantMet(t, tls.VersionName(version), c.Config("h2"), client, want)
	}
	client := a.Client()
	client.NextProtos = []string{"nothing"}
	wantMet(t, "no protocol in common", c.Config("h2", "ldlm/2"), client, "")
	client.NextProtos = []string{"ldlm/2"}
	wantMet(t, "a protocol in common", c.Config("h2", "ldlm/2"), client, "server")
}

// TestReload: what is new is used by the next handshake, what is no good changes
// nothing and is told once, and the authority of clients is new as well.
func TestReload(t *testing.T) {
	a, b := certstest.New(t), certstest.New(t)
	until := time.Now().Add(30 * year)
	server, second, client := a.Issue("server", until), a.Issue("second", until), a.Issue("client", until)
	other := b.Issue("other", until)
	synctest.Test(t, func(t *testing.T) {
		c, log := open(t, certs.Files{Certificate: server.Certificate, Key: server.Key, ClientCA: a.File})
		conf := c.Config("h2")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.Run(ctx) }()
		defer func() { cancel(); <-done }()
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() }

		if err := os.Rename(second.Certificate, server.Certificate); err != nil {
			t.Fatal(err)
		}
		pass(31 * time.Second)
		wantMet(t, "half of a pair", conf, a.Client(client), "server")
		if n := strings.Count(log.String(), "not reloaded"); n != 1 || !strings.Contains(log.String(), "is not the key of") {
			t.Errorf("told %d times: %s", n, log)
		}
		pass(10 * time.Minute)
		if n := strings.Count(log.String(), "not reloaded"); n != 1 {
			t.Errorf("the same is told %d times: %s", n, log)
		}
		if err := os.Rename(second.Key, server.Key); err != nil {
			t.Fatal(err)
		}
		pass(31 * time.Second)
		wantMet(t, "the new pair", conf, a.Client(client), "second")
		data, err := os.ReadFile(b.File)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(a.File, data, 0o600); err != nil {
			t.Fatal(err)
		}
		wantMet(t, "nobody has looked yet", conf, a.Client(client), "second")
		if err := c.Reload(); err != nil {
			t.Errorf("reload: %v", err)
		}
		wantMet(t, "a client of the old authority", conf, a.Client(client), "")
		wantMet(t, "a client of the new authority", conf, a.Client(other), "second")
		if err := os.Remove(server.Key); err != nil {
			t.Fatal(err)
		}
		if err := c.Reload(); err == nil || !strings.Contains(err.Error(), "there is no such file") {
			t.Errorf("without a key: %v", err)
		}
		wantMet(t, "the old ones stay", conf, a.Client(other), "second")
	})
}

func TestExpiry(t *testing.T) {
	a := certstest.New(t)
	// Fake time begins in 2000, so the dates are counted from there.
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	p, past := a.Issue("server", begin.Add(20*24*time.Hour)), a.Issue("past", begin.Add(-time.Hour))
	soon, late := a.Issue("soon", begin.Add(24*time.Hour)), a.Issue("late", begin.Add(year))
	synctest.Test(t, func(t *testing.T) {
		_, log := open(t, certs.Files{Certificate: past.Certificate, Key: past.Key})
		if !strings.Contains(log.String(), "has expired") {
			t.Errorf("an expired certificate at the start: %s", log)
		}
		c, log := open(t, certs.Files{Certificate: p.Certificate, Key: p.Key})
		if got := c.Expiry(); !got.Equal(begin.Add(20 * 24 * time.Hour)) {
			t.Errorf("expiry %v", got)
		}
		past.Copy(t, p)
		if err := c.Reload(); err == nil || !strings.Contains(err.Error(), "has expired on 1999-12-31") {
			t.Errorf("an expired one in the place of a good one: %v", err)
		}
		soon.Copy(t, p)
		if err := c.Reload(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.Run(ctx) }()
		defer func() { cancel(); <-done }()
		<-time.After(54 * time.Hour)
		synctest.Wait()
		if near, over := told(t, log, "expires soon"), told(t, log, "has expired"); near != 1 || over != 2 {
			t.Errorf("in two days and a quarter it said %d times that the end is near, %d times that it has come:\n%s", near, over, log)
		}
		late.Copy(t, p)
		<-time.After(31 * time.Second)
		synctest.Wait()
		if got := c.Expiry(); !got.Equal(begin.Add(year)) {
			t.Errorf("after the replacement: expiry %v", got)
		}
	})
}

// TestEarly: a certificate whose time has not come does not take the place of one
// that is good, until it has; and is then taken by itself.
func TestEarly(t *testing.T) {
	a := certstest.New(t)
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	p, next := a.Issue("server", begin.Add(year)), a.IssueFrom("next", begin.Add(24*time.Hour), begin.Add(2*year))
	synctest.Test(t, func(t *testing.T) {
		c, log := open(t, certs.Files{Certificate: p.Certificate, Key: p.Key})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.Run(ctx) }()
		next.Copy(t, p)
		<-time.After(23 * time.Hour)
		synctest.Wait()
		if !c.Expiry().Equal(begin.Add(year)) {
			t.Errorf("before its time: expiry %v", c.Expiry())
		}
		<-time.After(time.Hour + 31*time.Second)
		synctest.Wait()
		if !c.Expiry().Equal(begin.Add(2 * year)) {
			t.Errorf("its time has come, and the expiry is %v", c.Expiry())
		}
		cancel()
		<-done
		if n := strings.Count(log.String(), "is not valid before 2000-01-02"); n != 1 {
			t.Errorf("told %d times: %s", n, log)
		}
	})
}

// Authorities that nobody can be signed by any more do not take the place of good
// ones.
func TestExpiredAuthority(t *testing.T) {
	good := certstest.New(t)
	until := time.Now().Add(year)
	p, client := good.Issue("server", until), good.Issue("client", until)
	synctest.Test(t, func(t *testing.T) {
		old := certstest.New(t) // for a day of fake time
		c, _ := open(t, certs.Files{Certificate: p.Certificate, Key: p.Key, ClientCA: good.File})
		<-time.After(25 * time.Hour)
		data, err := os.ReadFile(old.File)
		if err == nil {
			err = os.WriteFile(good.File, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Reload(); err == nil || !strings.Contains(err.Error(), "all certificates in client_ca "+good.File+" have expired") {
			t.Errorf("reload: %v", err)
		}
		wantMet(t, "a client of the present authority", c.Config("h2"), good.Client(client), "server")
	})
}

// told counts warnings.
func told(t *testing.T, log *logtest.Log, part string) int {
	t.Helper()
	n := 0
	for _, line := range log.Lines(t) {
		if line["level"] == "WARN" && strings.Contains(line["msg"].(string), part) {
			n++
		}
	}
	return n
}
