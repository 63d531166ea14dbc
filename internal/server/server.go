package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm/internal/accept"
	"github.com/ldlm-io/ldlm/internal/archive"
	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/certs"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/probe"
	"github.com/ldlm-io/ldlm/internal/restapi"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// Config is what a server is made of. Zero fields take the defaults of the parts.
type Config struct {
	// Listener is the port for clients. The server closes it, even if it does
	// not start. Needed.
	Listener net.Listener
	// REST is the port for REST. The server closes it, even if it does not
	// start. Default: there is none.
	REST net.Listener
	// RESTSessionTimeout is how long a REST session may be idle. Default 10 min.
	RESTSessionTimeout time.Duration
	// Certificates secure both ports; the server looks after them while it runs.
	// Default: plain text.
	Certificates *certs.Certificates
	// Logger is for all parts. Default: none.
	Logger *slog.Logger
	// Audit is told what is done against somebody's will. Default: nobody is.
	Audit *audit.Log
	// Pulse is called about every PulseEvery, or more often, as long as the node is
	// not stuck. Default: never.
	Pulse      func()
	PulseEvery time.Duration
	// Version is told to clients.
	Version string
	// Gate says who may come in, and what they may do. Default: one that asks for
	// Passwords.
	Gate *auth.Gate
	// Passwords are asked for where there is no Gate. Default: none, everybody comes in.
	Passwords auth.Passwords
	// CollectEvery is how often idle locks are forgotten, CollectIdle how long
	// nobody must have touched them.
	CollectEvery, CollectIdle time.Duration
	// QuietStart keeps a server that begins with nothing from granting for so long: longer
	// than clients of an earlier life may still believe in their locks. Default 0.
	QuietStart time.Duration
	// KeepaliveInterval and KeepaliveTimeout find dead gRPC connections.
	KeepaliveInterval, KeepaliveTimeout time.Duration
	// DataDir is the directory in which everything is kept. Default: everything is
	// kept in memory.
	DataDir string
	// StateFile is a state file of version 1, whose locks are taken over when DataDir
	// is new. It is only read. Default: none.
	StateFile string
	// RestartLease is what the holds of clients of the first protocol live for
	// after the server has ended, if they are kept, and those in a state file when it
	// is taken over. Needed with DataDir.
	RestartLease time.Duration
	// Members make the server one of several. Needs DataDir. Default: it is alone.
	Members *Members
	// ReloadFailed returns how long ago the configuration could not be read again; 0 if it
	// could the last time. Default: it always can.
	ReloadFailed func() time.Duration
	// NoClearOnDisconnect leaves the holds of v1 connections when they end.
	NoClearOnDisconnect bool
	// Limits bound what all clients together take.
	Limits Limits
}

// Limits bound what all clients of a server together take, or of all the members of a
// cluster, but for connections. Zero fields take the defaults of the parts.
type Limits struct {
	Sessions, Locks         int
	Waiters, WaitersPerLock int
	// Bytes of names, notes, values and descriptions.
	Bytes int64
	// RESTConnections on the port for REST.
	RESTConnections int
	// EachPrincipal has what bounds a principal that has no limit of its own; 0 is no
	// limit.
	EachPrincipal auth.Limits
}

// quota is what bounds a principal whose own limits are given.
func (l *Limits) quota(own auth.Limits) *lock.Quota {
	q := lock.Quota{
		Sessions: int64(cmp.Or(own.Sessions, l.EachPrincipal.Sessions)),
		Locks:    int64(cmp.Or(own.Locks, l.EachPrincipal.Locks)),
		Waiters:  int64(cmp.Or(own.Waiters, l.EachPrincipal.Waiters)),
		Bytes:    cmp.Or(own.Bytes, l.EachPrincipal.Bytes),
	}
	if q == (lock.Quota{}) {
		return nil
	}
	return &q
}

// holds reports whether a principal's limits bound what it holds or waits for.
func (l *Limits) holds(own auth.Limits) bool {
	q := l.quota(own)
	return q != nil && (q.Locks > 0 || q.Waiters > 0 || q.Bytes > 0)
}

// settings are those of a table.
func (l *Limits) settings() lock.Settings {
	return lock.Settings{
		MaxSessions: l.Sessions, MaxLocks: l.Locks, MaxWaiters: l.Waiters, MaxWaitersPerLock: l.WaitersPerLock, MaxBytes: l.Bytes,
	}
}

