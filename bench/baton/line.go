package baton

import (
	"bufio"
	"io"
	"net"
	"sync"
)

// line is who has the baton, and who waits for it.
type line struct {
	mu      sync.Mutex
	taken   bool
	waiting []runner
}

// runner is a worker at a connection.
type runner struct {
	end    *end
	worker uint32
}

// end is the server's end of a connection.
type end struct {
	conn net.Conn
	mu   sync.Mutex // held while writing
	out  []byte
}

// put adds a message to what is written next.
func (e *end) put(k kind, worker uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.out = appendMessage(e.out, k, worker)
}

// flush writes what was put. Who cannot be written to has gone, as reading will say.
func (e *end) flush() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.out) > 0 {
		_, _ = e.conn.Write(e.out)
		e.out = e.out[:0]
	}
}

// handle does what a message asks. It returns who else is to be written to, if anybody.
func (l *line) handle(e *end, k kind, worker uint32) *end {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case k == want && l.taken:
		l.waiting = append(l.waiting, runner{e, worker})
	case k == want:
		l.taken = true
		e.put(yours, worker)
	case len(l.waiting) == 0:
		l.taken = false
		e.put(passed, worker)
	default:
		next := l.waiting[0]
		l.waiting = l.waiting[1:]
		e.put(passed, worker)
		next.end.put(yours, next.worker)
		if next.end != e {
			return next.end
		}
	}
	return nil
}

// serve answers the messages of a connection. What has come in together is answered
// together; whoever is next is told first.
func (l *line) serve(conn net.Conn) {
	defer conn.Close()
	e := &end{conn: conn}
	in := bufio.NewReaderSize(conn, bufferBytes)
	message := make([]byte, messageBytes)
	for {
		if _, err := io.ReadFull(in, message); err != nil {
			return
		}
		k, worker := readMessage(message)
		if next := l.handle(e, k, worker); next != nil {
			next.flush()
		}
		if in.Buffered() < messageBytes {
			e.flush()
		}
	}
}
