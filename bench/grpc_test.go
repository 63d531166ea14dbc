package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// echoService is a service with an echo as a call and one as a stream.
var echoService = grpc.ServiceDesc{
	ServiceName: "bench.Echo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Call", Handler: echoCall}},
	Streams:     []grpc.StreamDesc{{StreamName: "Stream", Handler: echoStream, ServerStreams: true, ClientStreams: true}},
}

//nolint:revive // gRPC decides the order of a handler's parameters
func echoCall(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	m := new(wrapperspb.BytesValue)
	if err := decode(m); err != nil {
		return nil, err
	}
	return m, nil
}

func echoStream(_ any, s grpc.ServerStream) error {
	for {
		m := new(wrapperspb.BytesValue)
		if err := s.RecvMsg(m); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := s.SendMsg(m); err != nil {
			return err
		}
	}
}

func serveGRPC(l net.Listener) (stop func()) {
	s := grpc.NewServer()
	s.RegisterService(&echoService, nil)
	var done sync.WaitGroup
	done.Go(func() { s.Serve(l) })
	return func() {
		s.Stop()
		done.Wait()
	}
}

// dialGRPC returns a connection that lives as long as the benchmark.
func dialGRPC(b *testing.B, address string) *grpc.ClientConn {
	b.Helper()
	conn, err := grpc.NewClient("passthrough:"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return conn
}

func dialUnary(b *testing.B, address string, workers int) []func() error {
	conn := dialGRPC(b, address)
	ops := make([]func() error, workers)
	for i := range ops {
		out, in := wrapperspb.Bytes(make([]byte, payloadBytes)), new(wrapperspb.BytesValue)
		ops[i] = func() error { return conn.Invoke(b.Context(), "/bench.Echo/Call", out, in) }
	}
	return ops
}

// newStream opens a stream that ends with the benchmark.
func newStream(b *testing.B, conn *grpc.ClientConn) grpc.ClientStream {
	b.Helper()
	s, err := conn.NewStream(b.Context(), &echoService.Streams[0], "/bench.Echo/Stream")
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func dialStreams(b *testing.B, address string, workers int) []func() error {
	conn := dialGRPC(b, address)
	ops := make([]func() error, workers)
	for i := range ops {
		s := newStream(b, conn)
		out, in := wrapperspb.Bytes(make([]byte, payloadBytes)), new(wrapperspb.BytesValue)
		ops[i] = func() error {
			if err := s.SendMsg(out); err != nil {
				return err
			}
			return s.RecvMsg(in)
		}
	}
	return ops
}

// A pipeline is a stream that many share. Answers come in the order of questions.
type pipeline struct {
	stream grpc.ClientStream

	sending sync.Mutex      // held while a message is sent and its asker lined up
	askers  chan chan error // in the order of what was sent; room for all workers
}

// echo sends a message and waits for its answer, which is told on answered.
func (p *pipeline) echo(m *wrapperspb.BytesValue, answered chan error) error {
	p.sending.Lock()
	p.askers <- answered
	err := p.stream.SendMsg(m)
	p.sending.Unlock()
	if err != nil {
		return err
	}
	return <-answered
}

// receive tells the askers of their answers until there are no more askers.
func (p *pipeline) receive() {
	for asker := range p.askers {
		asker <- p.stream.RecvMsg(new(wrapperspb.BytesValue))
	}
}

func dialPipelined(b *testing.B, address string, workers int) []func() error {
	conn := dialGRPC(b, address)
	p := &pipeline{stream: newStream(b, conn), askers: make(chan chan error, workers)}
	var done sync.WaitGroup
	done.Go(p.receive)
	b.Cleanup(func() {
		close(p.askers)
		done.Wait()
	})
	ops := make([]func() error, workers)
	for i := range ops {
		out, answered := wrapperspb.Bytes(make([]byte, payloadBytes)), make(chan error, 1)
		ops[i] = func() error { return p.echo(out, answered) }
	}
	return ops
}
