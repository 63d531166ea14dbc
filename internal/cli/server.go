package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// ServerConfig is what a [Server] is started with.
type ServerConfig struct {
	Settings config.Server
	Logger   *slog.Logger
	// Listener is the port for clients. The server closes it, even if it does
	// not start.
	Listener net.Listener
	// Socket is that of ldlm-lock, nil for none. The server closes it, even if
	// it does not start.
	Socket *adminsock.Socket
}

// A Server is a running server: a node over a journal in memory, with everything
// that speaks to clients. Make one with [StartServer] and end it with Shutdown.
// All methods are safe for concurrent use.
type Server struct {
	addr     net.Addr
	node     *node.Node
	port     *wire.Listener
	sessions *sessionapi.Server
	grpc     *grpcapi.Server
	socket   *adminsock.Server // nil: off

	// tasks are the goroutines that accept. failed is closed, once, when one of
	// them or the node has ended by itself; err says why and is set before.
	tasks  sync.WaitGroup
	failed chan struct{}
	err    error
	once   sync.Once
}

// StartServer starts a server.
func StartServer(c ServerConfig) (*Server, error) {
	n, err := node.Open(nodeConfig(&c), memory.Open)
	if err != nil {
		_ = c.Listener.Close()
		if c.Socket != nil {
			c.Socket.Close()
		}
		return nil, err
	}
	s := &Server{
		addr: c.Listener.Addr(), node: n, failed: make(chan struct{}),
		port:     wire.NewListener(c.Listener, wire.ListenerConfig{Logger: c.Logger}),
		sessions: sessionapi.New(sessionConfig(&c, n)),
		grpc:     grpcapi.New(grpcConfig(&c, n)),
	}
	if c.Socket != nil {
		s.socket = adminsock.Start(adminsock.Config{Socket: c.Socket, Node: n, Logger: c.Logger})
	}
	s.tasks.Go(func() { s.fail(s.sessions.ServeListener(context.Background(), s.port.Native())) })
	s.tasks.Go(func() { s.fail(s.grpc.Serve(s.port.HTTP2())) })
	return s, nil
}

func nodeConfig(c *ServerConfig) node.Config {
	// No time is too short to be meant; none at all would be the node's default.
	const shortest = time.Nanosecond
	return node.Config{
		Logger:       c.Logger,
		CollectEvery: max(c.Settings.LockGCInterval, shortest),
		CollectIdle:  max(c.Settings.LockGCMinIdle, shortest),
	}
}

func sessionConfig(c *ServerConfig, n *node.Node) sessionapi.Config {
	return sessionapi.Config{
		Logger: c.Logger, Node: belowSessions{n}, Passwords: auth.NewPasswords(c.Settings.Password),
		Version: currentBuild().version, Immediate: true, // the journal in memory waits for nothing
	}
}

func grpcConfig(c *ServerConfig, n *node.Node) grpcapi.Config {
	return grpcapi.Config{
		Logger: c.Logger, Node: belowGRPC{n}, Passwords: auth.NewPasswords(c.Settings.Password),
		KeepaliveInterval:   max(c.Settings.KeepaliveInterval, time.Second),
		KeepaliveTimeout:    max(c.Settings.KeepaliveTimeout, 0),
		NoClearOnDisconnect: c.Settings.NoClearOnDisconnect,
	}
}

// fail notes that a part of the server has ended by itself.
func (s *Server) fail(err error) {
	if err == nil {
		return
	}
	s.once.Do(func() {
		s.err = err
		close(s.failed)
	})
}

// Addr returns the address that clients connect to.
func (s *Server) Addr() net.Addr { return s.addr }

// Failed is closed when the server cannot go on; Err then says why. Shutdown is
// still needed.
func (s *Server) Failed() <-chan struct{} { return s.failed }

// Err returns why the server cannot go on. It is for after Failed is closed.
func (s *Server) Err() error { return s.err }

// Shutdown ends the server in order: nothing is granted any more, waiting calls
// are answered, native clients are told to go, connections end, at last those of
// clients that have not let go when ctx ends. The end of the server is not that of
// its clients' sessions, so nobody gets the lock of a client whose connection ends
// here. When it returns, no goroutine is left.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.node.StopGranting(context.WithoutCancel(ctx))
	if err != nil {
		err = fmt.Errorf("stop granting: %w", err)
	}
	s.sessions.Drain("the server shuts down")
	s.grpc.Drain()
	if s.socket != nil {
		s.socket.Close()
	}
	// Sessions in memory end with the server, so their connections have nothing
	// to wait for; those that gRPC carries would keep it from ending.
	s.sessions.Close()
	s.grpc.Stop(ctx)
	_ = s.port.Close() // nobody can do anything about an error
	s.tasks.Wait()
	return errors.Join(err, s.node.Close())
}
