package ldlm

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// remoteServer answers gRPC calls as a test says, on a port of its own that
// both carriers can use. Sessions are granted everything.
type remoteServer struct {
	ldlmv2.UnimplementedLDLMServer
	t       *testing.T
	address string
	grpc    *grpc.Server

	list        func(*ldlmv2.ListRequest) (*ldlmv2.ListResponse, error)
	get         func(*ldlmv2.GetRequest) (*ldlmv2.GetResponse, error)
	sessions    func(*ldlmv2.ListSessionsRequest) (*ldlmv2.ListSessionsResponse, error)
	watch       func(*ldlmv2.WatchRequest, grpc.ServerStreamingServer[ldlmv2.WatchResponse]) error
	force       func(*ldlmv2.ForceReleaseRequest) (*ldlmv2.ForceReleaseResponse, error)
	kill        func(*ldlmv2.KillSessionRequest) (*ldlmv2.KillSessionResponse, error)
	resize      func(*ldlmv2.ResizeRequest) (*ldlmv2.ResizeResponse, error)
	mu          sync.Mutex
	credentials []string
	transports  []string
}

// listenRemote starts a remote server; wrap may put TLS around its listener.
func listenRemote(t *testing.T, wrap func(net.Listener) net.Listener) *remoteServer {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		inner = wrap(inner)
	}
	l := wire.NewListener(inner, wire.ListenerConfig{Logger: slog.New(slog.DiscardHandler)})
	r := &remoteServer{t: t, address: inner.Addr().String(), grpc: grpc.NewServer()}
	ldlmv2.RegisterLDLMServer(r.grpc, r)
	var serving sync.WaitGroup
	serving.Go(func() { _ = r.grpc.Serve(l.HTTP2()) })
	serving.Go(func() { r.serveNative(l.Native()) })
	t.Cleanup(func() {
		r.grpc.Stop()
		_ = l.Close()
		serving.Wait()
	})
	return r
}

func (r *remoteServer) serveNative(l *wire.NativeListener) {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conns.Go(func() {
			defer conn.Close()
			r.talk("plain", conn.ReadClient, conn.WriteServer)
		})
	}
}

// Session carries a session over gRPC.
func (r *remoteServer) Session(s ldlmv2.LDLM_SessionServer) error {
	r.note(s.Context())
	r.talk("grpc", func(f *ldlmv2.ClientFrame) error {
		f.Reset()
		return s.RecvMsg(f)
	}, s.Send)
	return nil
}

// note remembers the credential of a call.
func (r *remoteServer) note(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.credentials = append(r.credentials, md.Get("authorization")...)
}

// talk answers frames until the connection ends.
func (r *remoteServer) talk(transport string, read func(*ldlmv2.ClientFrame) error, write func(*ldlmv2.ServerFrame) error) {
	r.mu.Lock()
	r.transports = append(r.transports, transport)
	r.mu.Unlock()
	var f ldlmv2.ClientFrame
	for token := uint64(1); read(&f) == nil && f.Close == nil; {
		out := &ldlmv2.ServerFrame{}
		if h := f.Hello; h != nil {
			r.mu.Lock()
			r.credentials = append(r.credentials, h.GetCredential())
			r.mu.Unlock()
			out.Welcome = &ldlmv2.Welcome{Version: 2, Session: 1, ValidForUs: 8e6, KeepAliveEveryUs: 2e6}
		}
		for _, op := range f.Ops {
			a := &ldlmv2.Answer{Slot: op.GetSlot(), Seq: op.GetSeq(), Code: ldlmv2.Code_CODE_OK}
			if op.Acquire != nil {
				a.Token, a.AtOnce = token, true
				token++
			}
			out.Answers = append(out.Answers, a)
		}
		if write(out) != nil {
			return
		}
	}
}

func (r *remoteServer) List(ctx context.Context, q *ldlmv2.ListRequest) (*ldlmv2.ListResponse, error) {
	r.note(ctx)
	return r.list(q)
}

func (r *remoteServer) Get(_ context.Context, q *ldlmv2.GetRequest) (*ldlmv2.GetResponse, error) {
	return r.get(q)
}

func (r *remoteServer) ListSessions(_ context.Context, q *ldlmv2.ListSessionsRequest) (*ldlmv2.ListSessionsResponse, error) {
	return r.sessions(q)
}

