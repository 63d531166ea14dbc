package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/ldlm-io/ldlm"
	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/client"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/certs"
	"github.com/ldlm-io/ldlm/internal/certs/certstest"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/server"
)

const password = "geheim"

// ports is a server on two ports of this machine.
type ports struct {
	*server.Server
	clients, rest string
}

// startPorts starts a server; change may change what it is made of.
func startPorts(t *testing.T, change ...func(*server.Config)) *ports {
	t.Helper()
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	cfg := server.Config{Listener: listen(), REST: listen(), Version: "test"}
	for _, c := range change {
		c(&cfg)
	}
	s, err := server.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), fuse)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return &ports{s, s.Addr().String(), s.RESTAddr().String()}
}

// keys are what a client shows.
type keys struct {
	ca, certificate, key string
	tls                  *tls.Config // nil: plain text
	password             string
}

// ways are all ways to take a lock and let go of it, by name. Each returns an
// error that says how it was refused.
var ways = map[string]func(ctx context.Context, p *ports, k *keys) error{
	"native": func(ctx context.Context, p *ports, k *keys) error { return byLDLM(ctx, p, k) },
	"native over gRPC": func(ctx context.Context, p *ports, k *keys) error {
		return byLDLM(ctx, p, k, ldlm.WithGRPC())
	},
	"package client": byClient,
	"gRPC v1":        byV1,
	"gRPC v2":        byV2,
	"REST":           byREST,
}

func byLDLM(ctx context.Context, p *ports, k *keys, opts ...ldlm.DialOption) error {
	if k.ca != "" {
		opts = append(opts, ldlm.WithTLSFiles(k.ca, k.certificate, k.key))
	}
	c, err := ldlm.Dial(p.clients, append(opts, ldlm.WithPassword(k.password))...)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Admin().Status(ctx); err != nil {
		return err
	}
	return c.Do(ctx, "ldlm", func(context.Context) error { return nil })
}

func byClient(ctx context.Context, p *ports, k *keys) error {
	c, err := client.New(ctx, client.Config{
		Address: p.clients, Password: k.password, UseTls: k.tls != nil, CAFile: k.ca, TlsCert: k.certificate, TlsKey: k.key, MaxRetries: 1,
	})
	if err != nil {
		return err
	}
	defer c.Close()
	l, err := c.TryLock("client", nil) //nolint:contextcheck // the old package takes none
	if err != nil {
		return err
	}
	_, err = l.Unlock() //nolint:contextcheck // the old package takes none
	return err
}

func (k *keys) dial(address string) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if k.tls != nil {
		creds = credentials.NewTLS(k.tls)
	}
	return grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
}

func (k *keys) metadata(ctx context.Context) context.Context {
	if k.password == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", k.password)
}

// byV1 leaves the lock to the end of the connection, and waits for it.
func byV1(ctx context.Context, p *ports, k *keys) error {
	watch, err := p.Node().Watch(node.WatchFilter{Name: "v1"}, 0)
	if err != nil {
		return err
	}
	defer watch.Close()
	c, err := k.dial(p.clients)
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := ldlmv1.NewLDLMClient(c).TryLock(k.metadata(ctx), &ldlmv1.TryLockRequest{Name: "v1"})
	if err != nil || !r.GetLocked() {
		return fmt.Errorf("locked: %v, %w", r.GetLocked(), err)
	}
	c.Close()
	for {
		events, err := watch.Next(ctx)
		if err != nil {
			return fmt.Errorf("the lock outlives its connection: %w", err)
		}
		for i := range events {
			if events[i].Type == lock.HoldReleased || events[i].Type == lock.HoldExpired {
				return nil
			}
		}
	}
}

func byV2(ctx context.Context, p *ports, k *keys) error {
	c, err := k.dial(p.clients)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = ldlmv2.NewLDLMClient(c).OpenSession(k.metadata(ctx), &ldlmv2.OpenSessionRequest{Secret: make([]byte, 32)})
	return err
}

