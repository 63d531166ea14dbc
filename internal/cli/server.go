package cli

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"time"

	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/certs"
	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/server"
	"github.com/ldlm-io/ldlm/internal/systemd"
)

// ServerConfig is what a [Server] is started with.
type ServerConfig struct {
	Settings config.Server
	// Gate lets those in whom the settings name.
	Gate   *auth.Gate
	Logger *slog.Logger
	// Listener is the port for clients. The server closes it, even if it does
	// not start.
	Listener net.Listener
	// REST is the port for REST, nil for none, and Certificates secure both
	// ports, nil for plain text. The server closes REST as it does Listener.
	REST         net.Listener
	Certificates *certs.Certificates
	// Members make the server one of several, nil for one that is alone. The server
	// closes their listener, even if it does not start.
	Members *server.Members
	// Socket is that of ldlm-lock, nil for none. The server closes it, even if
	// it does not start.
	Socket *adminsock.Socket
	// Admin is the port for probes, nil for none: whoever starts the server
	// answers there. Passed are sockets that the service manager has opened.
	Admin  net.Listener
	Passed []systemd.Socket
	// Audit is told what is done against somebody's will, nil for nobody.
	Audit *audit.Log
	// Pulse is called about every PulseEvery, 0 for never, as long as the server
	// is not stuck.
	Pulse      func()
	PulseEvery time.Duration
	// Operator is who changes the running server when the socket asks for it,
	// nil for nobody.
	Operator adminsock.Operator
	// ReloadFailed returns how long ago the configuration could not be read again, 0 if
	// it could the last time; nil if it never is.
	ReloadFailed func() time.Duration
}

// A Server is a running server with the settings of the command line, and with
// the socket of ldlm-lock. Make one with [StartServer] and end it with Shutdown.
// All methods are safe for concurrent use.
type Server struct {
	*server.Server
	socket *adminsock.Server // nil: off
}

// StartServer starts a server.
func StartServer(c ServerConfig) (*Server, error) {
	inner, err := server.Start(serverConfig(&c))
	if err != nil {
		if c.Socket != nil {
			c.Socket.Close()
		}
		return nil, err
	}
	s := &Server{Server: inner}
	if c.Socket != nil {
		s.socket = adminsock.Start(adminsock.Config{Socket: c.Socket, Node: inner.Node(), Logger: c.Logger, Operator: c.Operator, Audit: c.Audit})
	}
	return s, nil
}

// serverConfig makes the parts' settings from those of the command line, which
// are not checked for sense: no time is too short to be meant, or is taken for
// none at all.
func serverConfig(c *ServerConfig) server.Config {
	const shortest = time.Nanosecond
	return server.Config{
		Listener: c.Listener, Logger: c.Logger, Version: currentBuild().version,
		Gate:                c.Gate,
		Audit:               c.Audit,
		Pulse:               c.Pulse,
		PulseEvery:          c.PulseEvery,
		REST:                c.REST,
		RESTSessionTimeout:  max(c.Settings.RESTSessionTimeout, shortest),
		Certificates:        c.Certificates,
		CollectEvery:        max(c.Settings.LockGCInterval, shortest),
		CollectIdle:         max(c.Settings.LockGCMinIdle, shortest),
		QuietStart:          c.Settings.QuietStart,
		KeepaliveInterval:   max(c.Settings.KeepaliveInterval, time.Second),
		KeepaliveTimeout:    max(c.Settings.KeepaliveTimeout, 0),
		NoClearOnDisconnect: c.Settings.NoClearOnDisconnect,
		Members:             c.Members,
		ReloadFailed:        c.ReloadFailed,
		DataDir:             c.Settings.DataDir,
		StateFile:           c.Settings.StateFile,
		RestartLease:        max(c.Settings.DefaultLockTimeout, shortest),
		Limits:              limitsOf(&c.Settings),
	}
}

func limitsOf(s *config.Server) server.Limits {
	return server.Limits{
		Sessions: int(s.MaxSessions), Locks: int(s.MaxLocks), Waiters: int(s.MaxWaiters), WaitersPerLock: int(s.MaxWaitersPerLock),
		Bytes:           int64(min(s.MaxBytes, math.MaxInt64)),
		RESTConnections: int(s.MaxRESTConnections),
		EachPrincipal: auth.Limits{
			Sessions: int(s.MaxSessionsPerPrincipal), Locks: int(s.MaxLocksPerPrincipal), Waiters: int(s.MaxWaitersPerPrincipal),
			Bytes: int64(min(s.MaxBytesPerPrincipal, math.MaxInt64)),
		},
	}
}

// Shutdown ends the server in order: nothing is granted any more, the socket goes,
// then the clients, at last those that have not let go when ctx ends. When it
// returns, no goroutine is left.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.Drain(ctx)
	if s.socket != nil {
		s.socket.Close()
	}
	return errors.Join(err, s.Server.Shutdown(ctx))
}
