package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/auth"
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
	setUsage(c, exitFailure, binding, func() string { return usageHead + binding.Usage() })
	return p.run(c)
}

func newServer(p *Process) *cobra.Command {
	c, binding := newServerCommand(p, "server")
	c.Args = noArgs
	setUsage(c, exitUsage, binding, func() string { return usageHead + binding.GroupedUsage() })
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
		if done, err := printInstead(p, binding, &settings); done {
			return err
		}
		if err := checkNotBuilt(&settings); err != nil {
			return &exitError{code: exitFailure, err: fmt.Errorf("error parsing configuration: %w", err)}
		}
		return runServer(c.Context(), p, binding, settings)
	}
	return c, binding
}

// printInstead prints what was asked for instead of a server; done is false if
// nothing was.
func printInstead(p *Process, b *config.Binding, s *config.Server) (done bool, err error) {
	format := config.Format("")
	switch {
	case s.Version:
		return true, currentBuild().print(p.Stdout)
	case s.PrintYAMLTemplate:
		format = config.YAML
	case s.PrintEnvTemplate:
		format = config.Environment
	default:
		return false, nil
	}
	text, err := b.Template(format, p.Args)
	if err == nil {
		_, err = io.WriteString(p.Stdout, text)
	}
	return true, err
}

// checkNotBuilt refuses options that this version does not have yet. A server
// must not start without what its operator asked for: least of all without
// encryption.
func checkNotBuilt(s *config.Server) error {
	for _, o := range []struct {
		option string
		set    bool
		what   string
	}{
		{"tls_cert", s.TLSCert != "", "TLS is"},
		{"client_ca", s.ClientCA != "", "TLS is"},
		{"client_cert_verify", s.ClientCertVerify, "TLS is"},
		{"rest_listen_address", s.RESTListenAddress != "", "REST is"},
	} {
		if o.set {
			return fmt.Errorf("%s: %s not built yet; leave the option out to start without", o.option, o.what)
		}
	}
	return nil
}

// setUsage makes a command answer --help on stdout, and flags that it does not
// have with an error and its usage.
func setUsage(c *cobra.Command, code int, binding *config.Binding, usage func() string) {
	c.SetHelpFunc(func(c *cobra.Command, _ []string) { fmt.Fprint(c.OutOrStdout(), usage()) })
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return flagError(err, func(err error) error {
			return &exitError{code: code, err: binding.Explain(err), usage: usage()}
		})
	})
}

// runServer runs a server until a signal ends it.
func runServer(ctx context.Context, p *Process, binding *config.Binding, settings config.Server) error {
	if settings.StateFile != "" {
		return startError(errors.New("server.New() error creating server: state_file: locks that survive a restart are not built yet; " +
			"without state_file (flag, or LDLM_STATE_FILE) the server starts and keeps its locks in memory"))
	}
	passwords, err := settings.Passwords()
	if err != nil {
		return startError(fmt.Errorf("error parsing configuration: %w", err))
	}
	signals, stop := p.Notify()
	defer stop()
	log := slog.New(logHandler(p, settings.LogFormat, settings.LogLevel))
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
	server, err := StartServer(ServerConfig{
		Settings: settings, Passwords: auth.NewPasswords(passwords...), Logger: log, Listener: listener, Socket: socket,
	})
	if err != nil {
		return startError(fmt.Errorf("server.New() error creating server: %w", err))
	}
	greet(log, server.Addr(), &settings)
	if binding.Origin("password").Source == config.FromFlag {
		log.Warn("The password was given as a flag, which every list of processes shows: " +
			"use password_file, or LDLM_PASSWORD")
	}
	return waitServer(server, log, signals)
}

// greet logs what the server is, and what about it may surprise.
func greet(log *slog.Logger, addr net.Addr, settings *config.Server) {
	log.Warn("gRPC server started. Listening on " + settings.ListenAddress)
	log.Info("Server runs", "version", currentBuild().version, "address", addr.String(),
		"frozen_v1_client_keeps_locks", (settings.KeepaliveInterval + settings.KeepaliveTimeout).String())
	log.Warn("Locks are kept in memory: they do not survive a restart")
	if tcp, ok := addr.(*net.TCPAddr); ok && settings.Password == "" && settings.PasswordFile == "" && !tcp.IP.IsLoopback() {
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
