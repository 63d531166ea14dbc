package cluster

import (
	"context"
	"net"
)

// Asker is who asks a question.
type Asker struct {
	// Member is the name of the member that asks, "" for an operator.
	Member string
	// Certificate is the name in the asker's certificate, "" in plain text.
	Certificate string
	// Remote is where the question came from.
	Remote string
}

type askerKey struct{}

// WhoAsks returns who asks the question that a [Handler] was called with; the zero
// Asker outside of one.
func WhoAsks(ctx context.Context) Asker {
	a, _ := ctx.Value(askerKey{}).(Asker)
	return a
}

// withAsker says who asks over a connection.
func withAsker(ctx context.Context, c net.Conn, h *hello) context.Context {
	return context.WithValue(ctx, askerKey{}, Asker{Member: h.from, Certificate: certifiedName(c), Remote: c.RemoteAddr().String()})
}
