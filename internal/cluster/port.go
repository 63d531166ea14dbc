package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Config is what a port is opened with.
type Config struct {
	// Listener accepts connections of other members. The port closes it. Needed, but
	// for an operator, who only asks.
	Listener net.Listener
	// Advertise is the address that others reach this member under.
	Advertise string
	// Member is the name of this member; an operator has none.
	Member string
	// Cluster is the identity of the cluster; who joins learns it by Meet.
	Cluster string
	// Files are the certificates. Default: plain text.
	Files Files
	// Logger gets a line for each connection that was refused. Default: none.
	Logger *slog.Logger
}

// A Handler answers questions. What it returns is the answer.
type Handler func(ctx context.Context, question []byte) []byte

// ErrNotAsked is wrapped by errors of Ask that say that the question certainly did
// not arrive.
var ErrNotAsked = errors.New("the question was not asked")

var errClosed = errors.New("the port is closed")

// Port is where a member listens to others, and speaks to them. Make one with Open.
// All methods are safe for concurrent use.
type Port struct {
	config  Config
	log     *slog.Logger
	ctx     context.Context
	end     context.CancelFunc
	tasks   sync.WaitGroup
	streams chan net.Conn // for the journal
	known   chan struct{} // closed when roll is set
	roll    Roll
	// refusals are those that the log has.
	refusals refusals

	mu       sync.Mutex
	cluster  string
	handlers map[byte]Handler
	open     map[net.Conn]bool
	lines    map[string]*line // to others, by name and address
}

// Open opens a port, and accepts connections if it has a listener.
func Open(c Config) (*Port, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Files.Given() && c.Member != "" {
		if err := c.Files.Check(c.Member); err != nil {
			if c.Listener != nil {
				_ = c.Listener.Close() // nothing came over it
			}
			return nil, err
		}
	}
	p := &Port{
		config: c, log: c.Logger, cluster: c.Cluster, streams: make(chan net.Conn), known: make(chan struct{}),
		handlers: map[byte]Handler{}, open: map[net.Conn]bool{}, lines: map[string]*line{},
	}
	p.ctx, p.end = context.WithCancel(context.Background())
	if c.Listener != nil {
		p.tasks.Go(p.accept)
	}
	return p, nil
}

// Close closes all connections. When it returns no goroutine is left.
func (p *Port) Close() {
	p.mu.Lock()
	p.end()
	p.mu.Unlock()
	if p.config.Listener != nil {
		_ = p.config.Listener.Close() // nobody can do anything about an error
	}
	p.mu.Lock()
	for c := range p.open {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.tasks.Wait()
}

// Cluster returns the identity of the cluster, "" if it is not known yet.
func (p *Port) Cluster() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cluster
}

// Belong sets the identity of the cluster.
func (p *Port) Belong(cluster string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cluster = cluster
}

// Handle has questions answered whose first byte is topic; h is given what follows it.
func (p *Port) Handle(topic byte, h Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers[topic] = h
}

func (p *Port) handler(topic byte) Handler {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.handlers[topic]
}

// keep notes an open connection, so that Close closes it; false if that was before.
func (p *Port) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		_ = c.Close()
		return false
	}
	p.open[c] = true
	return true
}

func (p *Port) drop(c net.Conn) {
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
	_ = c.Close() // it is not needed any more
}

// goTask runs a task that Close waits for; false if the port is closed.
func (p *Port) goTask(task func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.tasks.Go(task)
	return true
}

// accept takes connections until the port is closed.
func (p *Port) accept() {
	for p.ctx.Err() == nil {
		c, err := p.config.Listener.Accept()
		if err != nil {
			if p.ctx.Err() == nil {
				p.log.WarnContext(p.ctx, "No connection of another member could be accepted", "err", err)
				p.rest(100 * time.Millisecond)
			}
			continue
		}
		if p.keep(c) {
			p.tasks.Go(func() { p.serve(c) })
		}
	}
}

func (p *Port) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ctx.Done():
	}
}

