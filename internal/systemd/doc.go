// Package systemd is the side of a service in the conversation with its service
// manager: what it tells (ready, stopping, alive), and the sockets that it is
// given at the start. Without a service manager all of it does nothing.
//
// It knows the variables and datagrams of that conversation. It does not know
// what the process does.
package systemd
