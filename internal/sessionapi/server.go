package sessionapi

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// Config is what a server is made of. Zero fields take their defaults.
type Config struct {
	// Logger gets a line for each session that begins or ends here. Default: none.
	Logger *slog.Logger
	// Node carries commands out. Needed.
	Node Node
	// Gate says who may come in, and what they may do. Default: everybody, everything.
	Gate *auth.Gate
	// Version is the server's version, told to clients.
	Version string
	// Leader is who leads at the start; SetLeader changes it. Default: this
	// server, known under no address.
	Leader *ldlmv2.Leader
	// Immediate says that Submit waits for neither disk nor network. Otherwise another
	// goroutine goes on reading a connection if Submit takes long, so that keep-alives
	// are answered.
	Immediate bool
	// Failed is closed when the node has failed. Whoever it holds then may never come back,
	// and is not waited for. Default: it never does.
	Failed <-chan struct{}
	// Pollers is how many goroutines serve the plain connections, many each. It needs
	// Immediate, for whoever submits there must not wait; without it, where the system has no way
	// to wait for many connections at once, and for encrypted ones, each connection
	// has a goroutine of its own. Default 0.
	Pollers int
	// Spin lets them look for more for a moment before they sleep; see wire.NewPoller.
	Spin bool
	// MaxSlots and MaxWaitingSlots are told to clients: the limits that the
	// table has on slots and on waiting requests of a session. Defaults: the table's.
	MaxSlots, MaxWaitingSlots int
	// HelloWithin is how long a client may take to say hello. Default 10 s.
	HelloWithin time.Duration
	// MaxSilent bounds the connections that have not said hello; beyond it the
	// oldest is closed. Default 1,024.
	MaxSilent int
}

// Server holds the conversations with clients. Make one with [New]. All methods
// are safe for concurrent use.
type Server struct {
	config Config
	log    *slog.Logger
	// draining is set, for ever, when Drain is called.
	draining atomic.Bool
	// serving counts calls of Serve and accepting goroutines; ending ends when
	// Close is called.
	serving sync.WaitGroup
	ending  context.Context
	endAll  context.CancelFunc
	desks   []*desk // constant
	// seated counts, to take desks in turn.
	seated atomic.Uint64

	mu sync.Mutex // guards what follows; nothing waits under it
	// talking are the conversations that have a session; silent the carriers
	// that nobody has said hello on yet, oldest first.
	talking map[attachment]*conversation
	silent  list.List
	leader  *ldlmv2.Leader
	goAway  *ldlmv2.GoAway
	closed  bool
}

// New returns a server.
func New(config Config) *Server {
	limits := lock.DefaultSettings()
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Gate == nil {
		config.Gate = auth.NewGate(auth.GateConfig{})
	}
	if config.Leader == nil {
		config.Leader = &ldlmv2.Leader{Self: true, Known: true}
	}
	if config.MaxSlots == 0 {
		config.MaxSlots = limits.MaxSlots
	}
	if config.MaxWaitingSlots == 0 {
		config.MaxWaitingSlots = limits.MaxWaitersPerSession
	}
	if config.HelloWithin == 0 {
		config.HelloWithin = 10 * time.Second
	}
	if config.MaxSilent == 0 {
		config.MaxSilent = 1024
	}
	s := &Server{
		config: config, log: config.Logger, leader: config.Leader,
		talking: map[attachment]*conversation{},
	}
	s.ending, s.endAll = context.WithCancel(context.Background())
	s.desks = newDesks(&config)
	return s
}

// ErrClosed is returned for connections that come after the server was closed.
var ErrClosed = errors.New("sessionapi: the server is closed")

// Serve holds the conversation with one client, from hello to the end of the
// connection, which it closes. It returns why the connection ended.
func (s *Server) Serve(ctx context.Context, carrier Carrier) error {
	defer carrier.Close()
	if !s.begin() {
		return ErrClosed
	}
	defer s.serving.Done()
	stop := context.AfterFunc(ctx, carrier.Close)
	defer stop()
	c := newConversation(s, carrier)
	if err := c.open(ctx); err != nil {
		return err
	}
	return c.hold(ctx)
}

