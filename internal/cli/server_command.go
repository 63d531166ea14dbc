package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/config"
)

// shutdownTimeout bounds how long the calls of clients may hold up the end.
const shutdownTimeout = 10 * time.Second

// usageHead is the first line of help, as it always was.
const usageHead = "Command usage:\n"

// LdlmServer is the program ldlm-server: ldlm server under its old name, with the
// help and the exit codes that it had there, and deaf to arguments.
func LdlmServer(p Process) int {
	c, binding := newServerCommand(&p, "ldlm-server")
	c.Args = cobra.ArbitraryArgs
	setUsage(c, exitFailure, func() string { return usageHead + binding.Usage() })
	return p.run(c)
}

func newServer(p *Process) *cobra.Command {
	c, binding := newServerCommand(p, "server")
	c.Args = noArgs
	setUsage(c, exitUsage, func() string { return usageHead + binding.GroupedUsage() })
	return c
}

// newServerCommand makes the command that runs a server.
func newServerCommand(p *Process, name string) (*cobra.Command, *config.Binding) {
	var settings config.Server
	c := &cobra.Command{Use: name, Short: "Run a server"}
	binding := config.Bind(c.Flags(), &settings)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := binding.Load(p.Getenv); err != nil {
			return &exitError{code: exitFailure, err: fmt.Errorf("error parsing configuration: %w", err)}
		}
		if settings.Version {
			return currentBuild().print(p.Stdout)
		}
		if err := checkNotBuilt(p.Getenv); err != nil {
			return &exitError{code: exitFailure, err: fmt.Errorf("error parsing configuration: %w", err)}
		}
		return runServer(c.Context(), p, settings)
	}
	return c, binding
}

// checkNotBuilt refuses variables of options that this version does not have yet.
// A server must not start without what its operator asked for: least of all
// without encryption, or without the file that has its password.
func checkNotBuilt(getenv func(string) string) error {
	for _, o := range []struct{ variable, what string }{
		{"LDLM_CONFIG_FILE", "configuration files are"},
		{"LDLM_TLS_CERT", "TLS is"},
		{"LDLM_CLIENT_CA", "TLS is"},
		{"LDLM_CLIENT_CERT_VERIFY", "TLS is"},
		{"LDLM_REST_LISTEN_ADDRESS", "REST is"},
	} {
		if v := getenv(o.variable); v != "" && v != "false" {
			return fmt.Errorf("%s: %s not built yet; unset the variable to start without", o.variable, o.what)
		}
	}
	return nil
}

// setUsage makes a command answer --help on stdout, and flags that it does not
// have with an error and its usage.
func setUsage(c *cobra.Command, code int, usage func() string) {
	c.SetHelpFunc(func(c *cobra.Command, _ []string) { fmt.Fprint(c.OutOrStdout(), usage()) })
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return flagError(err, func(err error) error { return &exitError{code: code, err: err, usage: usage()} })
	})
}

// runServer runs a server until a signal ends it.
func runServer(ctx context.Context, p *Process, settings config.Server) error {
	if settings.StateFile != "" {
		return startError(errors.New("server.New() error creating server: state_file: locks that survive a restart are not built yet; " +
			"without state_file (flag, or LDLM_STATE_FILE) the server starts and keeps its locks in memory"))
	}
	signals, stop := p.Notify()
	defer stop()
	log := slog.New(slog.NewJSONHandler(p.Stderr, &slog.HandlerOptions{Level: settings.LogLevel}))
	socket, err := openSocket(log, config.SocketFile(settings.IPCSocketFile, p.Getenv))
	if err != nil {
		return startError(fmt.Errorf("server.New() error creating server: %w", err))
	}
	listener, err := listenTCP(ctx, settings.ListenAddress)
	if err != nil {
		if socket != nil {
			socket.Close()
		}
		return startError(fmt.Errorf("net.Run() error starting server: %w", err))
	}
	server, err := StartServer(ServerConfig{Settings: settings, Logger: log, Listener: listener, Socket: socket})
	if err != nil {
		return startError(fmt.Errorf("server.New() error creating server: %w", err))
	}
	greet(log, server.Addr(), &settings)
	return waitServer(server, log, signals)
}

// greet logs what the server is, and what about it may surprise.
func greet(log *slog.Logger, addr net.Addr, settings *config.Server) {
	log.Warn("gRPC server started. Listening on " + settings.ListenAddress)
	log.Info("Server runs", "version", currentBuild().version, "address", addr.String(),
		"frozen_v1_client_keeps_locks", (settings.KeepaliveInterval + settings.KeepaliveTimeout).String())
	log.Warn("Locks are kept in memory: they do not survive a restart")
	if tcp, ok := addr.(*net.TCPAddr); ok && settings.Password == "" && !tcp.IP.IsLoopback() {
		log.Warn("No password is set: whoever reaches the address can take and release every lock", "address", addr.String())
	}
}

// startError ends a command whose server did not start. The text stands alone.
func startError(err error) error { return &exitError{code: exitFailure, err: err} }

// openSocket makes the socket of ldlm-lock; nil if there is to be none.
func openSocket(log *slog.Logger, path string) (*adminsock.Socket, error) {
	if path == "" {
		log.Warn("IPC server disabled because of empty socket file path")
		return nil, nil
	}
	return adminsock.Listen(path)
}

func listenTCP(ctx context.Context, address string) (net.Listener, error) {
	var c net.ListenConfig
	return c.Listen(ctx, "tcp", address)
}

// waitServer ends a server when a signal says so, or when it cannot go on. A
// second signal does not wait for anybody: the process is to exit at once.
func waitServer(s *Server, log *slog.Logger, signals <-chan os.Signal) error {
	var failed error
	select {
	case <-signals:
	case <-s.Failed():
		failed = startError(fmt.Errorf("the server cannot go on: %w", s.Err()))
	}
	log.Warn("Shutting down...")
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	select {
	case err := <-done:
		return errors.Join(failed, err)
	case again := <-signals:
		return &exitError{code: signalCode(again)}
	}
}
