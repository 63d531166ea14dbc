// Package adminsock is the unix socket by which ldlm-lock, and ldlm config, reach
// a server on the same machine: both ends of it.
//
// Who may use it is decided by the rights of the socket's file, which only its
// owner has; there is no password. Whole keys are shown here and nowhere else.
//
// # The wire
//
// It is private to a server and the tools of its own version. A connection
// carries one question and its answer, in lines of JSON:
//
//	> {"op":"list"}
//	< {"grant":{"name":"a","key":"6f0c…","size":1}}   as many as there are
//	< {"done":true}
//
//	> {"op":"unlock","name":"a","key":"6f0c…"}        without key: any one grant
//	< {"error":{"code":"wrong_key","message":"invalid lock key"}}
//
//	> {"op":"reload"}                                 the configuration
//	> {"op":"log_level","level":"debug"}
//	< {"done":true}
//
// The last line says done or error; an answer without it was cut off. A line is at
// most 1 MiB long and is checked before it is believed, at both ends.
//
// # The file
//
// A server that was killed leaves its socket behind. [Listen] therefore asks
// whether somebody answers there, and takes the place of a socket that nobody
// listens on; anything else in the way is left alone. Servers that start at the
// same moment take turns, by a lock on a file beside the socket.
//
// # What it does not know
//
// Connections of clients, sessions, the clock. It sees the node through a small
// interface of its own, and whoever operates the server through another.
package adminsock
