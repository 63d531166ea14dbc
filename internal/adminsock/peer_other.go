//go:build !linux

package adminsock

import "net"

// peerName is not known here: the rights of the socket's file say who may ask.
func peerName(net.Conn) string { return "" }
