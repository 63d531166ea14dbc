package echo

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// service is a service with an echo as a call and one as a stream.
var service = grpc.ServiceDesc{
	ServiceName: "bench.Echo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Call", Handler: call}},
	Streams:     []grpc.StreamDesc{{StreamName: "Stream", Handler: stream, ServerStreams: true, ClientStreams: true}},
}

//nolint:revive // gRPC decides the order of a handler's parameters
func call(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	m := new(wrapperspb.BytesValue)
	if err := decode(m); err != nil {
		return nil, err
	}
	return m, nil
}

func stream(_ any, s grpc.ServerStream) error {
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
	s.RegisterService(&service, nil)
	var done sync.WaitGroup
	done.Go(func() { _ = s.Serve(l) }) // it ends when it is stopped
	return func() {
		s.Stop()
		done.Wait()
	}
}

func newConn(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// unary echoes with calls.
type unary struct {
	conn *grpc.ClientConn
	out  *wrapperspb.BytesValue
}

func dialUnary(address string) (echoer, error) {
	conn, err := newConn(address)
	if err != nil {
		return nil, err
	}
	return &unary{conn, wrapperspb.Bytes(make([]byte, payloadBytes))}, nil
}

func (u *unary) echo(ctx context.Context) error {
	return u.conn.Invoke(ctx, "/bench.Echo/Call", u.out, new(wrapperspb.BytesValue))
}

func (u *unary) close() error { return u.conn.Close() }

// streamed echoes on a stream.
type streamed struct {
	conn    *grpc.ClientConn
	stream  grpc.ClientStream
	end     context.CancelFunc
	out, in *wrapperspb.BytesValue
}

func newStreamed(address string) (*streamed, error) {
	conn, err := newConn(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := conn.NewStream(ctx, &service.Streams[0], "/bench.Echo/Stream")
	if err != nil {
		cancel()
		conn.Close()
		return nil, err
	}
	return &streamed{conn, s, cancel, wrapperspb.Bytes(make([]byte, payloadBytes)), new(wrapperspb.BytesValue)}, nil
}

func dialStream(address string) (echoer, error) { return newStreamed(address) }

func (s *streamed) echo(context.Context) error {
	if err := s.stream.SendMsg(s.out); err != nil {
		return err
	}
	return s.stream.RecvMsg(s.in)
}

func (s *streamed) close() error {
	s.end()
	return s.conn.Close()
}

// pipelined is a stream that many share.
type pipelined struct {
	*streamed
	asked    asked
	sending  sync.Mutex // held while an asker is lined up and the message sent
	received sync.WaitGroup
}

func dialPipelined(address string) (echoer, error) {
	s, err := newStreamed(address)
	if err != nil {
		return nil, err
	}
	p := &pipelined{streamed: s}
	p.received.Go(p.receive)
	return p, nil
}

func (p *pipelined) echo(context.Context) error {
	p.sending.Lock()
	c, err := p.asked.add()
	if err == nil {
		err = p.stream.SendMsg(p.out)
	}
	p.sending.Unlock()
	if c == nil {
		return err
	}
	return p.asked.wait(c) // if sending failed, receiving does too, and says so
}

func (p *pipelined) receive() {
	for {
		if err := p.stream.RecvMsg(p.in); err != nil {
			p.asked.end(err)
			return
		}
		p.asked.answer(1)
	}
}

func (p *pipelined) close() error {
	err := p.streamed.close()
	p.received.Wait()
	return err
}
