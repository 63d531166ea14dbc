package grpcapi_test

import (
	"context"
	"net"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a server in memory with everything below it.
type house struct {
	t        *testing.T
	node     *node.Node
	sessions *sessionapi.Server
	server   *grpcapi.Server
	pipe     *bufconn.Listener // for connections in memory
	served   chan error
}

// open makes a house; change may change what it is made of.
func open(t *testing.T, change ...func(*node.Config, *grpcapi.Config)) *house {
	t.Helper()
	var settings node.Config
	var cfg grpcapi.Config
	for _, c := range change {
		c(&settings, &cfg)
	}
	n, err := node.Open(settings, memory.Open)
	if err != nil {
		t.Fatalf("open the node: %v", err)
	}
	if m, ok := cfg.Node.(*moody); ok {
		m.Node = below{n}
	} else {
		cfg.Node = below{n}
	}
	sessions := sessionapi.New(sessionapi.Config{
		Logger: cfg.Logger, Node: belowSessions{n}, Gate: cfg.Gate, Version: "test", Immediate: true,
	})
	cfg.Sessions = sessions
	h := &house{
		t: t, node: n, sessions: sessions, server: grpcapi.New(cfg),
		pipe: bufconn.Listen(1 << 16), served: make(chan error, 2),
	}
	h.serve(h.pipe)
	t.Cleanup(h.close)
	return h
}

func (h *house) serve(l net.Listener) { go func() { h.served <- h.server.Serve(l) }() }

// listen serves on a loopback port as well.
func (h *house) listen() string {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.serve(l)
	return l.Addr().String()
}

// close ends the house as a server that leaves in order does.
func (h *house) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.sessions.Close()
	h.server.Stop(ctx)
	if err := h.node.Close(); err != nil {
		h.t.Errorf("close the node: %v", err)
	}
}

// dial connects in memory.
func (h *house) dial() *grpc.ClientConn {
	h.t.Helper()
	return connect(h.t, "passthrough:///house", grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return h.pipe.DialContext(ctx)
	}))
}

func connect(t *testing.T, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithIdleTimeout(0)) // by itself a channel closes its connection after 30 minutes
	c, err := grpc.NewClient(target, opts...)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// client is a client of the first protocol with a connection of its own.
type client struct {
	ldlmv1.LDLMClient
	conn *grpc.ClientConn
	t    *testing.T
}

func (h *house) client() *client {
	c := h.dial()
	return &client{ldlmv1.NewLDLMClient(c), c, h.t}
}

func clientAt(t *testing.T, addr string) *client {
	c := connect(t, addr)
	return &client{ldlmv1.NewLDLMClient(c), c, t}
}

// close ends the connection in order.
func (c *client) close() {
	if err := c.conn.Close(); err != nil {
		c.t.Errorf("close the connection: %v", err)
	}
}
