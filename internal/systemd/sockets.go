package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// firstDescriptor is where passed sockets begin, and maxSockets how many anybody
// could mean.
const (
	firstDescriptor = 3
	maxSockets      = 64
)

// A Socket is one that the process was started with.
type Socket struct {
	// Name is FileDescriptorName= of the socket's unit.
	Name     string
	Listener net.Listener
}

// Sockets returns the sockets that the process was given, in their order; none
// if it was given none. Call it once: the descriptors are the listeners' then.
// After an error nothing is left open.
func Sockets(getenv func(string) string) ([]Socket, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil // meant for another process, which has passed its environment on
	}
	count, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || count < 0 || count > maxSockets {
		return nil, fmt.Errorf("LISTEN_FDS=%q: it is how many sockets are passed, 0 to %d", getenv("LISTEN_FDS"), maxSockets)
	}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	all := make([]Socket, 0, count)
	for i := range count {
		s := Socket{}
		if i < len(names) {
			s.Name = names[i]
		}
		if s.Listener, err = listener(firstDescriptor + i); err != nil {
			for _, s := range all {
				_ = s.Listener.Close()
			}
			return nil, fmt.Errorf("passed socket %d (%s): %w; it must be one that listens for streams", i, s.Name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// listener makes a listener of a descriptor.
func listener(descriptor int) (net.Listener, error) {
	f := os.NewFile(uintptr(descriptor), "socket "+strconv.Itoa(descriptor))
	if f == nil {
		return nil, os.ErrInvalid
	}
	defer f.Close() //nolint:errcheck // the listener has its own, which children do not inherit
	return net.FileListener(f)
}
