package restapi

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// Node is what the package asks of the server below it.
type Node interface {
	// Call carries one command to its outcome. Errors say how it ended: they wrap
	// journal.ErrRefused where nothing has happened, and journal.ErrUnknown where
	// it may have; then what has a name is cancelled until it is known. What the
	// table refuses is an outcome, not an error.
	Call(ctx context.Context, c lock.Command) (lock.Outcome, error)
}

// Config is what a server is made of. Zero fields take their defaults.
type Config struct {
	// Logger gets a line for each session and, at DEBUG, for each request.
	// Default: none.
	Logger *slog.Logger
	// Probes answers what asks whether the server lives and is ready, without a
	// password or a session. Default: nobody does.
	Probes http.Handler
	// Node carries commands out. Needed.
	Node Node
	// Gate says who may come in, and what they may do. Default: everybody, everything.
	Gate *auth.Gate
	// SessionTimeout is how long a session may be without a request: at least a
	// microsecond, at most what the table allows. Default 10 min.
	SessionTimeout time.Duration
	// TLS secures connections. It must offer h2 and http/1.1, or the latter
	// alone. Default: plain text.
	TLS *tls.Config
	// MaxConnections bounds the connections; beyond it the one that was quiet
	// for longest is closed. Default 8,192.
	MaxConnections int
}

// longestTimeout is the longest that the table can be asked for.
const longestTimeout = time.Duration(lock.MaxDuration) * time.Microsecond

// Limits of connections and requests. Everything that a client can send or leave
// open has one.
const (
	// maxBodyBytes is more than a request takes whose lock has the longest name
	// there is, with each character escaped.
	maxBodyBytes = 1 << 20
	// smallBodyBytes is what is read before it is known whether the session lives:
	// most requests take less, and one look at the table instead of two.
	smallBodyBytes = 8 << 10
	// maxDiscardBytes is how much of a body that is too long is read and thrown
	// away, so that its sender gets the answer.
	maxDiscardBytes = 256 << 20
	// maxHeaderBytes bounds the header of a request.
	maxHeaderBytes = 64 << 10
	// headerPatience is how long a header may take, or a TLS handshake.
	headerPatience = 10 * time.Second
	// bodyPatience is how long a body may take.
	bodyPatience = 10 * time.Second
	// turnPatience is how long a request may wait for others of its session.
	turnPatience = 30 * time.Second
	// callPatience is how long the node may take.
	callPatience = 10 * time.Second
	// writePatience is how long a client may take its answer.
	writePatience = 10 * time.Second
	// wholePatience is more than all of these together.
	wholePatience = 90 * time.Second
	// idlePatience is how long a connection is kept between requests.
	idlePatience = 2 * time.Minute
	// drainPatience is how long what is left of a body may take that nobody reads.
	drainPatience = 2 * time.Second
	// pingEvery is how often a quiet HTTP/2 connection with requests is asked
	// whether it still lives.
	pingEvery = 15 * time.Second
	// maxStreams bounds the requests that one HTTP/2 connection makes at once.
	maxStreams = 100
)

// Server is the REST server. Make one with [New]. All methods are safe for
// concurrent use.
type Server struct {
	// Constant once made.
	log     *slog.Logger
	probes  http.Handler // nil: none
	node    Node
	gate    *auth.Gate
	timeout time.Duration
	origins *http.CrossOriginProtection
	http    *http.Server
	secure  bool

	turns       turns
	connections connections

	// draining is set when nothing new is acquired any more. stopping ends with
	// the server: bodies that have not come are waited for no longer.
	draining atomic.Bool
	stopping context.Context
	stop     context.CancelFunc

	// mu guards what follows; it is held for a few assignments.
	mu sync.Mutex
	// stopped is set when no request may begin any more.
	stopped bool
	// requests counts those under way.
	requests sync.WaitGroup
}

// New makes a server. It serves when it is given a listener.
func New(cfg Config) *Server {
	const defaultMaxConnections = 8192
	s := &Server{
		log: cfg.Logger, probes: cfg.Probes, node: cfg.Node, gate: cfg.Gate,
		timeout: min(max(cmp.Or(cfg.SessionTimeout, 10*time.Minute), time.Microsecond), longestTimeout),
		origins: http.NewCrossOriginProtection(), secure: cfg.TLS != nil,
		turns:       turns{taken: map[lock.SecretHash]*turn{}},
		connections: connections{limit: cmp.Or(cfg.MaxConnections, defaultMaxConnections), open: map[net.Conn]place{}},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.gate == nil {
		s.gate = auth.NewGate(auth.GateConfig{})
	}
	s.connections.refused = s.gate.RefuseHandshake
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.handle), TLSConfig: cfg.TLS, ConnState: s.connections.changed, ConnContext: remembering,
		ReadHeaderTimeout: headerPatience, WriteTimeout: wholePatience, IdleTimeout: idlePatience,
		MaxHeaderBytes: maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: pingEvery, PingTimeout: pingEvery,
			WriteByteTimeout: writePatience,
		},
		// Whoever asks for "*" is asked for the password as well.
		DisableGeneralOptionsHandler: true,
		// Strangers can fill a log with failed handshakes.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return s
}

// memoryKey is the key of a connection's memory in the contexts of its requests.
type memoryKey struct{}

// remembering gives a connection a memory of passwords that were good.
func remembering(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, memoryKey{}, new(auth.Memory))
}

// Serve accepts connections until the server is stopped, which it takes for
// success, or the listener fails. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	var err error
	if s.secure {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Drain begins the end: no session is opened and nothing is acquired any more;
// who asks for it is told that the server cannot serve. Releases and renewals are
// still carried out. There is no way back.
func (s *Server) Drain() { s.draining.Store(true) }

// Stop drains, lets requests under way end until ctx does, and closes all
// connections. When it returns, no goroutine is left. The sessions are the
// table's and do not end.
func (s *Server) Stop(ctx context.Context) {
	s.Drain()
	s.stop()
	s.connections.close()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // it closes what it can, and cannot say more
	}
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.requests.Wait()
}

// begin counts a request in, unless the server has stopped.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.requests.Add(1)
	return true
}

// whenStopping has f called when the server stops, in a goroutine of its own that
// has ended when leave returns.
func (s *Server) whenStopping(f func()) (leave func()) {
	done := make(chan struct{})
	stay := context.AfterFunc(s.stopping, func() {
		defer close(done)
		f()
	})
	return func() {
		if !stay() {
			<-done
		}
	}
}
