package grpcapi

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// Config is what a server is made of. Zero fields take their defaults.
type Config struct {
	// Logger gets a line for each session and, at DEBUG, for each request.
	// Default: none.
	Logger *slog.Logger
	// Audit is told what is done against somebody's will, and who is not let in.
	// Default: nobody is.
	Audit *audit.Log
	// Node carries commands out. Needed.
	Node Node
	// Sessions holds conversations of the session protocol that come as gRPC
	// streams. Default: there are none.
	Sessions Sessions
	// Gate says who may come in, and what they may do. Default: everybody, everything.
	Gate *auth.Gate
	// Credentials secure connections. Default: plain text.
	Credentials credentials.TransportCredentials
	// KeepaliveInterval is how often a quiet connection is pinged,
	// KeepaliveTimeout how long its answer may take. Defaults 1 min and 10 s.
	// Shorter intervals than a second act as one. A frozen client of the first
	// protocol keeps its locks for both together.
	KeepaliveInterval, KeepaliveTimeout time.Duration
	// NoClearOnDisconnect leaves the holds of a connection of the first
	// protocol when it ends, until they are released by key or their time is over.
	NoClearOnDisconnect bool
	// NoReflection turns reflection off.
	NoReflection bool
	// Directory is the data directory. Default: everything is in memory.
	Directory Directory
	// MaxStrangers bounds the connections over which nobody has been let in yet;
	// beyond it the oldest is closed. Default 8,192.
	MaxStrangers int
	// Version and Member are what the server says of itself. Default: nothing.
	Version, Member string
	// Members returns the members of the cluster as this one sees them. Default: none.
	Members func() []*ldlmv2.ServerMember
	// Bounded reports whether what a principal holds is bounded: it holds nothing outside
	// sessions then, where it would be counted with nobody. Default: nobody's is.
	Bounded func(principal string) bool
	// ReloadFailed returns how long ago the configuration could not be read again; 0 if it
	// could the last time. Default: it always can.
	ReloadFailed func() time.Duration
}

// Limits of connections. Everything that a client can have many of has one.
const (
	// maxMessageBytes is what clients of the first protocol know.
	maxMessageBytes = 4 << 20
	// maxHeaderBytes is the most that the metadata of a call may take. Passwords,
	// tokens and traces need a few thousand.
	maxHeaderBytes = 64 << 10
	// maxCallsPerConnection is no limit that a sound client meets: the first
	// protocol promises none, and each waiting Lock is a call. It is ten times
	// what the table lets one session do at once, and keeps a broken client from
	// taking all memory.
	maxCallsPerConnection = 1 << 20
	// defaultMaxStrangers is more than connect at one moment.
	defaultMaxStrangers = 8192
	// minClientPing is how often clients may ping, with or without calls.
	minClientPing = 10 * time.Second
	// handshakeTimeout is how long a new connection may take to say HTTP/2.
	handshakeTimeout = 10 * time.Second
	// writeTimeout is how long a client may let the server wait to write.
	writeTimeout = 10 * time.Second
	// readBufferBytes and writeBufferBytes are the buffers of a connection: an
	// idle one has little, for there are many.
	readBufferBytes, writeBufferBytes = 4 << 10, 32 << 10
	// streamWorkers is how many goroutines are kept for calls. A new one for each
	// call grows its stack twice on the way down to the table, which is a quarter
	// of all that a call costs. Calls that find all of them waiting get their own.
	streamWorkers = 64
)

// Server is the gRPC server. Make one with [New]. All methods are safe for
// concurrent use.
type Server struct {
	// Constant once made.
	log           *slog.Logger
	audit         *audit.Log
	node          Node
	conversations Sessions
	gate          *auth.Gate
	onEnd         lock.OnEnd
	started       time.Time
	version       string
	member        string
	members       func() []*ldlmv2.ServerMember // may be nil
	reloadFailed  func() time.Duration          // may be nil
	bounded       func(principal string) bool   // may be nil
	directory     Directory                     // nil: in memory
	grpc          *grpc.Server
	health        *health.Server

	// stopping ends with the server; streams that never end by themselves end
	// with it.
	stopping context.Context
	stop     context.CancelFunc

	// draining is set when nothing new is acquired any more; then drained ends.
	draining atomic.Bool
	drained  context.Context
	drain    context.CancelFunc
	// tasks are the goroutines of conversations, and those that end connections.
	tasks sync.WaitGroup

	// mu guards what follows; it is held for a few assignments, or while the
	// sessions are walked once.
	mu sync.Mutex
	// open are the sessions of connections that have calls to make.
	open map[*session]struct{}
	// stopped is set when no connection is left.
	stopped bool
}

