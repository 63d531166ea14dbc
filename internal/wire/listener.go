package wire

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// ListenerConfig says how a [Listener] treats connections. Zero fields take
// their defaults.
type ListenerConfig struct {
	// Logger gets a line when accepting fails, when a flood begins and, at DEBUG,
	// for each TLS handshake that fails. Required.
	Logger *slog.Logger
	// Refused, if not nil, is told of each TLS handshake that fails: where the
	// connection came from, and why. It is called concurrently and must not wait.
	Refused func(remote string, err error)
	// QuietFor is how long a connection may take until it is clear what it
	// speaks. Default 10 s.
	QuietFor time.Duration
	// MaxQuiet bounds the connections of which that is not clear yet, or which
	// nobody has accepted; beyond it the oldest is closed. Default 1,024.
	MaxQuiet int
	// WriteTimeout is given to the connections, see [NewConn]. Default 5 s.
	WriteTimeout time.Duration
}

// Listener takes the connections of one port and tells by their first bytes, or
// by ALPN under TLS, who speaks the native protocol and who HTTP/2.
//
// Its goroutines are one that accepts, and one for each connection that is still
// quiet, which listens to its first bytes. All are gone when Close returns.
type Listener struct {
	inner  net.Listener
	config ListenerConfig
	native half[*Conn]
	http2  half[net.Conn]
	// done is closed by Close; it tells those who wait to hand a connection over.
	done    chan struct{}
	workers sync.WaitGroup

	mu    sync.Mutex // guards what follows
	quiet quietQueue
	shut  bool
	// toldOfFlood is when the last line about a flood was logged.
	toldOfFlood time.Time
}

// NewListener splits the connections of l, which it owns from now on.
func NewListener(l net.Listener, config ListenerConfig) *Listener {
	if config.QuietFor == 0 {
		config.QuietFor = 10 * time.Second
	}
	if config.MaxQuiet == 0 {
		config.MaxQuiet = 1024
	}
	if config.WriteTimeout == 0 {
		config.WriteTimeout = 5 * time.Second
	}
	ln := &Listener{
		inner: l, config: config, done: make(chan struct{}),
		native: newHalf[*Conn](), http2: newHalf[net.Conn](),
	}
	ln.workers.Go(ln.accept)
	return ln
}

// Addr returns the address that is listened at.
func (ln *Listener) Addr() net.Addr { return ln.inner.Addr() }

// Native returns the connections that speak the native protocol.
func (ln *Listener) Native() *NativeListener { return &NativeListener{ln} }

// HTTP2 returns all other connections as a listener for a server of HTTP/2.
// Closing that one closes such connections as they come and leaves the
// listener of the port open.
func (ln *Listener) HTTP2() net.Listener { return http2Listener{ln} }

// Close stops listening and closes the connections that nobody has accepted.
// Those that were accepted go on.
func (ln *Listener) Close() error {
	ln.mu.Lock()
	if ln.shut {
		ln.mu.Unlock()
		return net.ErrClosed
	}
	ln.shut = true
	close(ln.done)
	ln.quiet.closeAll()
	ln.mu.Unlock()
	err := ln.inner.Close()
	ln.workers.Wait()
	return err
}

