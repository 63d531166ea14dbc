// Package accept keeps a server accepting when that fails for a while, as it does
// when there are too many open files.
//
// It knows that errors pass. It does not know what is done with connections.
package accept

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Pauses after a failure; each is twice as long as the one before.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

// Patient returns a listener like l whose Accept fails only when it is closed: after
// any other error it pauses, and tries again. Connections wait meanwhile, where the
// system keeps them. What goes wrong is logged when it begins and when it is over, and
// not for each attempt.
func Patient(l net.Listener, log *slog.Logger) net.Listener {
	return &patient{Listener: l, log: log, done: make(chan struct{})}
}

type patient struct {
	net.Listener
	log  *slog.Logger
	done chan struct{} // closed by Close; it ends pauses
	once sync.Once
}

// Accept waits for a connection. The error is net.ErrClosed, or one that says so.
func (p *patient) Accept() (net.Conn, error) {
	began, pause := time.Time{}, shortestPause
	for {
		c, err := p.Listener.Accept()
		switch {
		case err == nil && !began.IsZero():
			p.log.Info("connections are accepted again", "address", p.Addr().String(), "after", time.Since(began).Round(time.Millisecond))
			return c, nil
		case err == nil || errors.Is(err, net.ErrClosed):
			return c, err
		case began.IsZero():
			began = time.Now()
			p.log.Warn("cannot accept connections; trying again until it works", "address", p.Addr().String(), "error", err)
		}
		select {
		case <-p.done:
			return nil, net.ErrClosed
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// Close closes the listener and ends a pause.
func (p *patient) Close() error {
	p.once.Do(func() { close(p.done) })
	return p.Listener.Close()
}
