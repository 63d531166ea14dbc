package adminsock

import (
	"fmt"
	"net"
	"syscall"
)

// peerName is which process asks; "" if the system does not say.
func peerName(c net.Conn) string {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ""
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ""
	}
	name := ""
	err = raw.Control(func(fd uintptr) {
		if p, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			name = fmt.Sprintf("uid %d pid %d", p.Uid, p.Pid)
		}
	})
	if err != nil {
		return ""
	}
	return name
}
