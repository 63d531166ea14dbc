package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// Config is what a server is made of. Zero fields take the defaults of the parts.
type Config struct {
	// Listener is the port for clients. The server closes it, even if it does
	// not start. Needed.
	Listener net.Listener
	// Logger is for all parts. Default: none.
	Logger *slog.Logger
	// Version is told to clients.
	Version string
	// Passwords say who may come in. Default: everybody.
	Passwords auth.Passwords
	// CollectEvery is how often idle locks are forgotten, CollectIdle how long
	// nobody must have touched them.
	CollectEvery, CollectIdle time.Duration
	// KeepaliveInterval and KeepaliveTimeout find dead gRPC connections.
	KeepaliveInterval, KeepaliveTimeout time.Duration
	// NoClearOnDisconnect leaves the holds of v1 connections when they end.
	NoClearOnDisconnect bool
}

// Server is a running server. Make one with [Start] and end it with Shutdown.
// All methods are safe for concurrent use.
type Server struct {
	addr     net.Addr
	node     *node.Node
	port     *wire.Listener
	sessions *sessionapi.Server
	grpc     *grpcapi.Server

	// tasks are the goroutines that accept. failed is closed, once, when one of
	// them or the node has ended by itself; err says why and is set before.
	tasks  sync.WaitGroup
	failed chan struct{}
	err    error
	once   sync.Once
}

// Start starts a server that keeps everything in memory.
func Start(c Config) (*Server, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	n, err := node.Open(node.Config{
		Logger: c.Logger, CollectEvery: c.CollectEvery, CollectIdle: c.CollectIdle,
	}, memory.Open)
	if err != nil {
		_ = c.Listener.Close()
		return nil, err
	}
	sessions := sessionapi.New(sessionapi.Config{
		Logger: c.Logger, Node: belowSessions{n}, Passwords: c.Passwords, Version: c.Version,
		Immediate: true, // the journal in memory waits for nothing
	})
	s := &Server{
		addr: c.Listener.Addr(), node: n, sessions: sessions, failed: make(chan struct{}),
		port: wire.NewListener(c.Listener, wire.ListenerConfig{Logger: c.Logger}),
		grpc: grpcapi.New(grpcapi.Config{
			Logger: c.Logger, Node: belowGRPC{n}, Sessions: sessions, Passwords: c.Passwords,
			KeepaliveInterval: c.KeepaliveInterval, KeepaliveTimeout: c.KeepaliveTimeout,
			NoClearOnDisconnect: c.NoClearOnDisconnect, Version: c.Version,
		}),
	}
	s.tasks.Go(func() { s.fail(s.sessions.ServeListener(context.Background(), s.port.Native())) })
	s.tasks.Go(func() { s.fail(s.grpc.Serve(s.port.HTTP2())) })
	return s, nil
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

// Node returns the node, for what is not on the listener.
func (s *Server) Node() *node.Node { return s.node }

// Addr returns the address that clients connect to.
func (s *Server) Addr() net.Addr { return s.addr }

// Failed is closed when the server cannot go on; Err then says why. Shutdown is
// still needed.
func (s *Server) Failed() <-chan struct{} { return s.failed }

// Err returns why the server cannot go on. It is for after Failed is closed.
func (s *Server) Err() error { return s.err }

// Drain has nothing granted any more, answers waiting calls, and tells native
// clients to go. What is held stays, and may be released and renewed. The end of
// the server is not that of its clients' sessions, so nobody gets the lock of a
// client whose connection ends on the way out.
func (s *Server) Drain(ctx context.Context) error {
	if err := s.node.StopGranting(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("stop granting: %w", err)
	}
	s.sessions.Drain("the server shuts down")
	s.grpc.Drain()
	return nil
}

// Shutdown ends the server in order: it drains, then connections end, at last
// those of clients that have not let go when ctx ends. When it returns, no
// goroutine is left.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.Drain(ctx)
	// Sessions in memory end with the server, so their connections have nothing
	// to wait for; those that gRPC carries would keep it from ending.
	s.sessions.Close()
	s.grpc.Stop(ctx)
	_ = s.port.Close() // nobody can do anything about an error
	s.tasks.Wait()
	return errors.Join(err, s.node.Close())
}
