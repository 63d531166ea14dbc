package restapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc/test/bufconn"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/restapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a server in memory, with the node below it.
type house struct {
	t      *testing.T
	node   *node.Node
	server *restapi.Server
	pipe   *bufconn.Listener
	served chan error
	log    *bytes.Buffer // read it when the house is closed
	closed bool
}

// passwords guards a server by passwords.
func passwords(passwords ...string) func(*restapi.Config) {
	return func(c *restapi.Config) {
		c.Gate = auth.NewGate(auth.GateConfig{
			Passwords: auth.NewPasswords(passwords...), Logger: c.Logger, Slowness: auth.Slowness{Free: 1000},
		})
	}
}

// open makes a house; change may change what it is made of.
func open(t *testing.T, change ...func(*restapi.Config)) *house {
	t.Helper()
	h := &house{t: t, pipe: bufconn.Listen(1 << 16), served: make(chan error, 1), log: &bytes.Buffer{}}
	var err error
	if h.node, err = node.Open(node.Config{}, memory.Open); err != nil {
		t.Fatalf("open the node: %v", err)
	}
	cfg := restapi.Config{
		Node: h.node, Logger: slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&cfg)
	}
	h.server = restapi.New(cfg)
	go func() { h.served <- h.server.Serve(h.pipe) }()
	t.Cleanup(h.close)
	return h
}

// close ends the house as a server does that waits for nobody.
func (h *house) close() {
	if h.closed {
		return
	}
	h.closed = true
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.server.Stop(ctx)
	if err := <-h.served; err != nil {
		h.t.Errorf("serve: %v", err)
	}
	if err := h.node.Close(); err != nil {
		h.t.Errorf("close the node: %v", err)
	}
}

// dial makes a connection.
func (h *house) dial() net.Conn {
	h.t.Helper()
	c, err := h.pipe.DialContext(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	return c
}

// client is a client with a cookie of its own, and a connection for each request.
type client struct {
	t      *testing.T
	http   *http.Client
	cookie string // sent if it is not empty, as it is
	basic  string // user:password, sent if it is not empty
	header http.Header
}

func (h *house) client() *client {
	return &client{t: h.t, http: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return h.pipe.DialContext(ctx) },
	}}}
}

// answer is what came back.
type answer struct {
	*http.Response
	body string
}

func (c *client) do(method, path, body string) *answer {
	c.t.Helper()
	a, err := c.try(context.Background(), method, path, strings.NewReader(body))
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (c *client) try(ctx context.Context, method, path string, body io.Reader) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://house"+path, body)
	if err != nil {
		return nil, err
	}
	r.Header = c.header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if c.cookie != "" {
		r.Header.Set("Cookie", c.cookie)
	}
	if user, password, ok := strings.Cut(c.basic, ":"); ok {
		r.SetBasicAuth(user, password)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return &answer{resp, string(b)}, err
}

// begin opens a session, and has the client show its cookie from now on.
func (c *client) begin() *client {
	c.t.Helper()
	a := c.do("POST", "/session", "")
	if a.StatusCode != http.StatusCreated || len(a.Cookies()) != 1 {
		c.t.Fatalf("open a session: %s %v %s", a.Status, a.Header, a.body)
	}
	c.cookie = "ldlm-session=" + a.Cookies()[0].Value
	return c
}

// result is the body of an answer about a lock.
type result struct {
	Locked   bool   `json:"locked"`
	Unlocked bool   `json:"unlocked"`
	Name     string `json:"name"`
	Key      string `json:"key"`
	Error    struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (a *answer) result(t *testing.T) result {
	t.Helper()
	var r result
	if err := json.Unmarshal([]byte(a.body), &r); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %v", a.Status, a.body, err)
	}
	return r
}

// lock tries a lock.
func (c *client) lock(body string) result {
	c.t.Helper()
	return c.do("POST", "/v1/lock", body).result(c.t)
}

// wantStatus checks a status and a part of the body.
func (a *answer) want(t *testing.T, what string, status int, part string) {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.body, part) {
		t.Errorf("%s: got %s %s, want %d with %q", what, a.Status, a.body, status, part)
	}
}

// held reports whether anybody holds a lock.
func (h *house) held(name string) bool {
	h.t.Helper()
	v, ok, err := h.node.Lookup(context.Background(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	return ok && len(v.Holders) > 0
}

// moody is a node that may fail before it asks, or answer with what it is told.
type moody struct {
	restapi.Node
	before func(c lock.Command) (lock.Outcome, error, bool)
}

func (m *moody) Call(ctx context.Context, c lock.Command) (lock.Outcome, error) {
	if m.before != nil {
		if o, err, done := m.before(c); done {
			return o, err
		}
	}
	return m.Node.Call(ctx, c)
}
