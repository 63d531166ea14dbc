package adminsock

import (
	"errors"
	"fmt"
	"net"

	"github.com/ldlm-io/ldlm/internal/unixsock"
)

// ownerOnly are the rights of the socket's file: who may connect may end every hold.
const ownerOnly = 0o600

// A Socket is a socket on which this process listens, and its file.
type Socket struct{ listener *unixsock.Listener }

// Listen makes the socket. It takes the place of one that nobody listens on any
// more, and of nothing else.
func Listen(path string) (*Socket, error) {
	l, err := unixsock.Listen(path, ownerOnly)
	system := (*net.OpError)(nil)
	switch {
	case errors.Is(err, unixsock.ErrInTheWay):
		return nil, fmt.Errorf("ipc.Run(): file: %s exists. IPC socket file already exists. If another instance of ldlm isn't running, "+
			"delete the socket file and try again. Otherwise, shut down that instance before starting a new one. "+
			"Alternatively specify a different IPC socket file", path)
	case errors.As(err, &system):
		return nil, fmt.Errorf("ipc.Run(): ipc.Run() net.listen error: %w", system)
	case err != nil:
		return nil, fmt.Errorf("ipc.Run(): %w", err)
	}
	return &Socket{listener: l}, nil
}

// Close gives the socket up. It is for those that have not started a [Server]
// with it.
func (s *Socket) Close() { _ = s.listener.Close() }