// noteRefused has the log say that a connection was refused, if it has not said so lately.
func (p *Port) noteRefused(from net.Addr, err error) {
	if p.ctx.Err() != nil {
		return // the port was closed under it
	}
	say, suppressed := p.refusals.note(from, err)
	if !say {
		return
	}
	words := []any{"from", from.String(), "err", err}
	if suppressed > 0 {
		words = append(words, "suppressed", suppressed)
	}
	p.log.WarnContext(p.ctx, "A connection to the members' port was refused", words...)
}

// serve serves one connection.
func (p *Port) serve(raw net.Conn) {
	c, err := p.secure(raw, tls.Server)
	var h *hello
	if err == nil {
		h, err = p.receive(c)
	}
	if err != nil {
		p.drop(raw)
		p.noteRefused(raw.RemoteAddr(), err)
		return
	}
	if h.purpose == forQuestions {
		p.answer(c, h)
		p.drop(raw)
		return
	}
	s := &stream{Conn: c, gone: func() { p.drop(raw) }}
	select {
	case p.streams <- s:
	case <-p.ctx.Done():
		p.drop(raw)
	}
}

// secure puts TLS around a connection, if there are certificates.
func (p *Port) secure(c net.Conn, side func(net.Conn, *tls.Config) *tls.Conn) (net.Conn, error) {
	if !p.config.Files.Given() {
		return c, nil
	}
	config, err := p.config.Files.config()
	if err != nil {
		return nil, err
	}
	return side(c, config), nil
}

// dial begins a connection to another member. An empty name expects nobody in
// particular.
func (p *Port) dial(ctx context.Context, whom, address string, purpose byte) (net.Conn, *welcome, error) {
	if purpose == forJournal {
		if err := p.introduced(dialWithin); err != nil {
			return nil, nil, err
		}
	}
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	if !p.keep(raw) {
		return nil, nil, errClosed
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	c, err := p.secure(raw, tls.Client)
	var w *welcome
	if err == nil {
		h := &hello{purpose: purpose, cluster: p.Cluster(), from: p.config.Member, whom: whom}
		h.directory, h.known = p.cards(whom)
		w, err = p.greet(c, h)
	}
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		stop()
		p.drop(raw)
		return nil, nil, fmt.Errorf("member %s at %s: %w", nameOf(whom), address, err)
	}
	return &stream{Conn: c, gone: func() { p.drop(raw) }}, w, nil
}

func nameOf(whom string) string {
	if whom == "" {
		return "of any name"
	}
	return fmt.Sprintf("%q", whom)
}

// Meet asks who is at an address, and of which cluster.
func (p *Port) Meet(ctx context.Context, address string) (cluster, member string, err error) {
	c, w, err := p.dial(ctx, "", address, forQuestions)
	if err != nil {
		return "", "", err
	}
	_ = c.Close()
	return w.cluster, w.member, nil
}

// stream is a connection that tells its port when it is closed.
type stream struct {
	net.Conn
	once sync.Once
	gone func()
}

// Close closes the connection.
func (s *stream) Close() error {
	err := s.Conn.Close()
	s.once.Do(s.gone)
	return err
}

// Streams are the journal's connections: a listener that can dial.
type Streams struct{ port *Port }

// Streams returns the journal's part of the port.
func (p *Port) Streams() *Streams { return &Streams{p} }

// Accept waits for a connection of another member's journal.
func (s *Streams) Accept() (net.Conn, error) {
	select {
	case c := <-s.port.streams:
		return c, nil
	case <-s.port.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close does nothing: the port is closed by whoever has opened it.
func (s *Streams) Close() error { return nil }

// Addr returns the address that others reach this member under.
func (s *Streams) Addr() net.Addr { return address(s.port.config.Advertise) }

// Dial begins a connection to another member's journal.
func (s *Streams) Dial(member, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.port.ctx, timeout)
	defer cancel()
	c, _, err := s.port.dial(ctx, member, address, forJournal)
	return c, err
}

// address is one that may be a name.
type address string

// Network implements net.Addr.
func (address) Network() string { return "tcp" }

// String returns the address.
func (a address) String() string { return string(a) }
