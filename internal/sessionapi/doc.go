// Package sessionapi is the server's end of the native protocol: it holds the
// conversation with a client over whatever carrier brings the frames, straight
// connections and gRPC streams alike, and turns operations into commands for the
// node below and outcomes into answers.
//
// It also has the tables between the native protocol's messages and the lock
// table's values, for everybody who speaks the protocol in another form: unary
// calls use them too.
//
// The package knows frames, sessions as far as a connection has one, and time
// between keep-alives. It does not know how frames are carried, who orders
// commands, or what the table makes of them; it sees the node through the small
// interfaces [Node] and [Link].
package sessionapi
