package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/systemd"
	"github.com/ldlm-io/ldlm/internal/unixsock"
)

// A port is one of the server's places to listen at.
type port struct {
	// name is FileDescriptorName= of a socket unit; option and address are what
	// is listened at without one. No address: not at all.
	name, option, address string
	listener              *net.Listener // where it goes
}

// openAll opens ports: those that the service manager has passed as they are, the
// others by their addresses. After an error nothing is left open.
func openAll(ctx context.Context, ports []port, passed []systemd.Socket, mode fs.FileMode) (err error) {
	defer func() {
		if err == nil {
			return
		}
		for _, p := range ports {
			if *p.listener != nil {
				_ = (*p.listener).Close()
				*p.listener = nil
			}
		}
	}()
	if err := handOver(ports, passed); err != nil {
		return err
	}
	for i, p := range ports {
		if *p.listener != nil || p.address == "" {
			continue
		}
		if *p.listener, err = listenAt(ctx, p.address, mode); err == nil {
			continue
		}
		*p.listener = nil
		for _, other := range ports[:i] {
			if other.address == p.address {
				return fmt.Errorf("%w\n%s is the same as %s: each needs a port of its own", err, p.option, other.option)
			}
		}
		return withCulprit(ctx, p.option, p.address, err)
	}
	return nil
}

// handOver gives passed sockets to the ports of their names. One that comes alone
// under another name, which is then that of its unit, is for clients.
func handOver(ports []port, passed []systemd.Socket) error {
	var problem error
	for _, s := range passed {
		var to *port
		for i := range ports {
			if ports[i].name == s.Name || len(passed) == 1 && i == 0 && to == nil {
				to = &ports[i]
			}
		}
		switch {
		case to == nil:
			problem = fmt.Errorf("the service manager passes a socket named %q: FileDescriptorName= of a socket unit is grpc, rest or admin", s.Name)
		case *to.listener != nil:
			problem = fmt.Errorf("the service manager passes two sockets named %q, and one is enough", s.Name)
		default:
			*to.listener = s.Listener
			continue
		}
		_ = s.Listener.Close()
	}
	return problem
}

// listenAt listens at host:port or unix:PATH.
func listenAt(ctx context.Context, address string, mode fs.FileMode) (net.Listener, error) {
	path, is := strings.CutPrefix(address, config.UnixPrefix)
	if !is {
		return listenTCP(ctx, address)
	}
	l, err := unixsock.Listen(path, mode)
	if errors.Is(err, unixsock.ErrInTheWay) {
		return nil, fmt.Errorf("%w: remove the file if it is none of a server that runs, or choose another path", err)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

func listenTCP(ctx context.Context, address string) (net.Listener, error) {
	var c net.ListenConfig
	return c.Listen(ctx, "tcp", address)
}
