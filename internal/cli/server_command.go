package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/certs"
	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/probe"
	"github.com/ldlm-io/ldlm/internal/proc"
	"github.com/ldlm-io/ldlm/internal/systemd"
)

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
		return runServer(c.Context(), p, binding, settings)
	}
	return c, binding
}

// printInstead prints what was asked for instead of a server; done is false if
// nothing was.
func printInstead(p *Process, b *config.Binding, s *config.Server) (done bool, err error) {
	var format config.Format
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
	passwords, err := settings.Passwords()
	if err == nil {
		settings.DataDir, err = settings.Directory()
	}
	if err != nil {
		return misconfigured(err)
	}
	accounts, err := readAccounts(&settings)
	if err != nil {
		return misconfigured(err)
	}
	signals, stop := p.Notify()
	defer stop()
	hangups, stop := p.hangups()
	defer stop()
	level := &slog.LevelVar{}
	level.Set(settings.LogLevel.Level())
	log := openLog(p, settings.LogFormat, level)
	defer log.close()
	defer boundMemory(p.Getenv)()
	c := ServerConfig{Settings: settings, Logger: log.Logger}
	e := &ending{delay: settings.ShutdownDelay, timeout: settings.ShutdownTimeout, manager: systemd.NewNotifier(p.Getenv)}
	if e.audit, err = audit.Open(settings.AuditLog, p.Stderr, c.Logger); err != nil {
		return misconfigured(err)
	}
	r := &reloader{
		binding: binding, getenv: p.Getenv, log: c.Logger, level: level, passwords: auth.NewPasswords(passwords...), audit: e.audit, manager: e.manager,
	}
	c.Gate = r.openGate(accounts, &settings)
	c.Operator, c.ReloadFailed, c.Audit = r, r.sinceFailure, e.audit
	c.PulseEvery = systemd.WatchdogEvery(p.Getenv)
	c.Pulse = func() { e.tell(c.Logger, systemd.Alive) }
	server, err := openServer(ctx, p, &c)
	if err != nil {
		return startError(errors.Join(err, e.last(ctx)))
	}
	r.use(c.Certificates)
	greet(c.Logger, server, &settings)
	e.watch(&c, server)
	warnOfSources(p, binding, c.Logger)
	e.tell(c.Logger, systemd.Ready, systemd.Status("serving on "+server.Addr().String()))
	return waitServer(server, c.Logger, signals, hangups, func() error { return r.Reload(audit.Actor{Via: "signal"}) }, e)
}

// watch starts the port for probes, if there is to be one, and warns of what is
// dangerous.
func (e *ending) watch(c *ServerConfig, server *Server) {
	var admin net.Addr
	if c.Admin != nil {
		e.probes = probe.Start(c.Admin, server.Readiness, c.Logger)
		admin = e.probes.Addr()
		c.Logger.Info("Probes are answered", "admin_address", admin.String())
	}
	warnOfDangers(c.Logger, server, &c.Settings, admin)
}

// warnOfSources warns of how settings came to be what they are.
func warnOfSources(p *Process, binding *config.Binding, log *slog.Logger) {
	if binding.Origin("password").Source == config.FromFlag {
		log.Warn("The password was given as a flag, which every list of processes shows: use password_file, or LDLM_PASSWORD")
	}
	for _, text := range binding.Strangers(p.environ()) {
		log.Warn(text)
	}
}

// openServer takes socket and ports, and starts a server on them. What it took
// is in the configuration.
func openServer(ctx context.Context, p *Process, c *ServerConfig) (*Server, error) {
	var err error
	if c.Passed, err = systemd.Sockets(p.Getenv); err != nil {
		return nil, err
	}
	if c.Socket, err = openSocket(c.Logger, config.SocketFile(c.Settings.IPCSocketFile, p.Getenv)); err != nil {
		return nil, fmt.Errorf("server.New() error creating server: %w", err)
	}
	if err = openPorts(ctx, c); err != nil {
		if c.Socket != nil {
			c.Socket.Close()
		}
		return nil, fmt.Errorf("net.Run() error starting server: %w", err)
	}
	if c.Members, err = openMembers(ctx, &c.Settings); err != nil {
		closePorts(c)
		return nil, fmt.Errorf("net.Run() error starting server: %w", err)
	}
	server, err := StartServer(*c)
	if err != nil {
		if c.Admin != nil {
			_ = c.Admin.Close()
		}
		return nil, fmt.Errorf("server.New() error creating server: %w", err)
	}
	return server, nil
}

// openPorts reads the certificates and takes the ports, or leaves nothing taken.
func openPorts(ctx context.Context, c *ServerConfig) error {
	var err error
	c.Certificates, err = certs.Open(certs.Files{
		Certificate: c.Settings.TLSCert, Key: c.Settings.TLSKey,
		ClientCA: c.Settings.ClientCA, VerifyClients: c.Settings.ClientCertVerify,
	}, c.Logger)
	if err != nil {
		return err
	}
	mode, err := c.Settings.SocketRights()
	if err != nil {
		return err
	}
	return openAll(ctx, []port{
		{"grpc", "listen_address", c.Settings.ListenAddress, &c.Listener},
		{"rest", "rest_listen_address", c.Settings.RESTListenAddress, &c.REST},
		{"admin", "admin_listen_address", c.Settings.AdminListenAddress, &c.Admin},
	}, c.Passed, mode)
}

// withCulprit adds to an error of listening who has the port.
func withCulprit(ctx context.Context, option, address string, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return fmt.Errorf("%w\n%s %s is in use; %s%s", err, option, address, whoAnswers(ctx, address), processBehind(ctx, address))
}

// processBehind says which process listens at a port of this machine, "" if that
// cannot be seen.
func processBehind(ctx context.Context, address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	pid, err := proc.Behind(ctx, net.JoinHostPort("localhost", port))
	if err != nil {
		return ""
	}
	return fmt.Sprintf("; its process is %d", pid)
}

// greet logs what the server is, and what about it may surprise.
func greet(log *slog.Logger, s *Server, settings *config.Server) {
	addr, rest := s.Addr(), s.RESTAddr()
	if settings.Password != "" || settings.PasswordFile != "" {
		log.Info("Loaded gRPC authentication configuration")
	}
	if settings.TokensFile != "" {
		log.Info("Principals are told apart", "tokens_file", settings.TokensFile)
	}
	log.Warn("gRPC server started. Listening on " + settings.ListenAddress)
	runs := []any{
		"version", currentBuild().version, "address", addr.String(),
		"frozen_v1_client_keeps_locks", (settings.KeepaliveInterval + settings.KeepaliveTimeout).String(),
	}
	if rest != nil {
		log.Warn("REST server started. Listening on " + settings.RESTListenAddress)
		runs = append(runs, "rest_address", rest.String())
	}
	log.Info("Server runs", runs...)
	if rest == nil {
		log.Warn("REST is off: rest_listen_address is not set")
	}
	if settings.DataDir == "" {
		log.Warn("Locks are kept in memory: they do not survive a restart")
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
