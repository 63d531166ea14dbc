// Package grpcapi speaks gRPC: the first protocol (ldlm.LDLM), the native one
// (ldlm.v2.LDLM), health and reflection.
//
// It turns calls into commands for the node below it, and outcomes into
// answers. It decides nothing about locks.
//
// # Connections
//
// Every accepted connection has an object of its own, the [credentials.AuthInfo]
// of all its calls. It is what a session of the first protocol hangs on: opened
// at the first call, ended with the connection, in whatever way that ends. The
// one fact that is reported then is that the connection has ended; the table
// drops the waits, ends the holds and refuses what still comes under the
// connection's attach number, so that no call of a dying connection leaves a
// grant behind.
//
// # Cancelled calls
//
// A call that its client cancels, or whose deadline is over, leaves the queue
// by a cancel in the table. If the grant was faster, it is given back: by the
// node if the call still waited, here if its answer could not be handed to the
// transport any more. An answer that is on its way when the client cancels
// cannot be called back; what was granted then ends with the session, or with
// its lease.
//
// # Shutting down
//
// The end of the server is not the end of the holders' sessions. From
// [Server.Drain] on nothing new is acquired, waiting calls of the first
// protocol are cancelled in the table and answered Unavailable, and the ends of
// connections are not reported any more.
package grpcapi