// New makes a server. It serves when it is given a listener.
func New(cfg Config) *Server {
	s := &Server{
		log: cfg.Logger, audit: cfg.Audit, node: cfg.Node, conversations: cfg.Sessions, gate: cfg.Gate,
		onEnd: lock.OnEndAlways, health: health.NewServer(), open: map[*session]struct{}{},
		started: time.Now(), version: cfg.Version, member: cfg.Member, members: cfg.Members, directory: cfg.Directory,
		reloadFailed: cfg.ReloadFailed, bounded: cfg.Bounded,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.gate == nil {
		s.gate = auth.NewGate(auth.GateConfig{})
	}
	if cfg.NoClearOnDisconnect {
		s.onEnd = lock.OnEndDisown
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.drained, s.drain = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(options(&cfg, s.log)...)
	s.register(&cfg)
	return s
}

func options(cfg *Config, log *slog.Logger) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(&identity{
			inner: cfg.Credentials, writeTimeout: writeTimeout,
			strangers: &strangers{limit: cmp.Or(cfg.MaxStrangers, defaultMaxStrangers), log: log},
		}),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time:    max(cmp.Or(cfg.KeepaliveInterval, time.Minute), time.Second),
			Timeout: cmp.Or(cfg.KeepaliveTimeout, 10*time.Second),
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: minClientPing, PermitWithoutStream: true,
		}),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxCallsPerConnection),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.ReadBufferSize(readBufferBytes),
		grpc.WriteBufferSize(writeBufferBytes),
		grpc.WaitForHandlers(true),
		grpc.NumStreamWorkers(streamWorkers),
	}
}

// register puts the services into the gRPC server. Health alone asks nobody who it is.
func (s *Server) register(cfg *Config) {
	g := registrar{Server: s.grpc, server: s, guarded: true, plain: "Session"}
	ldlmv1.RegisterLDLMServer(g, &v1{Server: s})
	ldlmv2.RegisterLDLMServer(g, &v2{Server: s})
	if !cfg.NoReflection {
		reflection.Register(g)
	}
	healthpb.RegisterHealthServer(registrar{Server: s.grpc, server: s}, s.health)
	for _, name := range []string{ldlmv1.LDLM_ServiceDesc.ServiceName, ldlmv2.LDLM_ServiceDesc.ServiceName} {
		s.health.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
}

// Serve accepts connections until the server is stopped, which it takes for
// success, or the listener fails. It closes the listener.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// SetReady says by health whether the server is ready for clients, which changes
// nothing else. After Drain it is not, whatever is said.
func (s *Server) SetReady(ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining.Load():
	case ready:
		s.health.Resume()
	default:
		s.health.Shutdown()
	}
}

// Drain begins the end. Health turns to not serving; nothing new is acquired;
// calls that wait are answered Unavailable, those of the first protocol and those
// that nobody can ask again after having been cancelled in the table. Releases
// and renewals are still carried out. From now on the ends of connections of the
// first protocol are not reported to the node: the server's end is not that of
// its clients' sessions. There is no way back.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining.Store(true)
	s.health.Shutdown()
	s.drain()
	for x := range s.open {
		x.slots.cancelWaiting()
	}
}

// Stop drains, lets calls under way end until ctx does, and closes all
// connections. When it returns, no goroutine is left.
func (s *Server) Stop(ctx context.Context) {
	s.Drain()
	s.stop()
	cut := make(chan struct{})
	stay := context.AfterFunc(ctx, func() {
		s.grpc.Stop()
		close(cut)
	})
	s.grpc.GracefulStop()
	if !stay() {
		<-cut
	}
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.tasks.Wait()
}

// background runs f, unless no connection is left.
func (s *Server) background(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.tasks.Go(f)
	}
}

// track and untrack keep the list of sessions that calls can be made on.
func (s *Server) track(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[x] = struct{}{}
}

func (s *Server) untrack(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, x)
}