func (r *remoteServer) Watch(q *ldlmv2.WatchRequest, s grpc.ServerStreamingServer[ldlmv2.WatchResponse]) error {
	return r.watch(q, s)
}

func (r *remoteServer) ForceRelease(_ context.Context, q *ldlmv2.ForceReleaseRequest) (*ldlmv2.ForceReleaseResponse, error) {
	return r.force(q)
}

func (r *remoteServer) KillSession(_ context.Context, q *ldlmv2.KillSessionRequest) (*ldlmv2.KillSessionResponse, error) {
	return r.kill(q)
}

func (r *remoteServer) Resize(_ context.Context, q *ldlmv2.ResizeRequest) (*ldlmv2.ResizeResponse, error) {
	return r.resize(q)
}

// dialRemote returns a client of servers, closed with the test.
func dialRemote(t *testing.T, addresses string, opts ...DialOption) *Client {
	t.Helper()
	c, err := Dial(addresses, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// failure is what a server answers to a call that fails.
func failure(code codes.Code, st *ldlmv2.Status) error {
	s, err := status.New(code, st.GetMessage()).WithDetails(st)
	if err != nil {
		panic(err)
	}
	return s.Err()
}

// nowhere is an address where nobody listens.
const nowhere = "127.0.0.1:1"

func TestBothCarriers(t *testing.T) {
	certs := newTestCertificates(t)
	for _, test := range []struct {
		name string
		wrap func(net.Listener) net.Listener
		opts []DialOption
		want string
	}{
		{"plain", nil, nil, "plain"},
		{"gRPC", nil, []DialOption{WithGRPC()}, "grpc"},
		{"plain with TLS", certs.listen, []DialOption{WithTLSConfig(certs.client())}, "plain"},
		{"gRPC with TLS", certs.listen, []DialOption{WithTLSConfig(certs.client()), WithGRPC()}, "grpc"},
		{"plain with TLS from files", certs.listen, []DialOption{WithTLSFiles(certs.caFile, certs.certFile, certs.keyFile)}, "plain"},
		{"gRPC with TLS of its own", certs.listen, []DialOption{
			WithGRPC(), WithGRPCDialOptions(grpc.WithTransportCredentials(credentials.NewTLS(certs.client()))),
		}, "grpc"},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv := listenRemote(t, test.wrap)
			srv.list = func(*ldlmv2.ListRequest) (*ldlmv2.ListResponse, error) {
				return &ldlmv2.ListResponse{Locks: []*ldlmv2.Lock{{Name: "x"}}}, nil
			}
			c := dialRemote(t, nowhere+","+srv.address, append(test.opts, WithPassword("open sesame"))...)
			for range 100 {
				l, err := c.Lock(t.Context(), "x")
				if err != nil {
					t.Fatal(err)
				}
				if err := l.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if test.want == "plain" || test.name != "gRPC with TLS of its own" {
				for info, err := range c.Admin().List(t.Context()) {
					if err != nil || info.Name != "x" {
						t.Errorf("list: %+v, %v", info, err)
					}
				}
			}
			srv.mu.Lock()
			defer srv.mu.Unlock()
			if !slices.Equal(srv.transports, []string{test.want}) {
				t.Errorf("session came over %v, want %s", srv.transports, test.want)
			}
			for _, got := range srv.credentials {
				if got != "open sesame" {
					t.Errorf("credential is %q", got)
				}
			}
			if len(srv.credentials) < 2 {
				t.Errorf("%d credentials were shown", len(srv.credentials))
			}
		})
	}
}

func TestUntrustedCertificate(t *testing.T) {
	certs, others := newTestCertificates(t), newTestCertificates(t)
	srv := listenRemote(t, certs.listen)
	c := dialRemote(t, srv.address, WithTLSConfig(others.client()))
	_, err := c.Lock(t.Context(), "x")
	if !errors.Is(err, ErrUnavailable) || !SafeToRetry(err) {
		t.Errorf("error is %v, want ErrUnavailable", err)
	}
}

func TestGRPCServerThatDoesNotKnowSessions(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(l) })
	defer serving.Wait()
	defer srv.Stop()
	c := dialRemote(t, l.Addr().String(), WithGRPC())
	if _, err := c.Lock(t.Context(), "x"); !errors.Is(err, ErrUnsupported) {
		t.Errorf("error is %v, want ErrUnsupported", err)
	}
}
