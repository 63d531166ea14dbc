// Package cluster is the port on which members speak to each other, with the
// certificates that say who they are.
//
// # A connection
//
//	dialer --> listener   TLS on both sides, or plain text
//	dialer --> listener   hello: what for, cluster, own name, name expected
//	dialer <-- listener   welcome: cluster, own name; or why not
//
// The name in a hello and in a welcome must be that of the certificate. What follows
// is either the journal's own stream, which this package hands on, or questions
// with answers in frames, many at a time, in any order:
//
//	+--------+--------+---------+
//	| length | number | payload |   4, 8, and length-8 bytes, big-endian
//	+--------+--------+---------+
//
// The first byte of a question's payload says whom it is for. Number 0 is a sign of life,
// which both sides send; who hears nothing for a while closes the connection, and
// everybody who waits for an answer is told that it is not known.
//
// No length makes anybody allocate: memory grows with what has really arrived.
//
// # What it does not know
//
// What the questions mean, who leads, and what a journal is.
package cluster
