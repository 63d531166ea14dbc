package wire

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
)

// http2Preface is what every client of HTTP/2 sends first.
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// sniff reads just as much of a connection as it takes to tell what it speaks.
// For HTTP/2, and for everything that is neither, it returns what it read. The
// connection's deadline ends it, a TLS handshake too.
func sniff(c net.Conn) (native bool, head []byte, err error) {
	if t, ok := c.(*tls.Conn); ok {
		if err := t.HandshakeContext(context.Background()); err != nil {
			return false, nil, err
		}
		// Who agreed on ALPN must keep to it; who has none is told by first bytes.
		switch t.ConnectionState().NegotiatedProtocol {
		case ALPN:
			head, err = readWhile(c, Preface)
			if err == nil && string(head) != Preface {
				err = errors.New("not the preface that its ALPN promised")
			}
			return true, nil, err
		case "h2":
			return false, nil, nil
		}
	}
	head, err = readWhile(c, Preface, http2Preface)
	if err != nil {
		return false, nil, err
	}
	if string(head) == Preface {
		return true, nil, nil
	}
	return false, head, nil
}

// readWhile reads until what came is one of the prefaces, or cannot become one.
func readWhile(r io.Reader, prefaces ...string) ([]byte, error) {
	var head []byte
	for {
		// All may be read that the shortest possible preface still lacks.
		lacks := 0
		for _, p := range prefaces {
			if n := len(p) - len(head); strings.HasPrefix(p, string(head)) && (lacks == 0 || n < lacks) {
				lacks = n
			}
		}
		if lacks == 0 {
			return head, nil
		}
		more := make([]byte, lacks)
		n, err := r.Read(more)
		head = append(head, more[:n]...)
		if err != nil && n == 0 {
			return head, err
		}
	}
}

// sniffed is a connection whose first bytes are read once more.
type sniffed struct {
	net.Conn
	head []byte // owned by who reads
}

func (s *sniffed) Read(b []byte) (int, error) {
	if len(s.head) == 0 {
		return s.Conn.Read(b)
	}
	n := copy(b, s.head)
	if s.head = s.head[n:]; len(s.head) == 0 {
		s.head = nil
	}
	return n, nil
}

// quietQueue has the connections that have not said what they speak, oldest first.
type quietQueue struct{ conns list.List }

func (q *quietQueue) len() int { return q.conns.Len() }

func (q *quietQueue) add(c net.Conn) *list.Element { return q.conns.PushBack(c) }

func (q *quietQueue) remove(e *list.Element) { q.conns.Remove(e) }

// closeOldest closes and removes the oldest.
func (q *quietQueue) closeOldest() bool {
	e := q.conns.Front()
	if e == nil {
		return false
	}
	_ = e.Value.(net.Conn).Close()
	q.conns.Remove(e)
	return true
}

func (q *quietQueue) closeAll() {
	for q.closeOldest() {
	}
}