// Server is a running server. Make one with [Start] and end it with Shutdown.
// All methods are safe for concurrent use.
type Server struct {
	addr     net.Addr
	node     *node.Node
	rounds   *rounds
	kept     *raftlog.Journal // nil: in memory
	members  *membership      // nil: alone
	port     *wire.Listener
	sessions *sessionapi.Server
	grpc     *grpcapi.Server
	rest     *restapi.Server // nil: off
	restAddr net.Addr        // nil: off

	// unready is closed, once, when no more clients should come.
	unready chan struct{}
	leave   sync.Once

	// looking ends the goroutine that looks after certificates.
	looking context.Context
	look    context.CancelFunc
	// tasks are the goroutines that accept, and that one. failed is closed, once, when one of
	// them or the node has ended by itself; err says why and is set before.
	tasks  sync.WaitGroup
	failed chan struct{}
	err    error
	once   sync.Once
}

// Start starts a server.
func Start(c Config) (*Server, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Gate == nil {
		c.Gate = auth.NewGate(auth.GateConfig{Passwords: c.Passwords, Logger: c.Logger, Audit: c.Audit})
	}
	r := newRounds(c.Pulse, c.PulseEvery)
	n, kept, members, err := openNode(&c, r)
	if err != nil {
		if c.Members != nil {
			_ = c.Members.Listener.Close()
		}
		_ = c.Listener.Close()
		if c.REST != nil {
			_ = c.REST.Close()
		}
		return nil, err
	}
	sessions := sessionapi.New(sessionapi.Config{
		Logger: c.Logger, Node: belowSessions{n}, Gate: c.Gate, Version: c.Version,
		Immediate: kept == nil, // the journal in memory waits for nothing
		Failed:    n.Done(),
		Pollers:   max(1, runtime.GOMAXPROCS(0)/2), Spin: runtime.GOMAXPROCS(0) > 1,
	})
	s := &Server{
		addr: c.Listener.Addr(), node: n, rounds: r, kept: kept, members: members, sessions: sessions, failed: make(chan struct{}), unready: make(chan struct{}),
		port: wire.NewListener(secured(&c), wire.ListenerConfig{Logger: c.Logger, Refused: c.Gate.RefuseHandshake}),
	}
	api := grpcapi.Config{
		Logger: c.Logger, Audit: c.Audit, Node: belowGRPC{n}, Sessions: sessions, Gate: c.Gate,
		KeepaliveInterval: c.KeepaliveInterval, KeepaliveTimeout: c.KeepaliveTimeout,
		NoClearOnDisconnect: c.NoClearOnDisconnect, Version: c.Version, Directory: directoryOf(kept),
		ReloadFailed: c.ReloadFailed,
		Bounded:      func(principal string) bool { return principal != "" && c.Limits.holds(c.Gate.Limits(principal)) },
	}
	if members != nil {
		api.Member, api.Members = members.config.Name, members.forClients
	}
	s.grpc = grpcapi.New(api)
	s.looking, s.look = context.WithCancel(context.Background())
	awaitLead(n)
	s.tasks.Go(s.watchNode)
	s.tasks.Go(s.watchReadiness)
	if members != nil { // before clients come: they are told who leads
		members.begin(kept, n, s.sessions.SetLeader)
	}
	s.tasks.Go(func() { s.fail(s.sessions.ServeListener(context.Background(), s.port.Native())) })
	s.tasks.Go(func() { s.fail(s.grpc.Serve(s.port.HTTP2())) })
	if c.REST != nil {
		s.startREST(&c)
	}
	if c.Certificates != nil {
		s.tasks.Go(func() { c.Certificates.Run(s.looking) })
	}
	return s, nil
}

// openNode opens the node over its journal, which is nil if that is in memory.
func openNode(c *Config, r *rounds) (*node.Node, *raftlog.Journal, *membership, error) {
	cfg := node.Config{
		Logger: c.Logger, CollectEvery: c.CollectEvery, CollectIdle: c.CollectIdle,
		Pulse: r.pulse, PulseEvery: r.every,
		Settings: c.Limits.settings(), QuietStart: c.QuietStart,
	}
	cfg.Settings.MaxIdleTTL = longestIdle(c.RESTSessionTimeout)
	cfg.Quota = func(principal string) *lock.Quota {
		return c.Limits.quota(c.Gate.Limits(principal))
	}
	if c.DataDir == "" {
		n, err := node.Open(cfg, memory.Open)
		return n, nil, nil, err
	}
	t := archive.TakeOver{File: c.StateFile, To: archive.Target{Dir: c.DataDir}, Lease: c.RestartLease, Logger: c.Logger}
	if c.StateFile != "" {
		if err := t.Run(context.Background()); err != nil {
			return nil, nil, nil, err
		}
	}
	cfg.RestartLease = c.RestartLease
	files := raftlog.Config{Dir: c.DataDir, Logger: c.Logger}
	var m *membership
	if c.Members != nil {
		var err error
		if m, err = openMembership(c); err != nil {
			return nil, nil, nil, err
		}
		cfg, files = m.nodeConfig(cfg), m.journalConfig(files)
	}
	var kept *raftlog.Journal
	n, err := node.Open(cfg, raftlog.Opener(files, &kept))
	if err != nil && m != nil {
		m.close()
	}
	if err != nil && c.StateFile != "" {
		err = t.Beside(err)
	}
	return n, kept, m, err
}

