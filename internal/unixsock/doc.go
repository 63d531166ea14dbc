// Package unixsock listens on unix sockets that are files: it takes the place of
// one that a killed server left behind, never that of a server that lives, and
// removes at the end only what it has made.
//
// It knows files and their rights. It does not know what is spoken on a socket.
package unixsock