// accept takes connections until the listener is closed. Errors, such as too
// many open files, pass: it pauses and goes on.
func (ln *Listener) accept() {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		c, err := ln.inner.Accept()
		switch {
		case err == nil:
			pause = shortest
			ln.admit(c)
			continue
		case errors.Is(err, net.ErrClosed):
			// Whoever closed it: those who wait for connections are told.
			ln.native.close()
			ln.http2.close()
			return
		}
		ln.config.Logger.Warn("cannot accept a connection; pausing", "error", err, "pause", pause)
		select {
		case <-ln.done:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

// admit starts to listen to a connection's first bytes.
func (ln *Listener) admit(c net.Conn) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.shut {
		_ = c.Close()
		return
	}
	if ln.quiet.len() >= ln.config.MaxQuiet {
		ln.quiet.closeOldest()
		ln.tellOfFlood()
	}
	place := ln.quiet.add(c)
	ln.workers.Go(func() {
		ln.sort(c)
		ln.mu.Lock()
		defer ln.mu.Unlock()
		ln.quiet.remove(place)
	})
}

// tellOfFlood logs now and then that there are too many quiet connections.
// ln.mu is held.
func (ln *Listener) tellOfFlood() {
	if now := time.Now(); now.Sub(ln.toldOfFlood) >= ln.config.QuietFor {
		ln.toldOfFlood = now
		ln.config.Logger.Warn("too many connections that say nothing; closing the oldest ones", "limit", ln.config.MaxQuiet)
	}
}

// sort finds out what a connection speaks and hands it over.
func (ln *Listener) sort(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(ln.config.QuietFor))
	native, head, err := sniff(c)
	if err != nil {
		ln.tellOfRefusal(c, err)
		_ = c.Close()
		return
	}
	_ = c.SetDeadline(time.Time{})
	if native {
		boundUnread(c)
		ln.native.give(NewConn(c, ln.config.WriteTimeout), ln.done)
	} else {
		ln.http2.give(&sniffed{Conn: c, head: head}, ln.done)
	}
}

// boundUnread bounds what the system keeps of what a client does not read. By itself it
// may keep megabytes, which many clients make gigabytes of; some hundred answers on
// their way are enough for any client that reads them.
func boundUnread(c net.Conn) {
	const most = 256 << 10
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if b, ok := c.(interface{ SetWriteBuffer(n int) error }); ok {
		_ = b.SetWriteBuffer(most) // without it the system's own bound remains
	}
}

// tellOfRefusal logs why a TLS handshake has failed, for whoever looks for it.
// Strangers can make many such lines, so they are for DEBUG alone. One that the end of
// the listener has cut off has not failed.
func (ln *Listener) tellOfRefusal(c net.Conn, err error) {
	if t, ok := c.(*tls.Conn); ok && !t.ConnectionState().HandshakeComplete && !errors.Is(err, net.ErrClosed) {
		remote := c.RemoteAddr().String()
		ln.config.Logger.Debug("TLS handshake failed", "remote", remote, "err", err)
		if ln.config.Refused != nil {
			ln.config.Refused(remote, err)
		}
	}
}

// NativeListener is the native part of a [Listener].
type NativeListener struct{ ln *Listener }

// Accept waits for a connection, whose preface has been read. The error is
// net.ErrClosed once the listener is closed.
func (n *NativeListener) Accept() (*Conn, error) { return n.ln.native.take(n.ln.done) }

// Close closes native connections as they come from now on; the other ones go on.
func (n *NativeListener) Close() error { n.ln.native.close(); return nil }

// Addr returns the address that is listened at.
func (n *NativeListener) Addr() net.Addr { return n.ln.Addr() }

type http2Listener struct{ ln *Listener }

func (h http2Listener) Accept() (net.Conn, error) { return h.ln.http2.take(h.ln.done) }
func (h http2Listener) Close() error              { h.ln.http2.close(); return nil }
func (h http2Listener) Addr() net.Addr            { return h.ln.Addr() }

// half hands connections of one kind from those who sorted them to who accepts them.
type half[C interface{ Close() error }] struct {
	ready  chan C
	closed chan struct{}
	once   *sync.Once
}

func newHalf[C interface{ Close() error }]() half[C] {
	return half[C]{ready: make(chan C), closed: make(chan struct{}), once: new(sync.Once)}
}

func (h half[C]) close() { h.once.Do(func() { close(h.closed) }) }

func (h half[C]) give(c C, done <-chan struct{}) {
	select {
	case h.ready <- c:
	case <-h.closed:
		_ = c.Close()
	case <-done:
		_ = c.Close()
	}
}

func (h half[C]) take(done <-chan struct{}) (C, error) {
	var none C
	select {
	case c := <-h.ready:
		return c, nil
	case <-h.closed:
		return none, net.ErrClosed
	case <-done:
		return none, net.ErrClosed
	}
}