// watchNode notices that the node has ended by itself, because its journal has
// failed.
func (s *Server) watchNode() {
	select {
	case <-s.node.Done():
		s.fail(s.node.Err())
	case <-s.looking.Done():
	}
}

// longestIdle is the limit that the table has to have on idle times, or 0 if its
// own will do.
func longestIdle(timeout time.Duration) lock.Duration {
	idle := lock.Duration(timeout.Microseconds())
	if idle <= lock.DefaultSettings().MaxIdleTTL {
		return 0
	}
	return min(idle, lock.MaxDuration)
}

// secured is the port for clients, with TLS if there is to be any. Who speaks
// what is told by ALPN then, or by first bytes within.
func secured(c *Config) net.Listener {
	l := accept.Patient(c.Listener, c.Logger)
	if c.Certificates == nil {
		return l
	}
	return tls.NewListener(l, c.Certificates.Config(wire.ALPN, "h2"))
}

// startREST starts to serve the port for REST.
func (s *Server) startREST(c *Config) {
	cfg := restapi.Config{
		Logger: c.Logger, Probes: probe.Handler(s.Readiness),
		Node: s.node, Gate: c.Gate, SessionTimeout: c.RESTSessionTimeout,
	}
	if c.Certificates != nil {
		cfg.TLS = c.Certificates.Config("h2", "http/1.1")
	}
	cfg.MaxConnections = c.Limits.RESTConnections
	s.rest, s.restAddr = restapi.New(cfg), c.REST.Addr()
	s.tasks.Go(func() { s.fail(s.rest.Serve(accept.Patient(c.REST, c.Logger))) })
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

// RESTAddr returns the address of the port for REST; nil if there is none.
func (s *Server) RESTAddr() net.Addr { return s.restAddr }

// Failed is closed when the server cannot go on; Err then says why. Shutdown is
// still needed.
func (s *Server) Failed() <-chan struct{} { return s.failed }

// Err returns why the server cannot go on. It is for after Failed is closed.
func (s *Server) Err() error { return s.err }

// Drain answers waiting calls and tells native clients to go. What is held stays,
// and may be released and renewed. The end of the server is not that of its clients'
// sessions, so nobody gets the lock of a client whose connection ends on the way
// out: in memory nothing is granted any more; with a data directory, what clients
// of the first protocol hold stays without them, for a time.
func (s *Server) Drain(ctx context.Context) error {
	s.Unready()
	if s.rest != nil {
		// First of all: a lock that is free is not to be called taken because
		// nothing is granted any more.
		s.rest.Drain()
	}
	if s.kept == nil {
		if err := s.node.StopGranting(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("stop granting: %w", err)
		}
	}
	s.sessions.Drain("the server shuts down")
	s.grpc.Drain()
	if s.kept == nil {
		return nil
	}
	if s.members == nil {
		return s.node.DisownBound(ctx)
	}
	err := s.members.keepHolds(ctx)
	s.members.yield(ctx)
	return err
}

// Kept returns the journal with the data directory; nil if everything is in memory.
func (s *Server) Kept() *raftlog.Journal { return s.kept }

// Shutdown ends the server in order: it drains, then connections end, at last
// those of clients that have not let go when ctx ends. When it returns, no
// goroutine is left.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.Drain(ctx)
	// Sessions in memory end with the server, so their connections have nothing
	// to wait for; those that gRPC carries would keep it from ending.
	s.sessions.Close()
	if s.rest != nil {
		s.rest.Stop(ctx)
	}
	s.grpc.Stop(ctx)
	s.look()
	_ = s.port.Close() // nobody can do anything about an error
	s.tasks.Wait()
	err = errors.Join(err, s.node.Close())
	if s.members != nil {
		s.members.close()
	}
	return err
}
