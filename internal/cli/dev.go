package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/probe"
)

// devShutdownTimeout bounds how long the calls of clients may hold up the end.
const devShutdownTimeout = 10 * time.Second

// dev is a development server before it starts: everything that could be in its
// way is out of it.
type dev struct {
	settings config.Dev
	listener net.Listener
	rest     net.Listener      // nil: off
	admin    net.Listener      // nil: off
	socket   *adminsock.Socket // nil: off
	path     string            // of the socket
	noSocket error             // why it is off though nobody asked for that
}

// openDev takes the ports and the socket, or leaves nothing taken.
func openDev(ctx context.Context, p *Process, settings *config.Dev) (*dev, error) {
	d := &dev{settings: *settings, path: config.SocketFile(settings.IPCSocketFile, p.Getenv)}
	var err error
	if d.listener, err = devPort(ctx, "listen_address", settings.ListenAddress); err != nil {
		return nil, err
	}
	if settings.RESTListenAddress != "" {
		d.rest, err = devPort(ctx, "rest_listen_address", settings.RESTListenAddress)
	}
	if err == nil && settings.AdminListenAddress != "" {
		d.admin, err = devPort(ctx, "admin_listen_address", settings.AdminListenAddress)
	}
	if err == nil {
		err = d.openSocket()
	}
	if err != nil {
		for _, l := range []net.Listener{d.listener, d.rest, d.admin} {
			if l != nil {
				_ = l.Close()
			}
		}
		return nil, err
	}
	return d, nil
}

// openSocket makes the socket of ldlm-lock. One that was asked for is needed. The
// usual one may belong to a server that also runs here, which is no reason not to
// start.
func (d *dev) openSocket() error {
	if d.path == "" {
		return nil
	}
	var err error
	if d.socket, err = adminsock.Listen(d.path); err != nil && d.settings.IPCSocketFile != config.PlatformSpecific {
		return err
	}
	d.noSocket = err
	return nil
}

// devPort takes a port that only this machine reaches.
func devPort(ctx context.Context, option, address string) (net.Listener, error) {
	if err := checkLoopback(ctx, option, address); err != nil {
		return nil, err
	}
	l, err := listenTCP(ctx, address)
	if err != nil {
		return nil, portError(ctx, option, address, err)
	}
	return l, nil
}

// checkLoopback refuses addresses that others reach: whoever reaches the server
// may do everything.
func checkLoopback(ctx context.Context, option, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return &exitError{code: exitUsage, err: fmt.Errorf("ldlm dev: --%s: %w", option, err)}
	}
	var r net.Resolver
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if host == "" {
		addrs, err = []netip.Addr{netip.IPv6Unspecified()}, nil
	}
	if err != nil {
		return fmt.Errorf("dev: --%s: %w", option, err)
	}
	for _, a := range addrs {
		if !a.Unmap().IsLoopback() {
			return &exitError{code: exitUsage, err: fmt.Errorf("ldlm dev: --%s %s is reached from elsewhere, "+
				"and a development server asks nobody for a password.\nFor others there is: ldlm server --%[1]s %[2]s", option, address)}
		}
	}
	return nil
}

// portError says why a port cannot be had, and who has it.
func portError(ctx context.Context, option, address string, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("dev: %w", err)
	}
	_, port, _ := net.SplitHostPort(address)
	return fmt.Errorf("dev: port %s is in use; %s\nAnother one: ldlm dev --%s 127.0.0.1:0", port, whoAnswers(ctx, address), option)
}

// run starts the server, says what there is, as text, json or not at all, and waits
// for the end.
func (d *dev) run(p *Process, output string) error {
	signals, stop := p.Notify()
	defer stop()
	log := openLog(p, "auto", d.settings.LogLevel)
	defer log.close()
	server, e, err := d.start(log.Logger)
	if err != nil {
		return err
	}
	if err := d.announce(p.Stdout, output); err != nil {
		log.Error("Nobody reads where the server listens", "error", err)
	}
	return waitServer(server, log.Logger, signals, nil, nil, e)
}

// start starts the server, and says how it ends.
func (d *dev) start(log *slog.Logger) (*Server, *ending, error) {
	server, err := StartServer(ServerConfig{Settings: d.server(), Logger: log, Listener: d.listener, REST: d.rest, Socket: d.socket})
	if err != nil {
		if d.admin != nil {
			_ = d.admin.Close()
		}
		return nil, nil, startError(err)
	}
	e := &ending{timeout: devShutdownTimeout}
	if d.admin != nil {
		e.probes = probe.Start(d.admin, server.Readiness, log)
	}
	return server, e, nil
}

// server makes the settings of the server from the few that there are.
func (d *dev) server() config.Server {
	var s config.Server
	config.Bind(pflag.NewFlagSet("", pflag.ContinueOnError), &s) // for its defaults
	s.ListenAddress, s.IPCSocketFile, s.LogLevel = d.settings.ListenAddress, d.path, d.settings.LogLevel
	s.KeepaliveInterval, s.KeepaliveTimeout = d.settings.KeepaliveInterval, d.settings.KeepaliveTimeout
	return s
}

// announce says what there is: to people, to a program, or to nobody.
func (d *dev) announce(w io.Writer, output string) error {
	switch output {
	case "":
		return nil
	case "json":
		line, err := d.document()
		if err == nil {
			_, err = w.Write(line)
		}
		return err
	default:
		d.print(w)
		return nil
	}
}

// print says what listens where, and what to try.
func (d *dev) print(w io.Writer) {
	address := d.listener.Addr()
	fmt.Fprintf(w, "ldlm %s  development server: memory only, loopback, no password. Not for production.\n", currentBuild().version)
	fmt.Fprintf(w, "  gRPC        %-21s  any language; with reflection\n", address)
	fmt.Fprintf(w, "  Native      %-21s  the Go client's protocol, on the same port\n", address)
	if d.rest != nil {
		fmt.Fprintf(w, "  REST        http://%s\n", d.rest.Addr())
	}
	if d.admin != nil {
		fmt.Fprintf(w, "  Admin       http://%s  /readyz?verbose, /debug/pprof/\n", d.admin.Addr())
	}
	switch {
	case d.socket != nil:
		fmt.Fprintf(w, "  ldlm-lock   %s\n", d.path)
	case d.noSocket != nil:
		fmt.Fprintf(w, "  ldlm-lock   off: another server has %s (choose one with --ipc_socket_file)\n", d.path)
	}
	elsewhere := ""
	if address.String() != defaultAddress {
		elsewhere = "LDLM_ADDRESS=" + address.String() + " "
	}
	fmt.Fprintf(w, "  Try:  %sldlm lock demo -- sleep 60\n", elsewhere)
	fmt.Fprintf(w, "        %sldlm ls\n", elsewhere)
	fmt.Fprintln(w, "Ctrl-C stops it.")
}
