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

// calm is how long nothing must have gone wrong for the trouble to be over: at the
// limit of open files, some connections come through between failures.
const calm = 10 * time.Second

// Patient returns a listener like l whose Accept fails only when it is closed: after
// any other error it pauses, and tries again. Connections wait meanwhile, where the
// system keeps them. What goes wrong is logged when it begins and, with the first
// connection after some calm, when it is over: not for each attempt.
func Patient(l net.Listener, log *slog.Logger) net.Listener {
	return &patient{Listener: l, log: log, done: make(chan struct{})}
}

type patient struct {
	net.Listener
	log  *slog.Logger
	done chan struct{} // closed by Close; it ends pauses
	once sync.Once

	mu sync.Mutex // guards what follows; held for a few assignments
	// began and last are when the trouble began, and when something last went wrong;
	// zero if there is none.
	began, last time.Time
}

// Accept waits for a connection. The error is net.ErrClosed, or one that says so.
func (p *patient) Accept() (net.Conn, error) {
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		c, err := p.Listener.Accept()
		switch {
		case err == nil:
			p.worked()
			return c, nil
		case errors.Is(err, net.ErrClosed):
			return nil, err
		}
		p.failed(err)
		select {
		case <-p.done:
			return nil, net.ErrClosed
		case <-time.After(pause):
		}
	}
}

func (p *patient) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last = time.Now(); p.began.IsZero() {
		p.began = p.last
		p.log.Warn("cannot accept connections; trying again until it works", "address", p.Addr().String(), "error", err)
	}
}

func (p *patient) worked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.began.IsZero() || time.Since(p.last) < calm {
		return
	}
	p.log.Info("connections are accepted again", "address", p.Addr().String(), "trouble", p.last.Sub(p.began).Round(time.Millisecond))
	p.began, p.last = time.Time{}, time.Time{}
}

// Close closes the listener and ends a pause.
func (p *patient) Close() error {
	p.once.Do(func() { close(p.done) })
	return p.Listener.Close()
}
