package restapi

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connections knows the connections of a server, so that there are not too many:
// those that say nothing make room for new ones.
type connections struct {
	limit int
	// refused is told of TLS handshakes that failed.
	refused func(remote string, err error)

	// mu guards what follows; it is held for a few assignments.
	mu   sync.Mutex
	open map[net.Conn]place
	// quiet are the connections on which no request is under way, the longest
	// quiet first.
	quiet  list.List
	closed bool
}

// place is that of a connection among the quiet ones; nil if it is not.
type place *list.Element

// changed is told by the HTTP server of every change of a connection.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if surplus := c.note(conn, state); surplus != nil {
		cut(surplus)
	}
	if t, ok := conn.(*tls.Conn); ok && state == http.StateClosed && !t.ConnectionState().HandshakeComplete {
		// How it ended is remembered; one that never began fails, for it is closed.
		c.refused(t.RemoteAddr().String(), t.HandshakeContext(context.Background()))
	}
}

// note notes the change, and returns a connection that is to be closed for it.
func (c *connections) note(conn net.Conn, state http.ConnState) (surplus net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.open[conn]; p != nil {
		c.quiet.Remove(p)
	}
	switch state {
	case http.StateActive:
		c.open[conn] = nil
		return nil
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		return nil
	case http.StateNew, http.StateIdle:
	}
	c.open[conn] = c.quiet.PushBack(conn)
	switch {
	case c.closed:
		return conn
	case len(c.open) > c.limit:
		return c.quiet.Front().Value.(net.Conn)
	}
	return nil
}

// close closes the quiet connections, and those that become so.
func (c *connections) close() {
	c.mu.Lock()
	c.closed = true
	var quiet []net.Conn
	for e := c.quiet.Front(); e != nil; e = e.Next() {
		quiet = append(quiet, e.Value.(net.Conn))
	}
	c.mu.Unlock()
	for _, conn := range quiet {
		cut(conn)
	}
}

// cut closes a connection without waiting to say so. Its goroutine of the HTTP
// server sees it and ends.
func cut(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close()
}