// servePlain is Serve for a straight connection, until that is over, or has a desk.
// It owns one of serving.
func (s *Server) servePlain(ctx context.Context, conn *wire.Conn) {
	carrier := Plain(conn)
	stop := context.AfterFunc(ctx, carrier.Close)
	c := newConversation(s, carrier)
	over := func() {
		carrier.Close()
		stop()
		s.serving.Done()
	}
	err := c.open(ctx)
	if err == nil && s.seat(ctx, c, conn, over) {
		return
	}
	if err == nil {
		_ = c.hold(ctx) // logged where it is known whose it was
	}
	over()
}

// begin counts a goroutine in that Close waits for.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.serving.Add(1)
	return true
}

// Listener is where straight connections come from.
type Listener interface {
	// Accept waits for a connection. Its error is net.ErrClosed at the end.
	Accept() (*wire.Conn, error)
}

// ServeListener serves the connections that come from l, each in a goroutine of
// its own, at least until its client has said hello, until l is closed; then it
// returns nil.
func (s *Server) ServeListener(ctx context.Context, l Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		if !s.begin() {
			_ = c.Close()
			return nil
		}
		go s.servePlain(ctx, c)
	}
}

// SetLeader tells all clients, present and future, who leads.
func (s *Server) SetLeader(l *ldlmv2.Leader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leader = l
	for _, c := range s.talking {
		c.tellLeader(l)
	}
}

// Drain asks all clients to reconnect elsewhere, and refuses new acquires and
// new connections. Sessions, locks and places stay: from now on the end of a
// connection counts as this server's doing.
func (s *Server) Drain(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.goAway = &ldlmv2.GoAway{Reason: reason}
	s.draining.Store(true)
	for _, c := range s.talking {
		c.tellGoAway(s.goAway)
	}
}

// Close closes all connections and returns when all conversations are over.
func (s *Server) Close() {
	s.endAll()
	s.mu.Lock()
	s.closed = true
	var carriers []Carrier
	for _, c := range s.talking {
		carriers = append(carriers, c.carrier)
	}
	for e := s.silent.Front(); e != nil; e = e.Next() {
		carriers = append(carriers, e.Value.(Carrier))
	}
	s.mu.Unlock()
	for _, c := range carriers {
		c.Close()
	}
	s.serving.Wait()
	for _, d := range s.desks {
		d.poller.Close()
	}
}

// greet notes a carrier that nobody has said hello on. If there are too many,
// the oldest is closed. The caller calls the function when hello has come, or
// will not.
func (s *Server) greet(c Carrier) (heard func()) {
	s.mu.Lock()
	var surplus Carrier
	switch {
	case s.closed:
		surplus = c
	case s.silent.Len() >= s.config.MaxSilent:
		surplus = s.silent.Remove(s.silent.Front()).(Carrier)
	}
	place := s.silent.PushBack(c)
	s.mu.Unlock()
	if surplus != nil {
		surplus.Close()
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.silent.Remove(place)
	}
}

// enter notes a conversation that has a session, and returns who leads. It is
// told at once if it is to go away again.
func (s *Server) enter(c *conversation) *ldlmv2.Leader {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.talking[c.attachment()] = c
	if s.goAway != nil {
		c.tellGoAway(s.goAway)
	}
	return s.leader
}

func (s *Server) leave(c *conversation) {
	c.leavePass()
	c.leavePlace()
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := c.attachment(); s.talking[at] == c {
		delete(s.talking, at)
	}
}

// attachment names a connection of a session.
type attachment struct {
	session lock.SessionNumber
	number  uint64
}

func (c *conversation) attachment() attachment {
	return attachment{c.link.Session(), c.link.Number()}
}

// LastHeard returns how long ago the client last gave a sign of life, on the
// connection of that number of a session; false if it is not one of this server.
func (s *Server) LastHeard(session lock.SessionNumber, number uint64) (time.Duration, bool) {
	s.mu.Lock()
	c := s.talking[attachment{session, number}]
	s.mu.Unlock()
	if c == nil {
		return 0, false
	}
	return c.life.lastHeard(), true
}

// Leader returns who leads.
func (s *Server) Leader() *ldlmv2.Leader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leader
}
