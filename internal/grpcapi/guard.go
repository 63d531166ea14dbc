package grpcapi

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// credentialKey is the metadata that has the password, as it is.
const credentialKey = "authorization"

var (
	errMissing = status.Error(codes.Unauthenticated, "missing credentials")
	errInvalid = status.Error(codes.Unauthenticated, "invalid credentials")
)

// registrar registers services with what all of their calls have in common:
// the password, checked before a message is read, so that a stranger makes the
// server do nothing; and the end of streams with the server.
type registrar struct {
	*grpc.Server
	server *Server
	// guarded services need the password.
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
		d.Streams = append(d.Streams, grpc.StreamDesc{StreamName: m.MethodName, Handler: g.unary(m)})
	}
	for _, s := range sd.Streams {
		if s.StreamName != g.plain {
			s.Handler = g.stream(s.Handler)
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
func (g registrar) unary(m *grpc.MethodDesc) grpc.StreamHandler {
	return func(impl any, stream grpc.ServerStream) error {
		ctx := stream.Context()
		if err := g.admit(ctx); err != nil {
			return err
		}
		var request any
		receive := func(m any) error {
			request = m
			return stream.RecvMsg(m)
		}
		reply, err := m.Handler(impl, ctx, receive, nil)
		if err != nil {
			return err
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
func (g registrar) stream(next grpc.StreamHandler) grpc.StreamHandler {
	return func(impl any, stream grpc.ServerStream) error {
		if err := g.admit(stream.Context()); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(stream.Context())
		defer cancel()
		defer context.AfterFunc(g.server.stopping, cancel)()
		return next(impl, endingStream{stream, ctx, g.server})
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

func (g registrar) admit(ctx context.Context) error {
	if !g.guarded {
		return nil
	}
	return g.server.admit(ctx)
}

// admit checks the password in a call's metadata.
func (s *Server) admit(ctx context.Context) error {
	err := s.checkPassword(ctx)
	switch {
	case errors.Is(err, errInvalid):
		s.refusedPassword(ctx)
	case err != nil:
		s.audit.Refuse(actorOf(ctx), "no password")
	default:
		if c := connectionOf(ctx); c != nil {
			c.letIn()
		}
	}
	return err
}

func (s *Server) checkPassword(ctx context.Context) error {
	if !s.passwords.Required() {
		return nil
	}
	given := metadata.ValueFromIncomingContext(ctx, credentialKey)
	switch {
	case len(given) == 0:
		return errMissing
	case !s.passwords.Match(given[0]):
		return errInvalid
	}
	return nil
}

// refusedPassword says who tries passwords.
func (s *Server) refusedPassword(ctx context.Context) {
	addr := "unknown"
	if c := connectionOf(ctx); c != nil {
		addr = c.remote()
	}
	s.log.Warn("Invalid password from client", "client_addr", addr)
	s.audit.Refuse(actorOf(ctx), "wrong password")
}