func byREST(ctx context.Context, p *ports, k *keys) error {
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: k.tls.Clone(), DisableKeepAlives: true, ForceAttemptHTTP2: true}}
	scheme := "http"
	if k.tls != nil {
		scheme = "https"
	}
	cookie := ""
	for _, r := range [][3]string{{"POST", "/session", ""}, {"POST", "/v1/lock", `{"name":"rest"}`}, {"DELETE", "/session", ""}} {
		q, err := http.NewRequestWithContext(ctx, r[0], scheme+"://"+p.rest+r[1], strings.NewReader(r[2]))
		if err != nil {
			return err
		}
		q.Header.Set("Cookie", cookie)
		if k.password != "" {
			q.SetBasicAuth("anybody", k.password)
		}
		a, err := c.Do(q)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(a.Body)
		a.Body.Close()
		if err != nil || a.StatusCode > 299 {
			return fmt.Errorf("%s: %s %w", a.Status, body, err)
		}
		if secure := a.Cookies()[0].Secure; secure != (k.tls != nil) {
			return fmt.Errorf("a cookie that is secure: %v", secure)
		}
		cookie = "ldlm-session=" + a.Cookies()[0].Value
	}
	return nil
}

// certificates opens certificates for a server.
func certificates(t *testing.T, f certs.Files) func(*server.Config) {
	t.Helper()
	c, err := certs.Open(f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return func(cfg *server.Config) { cfg.Certificates = c }
}

func withPassword(cfg *server.Config) { cfg.Passwords = auth.NewPasswords("older", password) }

// TestEveryWayIn: every client, over plain text, TLS and mutual TLS, with and
// without a password; and the same without what it needs.
func TestEveryWayIn(t *testing.T) {
	a, foreign := certstest.New(t), certstest.New(t)
	until := time.Now().Add(time.Hour)
	srv, good := a.Issue("server", until), a.Issue("client", until)
	expired, stranger := a.Issue("expired", time.Now().Add(-time.Minute)), foreign.Issue("stranger", until)
	show := func(p *certstest.Pair, password string) *keys {
		k := &keys{ca: a.File, tls: a.Client(), password: password}
		if p != nil {
			k.certificate, k.key, k.tls = p.Certificate, p.Key, a.Client(*p)
		}
		return k
	}
	oneSided := certificates(t, certs.Files{Certificate: srv.Certificate, Key: srv.Key})
	mutual := certificates(t, certs.Files{Certificate: srv.Certificate, Key: srv.Key, ClientCA: a.File})
	for _, c := range []struct {
		what   string
		change []func(*server.Config)
		keys   *keys
		good   bool
	}{
		{"plain text", nil, &keys{}, true},
		{"a password that nobody asks for", nil, &keys{password: "x"}, true},
		{"password", []func(*server.Config){withPassword}, &keys{password: password}, true},
		{"the other password", []func(*server.Config){withPassword}, &keys{password: "older"}, true},
		{"no password", []func(*server.Config){withPassword}, &keys{}, false},
		{"wrong password", []func(*server.Config){withPassword}, &keys{password: "wrong"}, false},
		{"TLS", []func(*server.Config){oneSided}, show(nil, ""), true},
		{"plain text to TLS", []func(*server.Config){oneSided}, &keys{}, false},
		{"TLS to plain text", nil, show(nil, ""), false},
		{"mutual TLS", []func(*server.Config){mutual}, show(&good, ""), true},
		{"no certificate", []func(*server.Config){mutual}, show(nil, ""), false},
		{"an expired certificate", []func(*server.Config){mutual}, show(&expired, ""), false},
		{"a foreign certificate", []func(*server.Config){mutual}, show(&stranger, ""), false},
		{"mutual TLS and password", []func(*server.Config){mutual, withPassword}, show(&good, password), true},
		{"a certificate instead of a password", []func(*server.Config){mutual, withPassword}, show(&good, ""), false},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := startPorts(t, c.change...)
			patience := fuse
			if !c.good {
				patience = time.Second // clients that try again do so until then
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var all sync.WaitGroup
			for name, way := range ways {
				all.Go(func() {
					if err := way(ctx, p, c.keys); (err == nil) != c.good {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			all.Wait()
			if n := p.Node().Counts(); !c.good && (n.Sessions != 0 || n.Locks != 0) {
				t.Errorf("who was refused left something behind: %+v", n)
			}
		})
	}
}

// TestStrangers: without the password nothing answers but health.
func TestStrangers(t *testing.T) {
	p := startPorts(t, withPassword)
	k := &keys{}
	c, err := k.dial(p.clients)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	if h, err := grpc_health_v1.NewHealthClient(c).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil || h.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", h, err)
	}
	refused := func(what string, err error) {
		t.Helper()
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = ldlmv1.NewLDLMClient(c).Lock(ctx, &ldlmv1.LockRequest{Name: "l"})
	refused("v1", err)
	_, err = ldlmv2.NewLDLMClient(c).List(ctx, &ldlmv2.ListRequest{})
	refused("v2", err)
	watch, err := ldlmv2.NewLDLMClient(c).Watch(ctx, &ldlmv2.WatchRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	refused("a stream of v2", err)
	reflection, err := grpc_reflection_v1.NewServerReflectionClient(c).ServerReflectionInfo(ctx)
	if err == nil {
		_, err = reflection.Recv()
	}
	refused("reflection", err)
	session, err := ldlmv2.NewLDLMClient(c).Session(ctx)
	if err == nil {
		err = session.Send(&ldlmv2.ClientFrame{Hello: &ldlmv2.Hello{Version: 2, Secret: make([]byte, 32)}})
	}
	var f *ldlmv2.ServerFrame
	if err == nil {
		f, err = session.Recv()
	}
	if err == nil && f.GetEnd().GetCode() != ldlmv2.Code_CODE_UNAUTHENTICATED {
		t.Errorf("the session protocol: %v, %v", f, err)
	}
	if n := p.Node().Counts(); n.Sessions != 0 || n.Locks != 0 || n.Waiters != 0 {
		t.Errorf("strangers left something behind: %+v", n)
	}
}

// TestReloadUnderLoad: certificates change while clients of all kinds come and go;
// nobody notices, and who is connected stays.
func TestReloadUnderLoad(t *testing.T) {
	a := certstest.New(t)
	until := time.Now().Add(time.Hour)
	first, second, mine := a.Issue("first", until), a.Issue("second", until), a.Issue("client", until)
	used := a.Issue("server", until)
	first.Copy(t, used)
	c, err := certs.Open(certs.Files{Certificate: used.Certificate, Key: used.Key, ClientCA: a.File}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p := startPorts(t, func(cfg *server.Config) { cfg.Certificates = c }, withPassword)
	k := &keys{ca: a.File, certificate: mine.Certificate, key: mine.Key, tls: a.Client(mine), password: password}
	stays, err := ldlm.Dial(p.clients, ldlm.WithTLSFiles(k.ca, k.certificate, k.key), ldlm.WithPassword(password))
	if err != nil {
		t.Fatal(err)
	}
	defer stays.Close()
	held, err := stays.Lock(t.Context(), "stays")
	if err != nil {
		t.Fatal(err)
	}

	const rounds = 5
	reloadUnder(t, p, k, rounds, func(round int) {
		[]certstest.Pair{second, first}[round%2].Copy(t, used)
		if err := c.Reload(); err != nil {
			t.Errorf("reload: %v", err)
		}
	})
	conn, err := tls.Dial("tcp", p.rest, k.tls)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != "second" {
		t.Errorf("after %d reloads the certificate is %q", rounds, got)
	}
	if err := held.Err(); err != nil {
		t.Errorf("who was connected lost its lock: %v", err)
	}
}

// reloadUnder calls reload so many times while clients come and go.
func reloadUnder(t *testing.T, p *ports, k *keys, rounds int, reload func(round int)) {
	t.Helper()
	const fewCalls = 3
	ctx, cancel := context.WithTimeout(t.Context(), fuse)
	defer cancel()
	calls, over := make(chan struct{}), make(chan struct{})
	var load sync.WaitGroup
	for _, name := range []string{"REST", "native", "gRPC v2"} {
		load.Go(func() {
			for {
				if err := ways[name](ctx, p, k); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				select {
				case calls <- struct{}{}:
				case <-over:
					return
				}
			}
		})
	}
	for round := range rounds {
		for range fewCalls {
			<-calls
		}
		reload(round)
	}
	close(over)
	load.Wait()
}

// TestDrainOverREST: a server on its way out says so, and half a header does not keep
// it from ending.
func TestDrainOverREST(t *testing.T) {
	p := startPorts(t)
	conn, err := net.Dial("tcp", p.rest)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /session HTTP/1.1\r\nHo")
	p.Drain(t.Context())
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.rest+"/session", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := c.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a session while the server drains: %s", a.Status)
	}
}
