package ldlmtest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/server"
)

// Address is where clients find the server, through its [Server.Dial].
const Address = "ldlmtest:3144"

// Server is a server in memory. Make one with [NewServer]. All methods are safe
// for concurrent use.
type Server struct {
	tb       testing.TB
	server   *server.Server
	listener *bufconn.Listener

	mu       sync.Mutex
	networks map[*ldlm.Client]*network
}

// NewServer starts a server that ends with the test. Nobody is asked for a password.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	const pipeBytes = 64 << 10
	l := bufconn.Listen(pipeBytes)
	running, err := server.Start(server.Config{Listener: l, Version: "ldlmtest"})
	if err != nil {
		tb.Fatalf("ldlmtest: start the server: %v", err)
	}
	s := &Server{tb: tb, server: running, listener: l, networks: map[*ldlm.Client]*network{}}
	tb.Cleanup(s.close)
	return s
}

// close ends the server. Whoever is still connected is cut off.
func (s *Server) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		s.tb.Errorf("ldlmtest: end the server: %v", err)
	}
}

// Dial connects to the server, whatever the address. It is for clients that
// are not made by [Server.Client]: give it to ldlm.WithDialer, or to
// grpc.WithContextDialer.
func (s *Server) Dial(ctx context.Context, _ string) (net.Conn, error) {
	return s.listener.DialContext(ctx)
}

// Client returns a client of the server that is closed with the test tb, which
// must end no later than the server's own.
func (s *Server) Client(tb testing.TB, opts ...ldlm.DialOption) *ldlm.Client {
	tb.Helper()
	n := newNetwork(s.listener.DialContext)
	c, err := ldlm.Dial(Address, append([]ldlm.DialOption{ldlm.WithDialer(n.dial)}, opts...)...)
	if err != nil {
		tb.Fatalf("ldlmtest: make a client: %v", err)
	}
	s.mu.Lock()
	s.networks[c] = n
	s.mu.Unlock()
	tb.Cleanup(func() {
		n.heal() // so that closing is not waited for in vain
		_ = c.Close()
	})
	return c
}

// network returns the network of one of the server's clients.
func (s *Server) network(c *ldlm.Client) *network {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.networks[c]
	if n == nil {
		s.tb.Fatal("ldlmtest: not a client that this server's Client has made")
	}
	return n
}

// Partition cuts a client of [Server.Client] off: neither side hears of the
// other until [Server.Heal], and neither is told. After the session's ttl the
// client's locks pass on; a little earlier the client knows that they are lost.
func (s *Server) Partition(c *ldlm.Client) {
	s.tb.Helper()
	s.network(c).cut()
}

// Heal ends a partition. Connections from before it are broken.
func (s *Server) Heal(c *ldlm.Client) {
	s.tb.Helper()
	s.network(c).heal()
}

// Op is an operation whose reply can be lost.
type Op uint8

// Operations for [Server.DropNextReply].
const (
	Lock Op = 1 + iota
	Unlock
	Renew
)

// DropNextReply loses the reply to a client's next operation of this kind: the
// server carries it out, and the connection breaks before the client hears of
// it. The client must use the plain carrier, which is the default.
func (s *Server) DropNextReply(c *ldlm.Client, op Op) {
	s.tb.Helper()
	s.network(c).dropNext(op)
}

// Expire ends all holds of a lock against their holders' will, who are told
// that it is lost, with the reason ldlm.ReasonForced.
func (s *Server) Expire(name string) {
	s.tb.Helper()
	for _, h := range s.lookup(name).Holders {
		o, err := s.server.Node().Call(context.Background(), &lock.ForceRelease{Name: name, Token: h.Token, Reason: "ldlmtest"})
		if err != nil || o.Code != lock.OK && o.Code != lock.TokenMoved {
			s.tb.Fatalf("ldlmtest: expire %q: %v %v", name, o.Code, err)
		}
	}
}

// Held reports whether somebody holds a lock, or a lock delay keeps it shut.
func (s *Server) Held(name string) bool {
	s.tb.Helper()
	return s.lookup(name).HolderCount > 0
}

// Waiting returns how many requests wait for a lock.
func (s *Server) Waiting(name string) int {
	s.tb.Helper()
	return s.lookup(name).WaiterCount
}

func (s *Server) lookup(name string) lock.LockView {
	s.tb.Helper()
	v, _, err := s.server.Node().Lookup(context.Background(), name)
	if err != nil {
		s.tb.Fatalf("ldlmtest: look up %q: %v", name, err)
	}
	return v
}

// Advance lets time pass in the server, and nowhere else: leases and waits whose
// time is over end. Clients do not notice, so it is also how to see what they
// do when the server is ahead of them.
func (s *Server) Advance(d time.Duration) { s.server.Node().Advance(d) }
