package grpcapi

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// credentialKey is the metadata that has the password, as it is, or a token, also with
// "Bearer" before it.
const credentialKey = "authorization"

var (
	errMissing = status.Error(codes.Unauthenticated, "missing credentials")
	errInvalid = status.Error(codes.Unauthenticated, "invalid credentials")
)

// errRevoked is the end of calls whose caller's token is good no more.
var errRevoked = status.Error(codes.Unauthenticated, "the token or certificate of the call is good no more")

// registrar registers services with what all of their calls have in common: who
// makes them is asked before a message is read, so that a stranger makes the server
// do nothing; what it may do, when one was; and streams end with the server.
type registrar struct {
	*grpc.Server
	server *Server
	// guarded services ask who it is.
	guarded bool
	// plain is the name of a stream that sees to all that by itself.
	plain string
}

// RegisterService registers a service. Calls of one message and streams differ
// no more than in their handlers: gRPC has both as streams.
func (g registrar) RegisterService(sd *grpc.ServiceDesc, impl any) {
	d := *sd
	d.Methods = nil
	d.Streams = make([]grpc.StreamDesc, 0, len(sd.Methods)+len(sd.Streams))
	for i := range sd.Methods {
		m := &sd.Methods[i]
		d.Streams = append(d.Streams, grpc.StreamDesc{StreamName: m.MethodName, Handler: g.unary(sd.ServiceName, m)})
	}
	for _, s := range sd.Streams {
		if s.StreamName != g.plain {
			s.Handler = g.stream(sd.ServiceName, &s)
		}
		d.Streams = append(d.Streams, s)
	}
	g.Server.RegisterService(&d, impl)
}

// undeliverable is a service that takes back what an answer gave when the
// answer could not be handed over.
type undeliverable interface {
	undelivered(ctx context.Context, request, reply any)
}

// unary is the handler of a call of one message.
func (g registrar) unary(service string, m *grpc.MethodDesc) grpc.StreamHandler {
	need := needOf(service, m.MethodName)
	return func(impl any, stream grpc.ServerStream) error {
		ctx, leave, err := g.admit(stream.Context(), need, m.MethodName)
		if err != nil {
			return err
		}
		defer leave()
		var request any
		receive := func(m any) error {
			request = m
			if err := stream.RecvMsg(m); err != nil || !g.guarded {
				return err
			}
			return g.server.permitRequest(ctx, m)
		}
		reply, err := m.Handler(impl, ctx, receive, nil)
		if err != nil {
			return orRevoked(ctx, err)
		}
		if err = stream.SendMsg(reply); err != nil {
			if u, ok := impl.(undeliverable); ok {
				u.undelivered(ctx, request, reply)
			}
		}
		return err
	}
}

// stream is the handler of a stream.
func (g registrar) stream(service string, d *grpc.StreamDesc) grpc.StreamHandler {
	need, method, next := needOf(service, d.StreamName), d.StreamName, d.Handler
	return func(impl any, stream grpc.ServerStream) error {
		ctx, leave, err := g.admit(stream.Context(), need, method)
		if err != nil {
			return err
		}
		defer leave()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(g.server.stopping, cancel)()
		return orRevoked(ctx, next(impl, endingStream{stream, ctx, g.server}))
	}
}

// endingStream is a stream whose context ends with the server, and whose reading
// ends with the context: reflection knows nothing of contexts, and tools leave its
// streams open.
type endingStream struct {
	grpc.ServerStream
	ctx    context.Context
	server *Server
}

// Context returns the context.
func (s endingStream) Context() context.Context { return s.ctx }

// RecvMsg reads a message. If the context ends first, m belongs to a goroutine
// that ends with the stream, once its handler has returned.
func (s endingStream) RecvMsg(m any) error {
	read := make(chan error, 1)
	s.server.tasks.Go(func() { read <- s.ServerStream.RecvMsg(m) })
	select {
	case err := <-read:
		return err
	case <-s.ctx.Done():
		if s.server.stopping.Err() != nil {
			return errDraining
		}
		return status.FromContextError(s.ctx.Err()).Err()
	}
}

// admit lets the caller of a call in, or ends it. The context of what follows has the
// caller's pass, and ends when that is good no more.
func (g registrar) admit(ctx context.Context, n need, method string) (_ context.Context, leave func(), err error) {
	if !g.guarded {
		return ctx, func() {}, nil
	}
	if ctx, err = g.server.admit(ctx); err != nil {
		return nil, nil, err
	}
	if err = g.server.permit(ctx, n, method); err != nil {
		return nil, nil, err
	}
	pass := auth.PassOf(ctx)
	if !pass.Revocable() {
		return ctx, func() {}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	stay := pass.OnRevoke(cancel)
	return ctx, func() {
		stay()
		cancel()
	}, nil
}

// orRevoked is why a call has ended: an end that nobody has asked for, if its caller's
// pass is good no more.
func orRevoked(ctx context.Context, err error) error {
	if status.Code(err) == codes.Canceled && auth.PassOf(ctx).IsRevoked() {
		return errRevoked
	}
	return err
}

// admit asks who makes a call. The context that it returns has the pass.
func (s *Server) admit(ctx context.Context) (context.Context, error) {
	v := &auth.Visitor{Via: transportName}
	c := connectionOf(ctx)
	if c != nil {
		v.Remote, v.Memory, v.Certificate = c.remote(), &c.memory, c.certificate()
	}
	if given := metadata.ValueFromIncomingContext(ctx, credentialKey); len(given) > 0 {
		v.Credential, v.Shown = given[0], true
	}
	pass, err := s.gate.Admit(ctx, v)
	if err != nil {
		return nil, statusOfRefusal(err)
	}
	if c != nil {
		if err := c.enter(s.gate, pass); err != nil {
			if crowded := (*auth.CrowdedError)(nil); errors.As(err, &crowded) {
				c.rest(ctx, crowded.Rest)
			}
			return nil, statusOfRefusal(err)
		}
		c.letIn()
	}
	return auth.With(ctx, pass), nil
}

// statusOfRefusal is the end of a call whose caller was not let in, in the words of
// the first protocol where it has any.
func statusOfRefusal(err error) error {
	refused := (*auth.RefusedError)(nil)
	switch {
	case errors.As(err, &refused) && refused.Reason == auth.Missing:
		return errMissing
	case errors.As(err, &refused) && refused.Reason == auth.Wrong:
		return errInvalid
	default:
		return errorOf(sessionapi.StatusOfRefusal(err))
	}
}
