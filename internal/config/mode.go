package config

import (
	"fmt"
	"io/fs"
	"strconv"
)

// UnixPrefix begins a listen address that is the path of a socket.
const UnixPrefix = "unix:"

// SocketRights returns the rights of the files of sockets that clients use, which
// are written in octal.
func (s *Server) SocketRights() (fs.FileMode, error) {
	n, err := strconv.ParseUint(s.SocketMode, 8, 32)
	if err != nil || n > uint64(fs.ModePerm) {
		return 0, fmt.Errorf("socket_mode %q are no rights of a file: write them in octal, such as 0660", s.SocketMode)
	}
	return fs.FileMode(n), nil
}
