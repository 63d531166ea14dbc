// Package tokens reads and writes the file in which the principals of a server are
// written down. It has one a line, in fields; what follows a # at the beginning of a
// line is a comment.
//
//	name=web role=client sha256=9f86d0… prefix=web/ prefix="to do/" max_sessions=100
//	name=ops role=admin certificate=cn:ops certificate=uri:spiffe://example.org/ops
//
// A field stands once, but for sha256, certificate and prefix. A value with blanks or
// quotes in it is quoted as in Go.
//
//	name         unique: letters, digits and . _ - @
//	role         client, read or admin
//	sha256       of a token's random bytes, in hexadecimal: the token itself is nowhere
//	certificate  uri:, dns:, email: or cn: and a name that a client's certificate has
//	prefix       of the names of locks that it may use; none is all names
//	max_…        sessions, locks, waiters, connections, bytes: a limit of its own
//
// A file is taken as a whole or not at all: whoever mistypes a line does not lock out
// half of the clients, nor let in more than was meant. Errors say file and line.
//
// The package does not know who asks the principals for what.
package tokens
