package ldlm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// stream carries frames as the messages of a gRPC stream, on a gRPC connection
// of its own.
type stream struct {
	conn      *grpc.ClientConn
	grpc      grpc.ClientStream
	cancel    context.CancelFunc
	peerEnded atomic.Bool
}

// carryOverGRPC connects to an address and opens a stream there.
func (c *Client) carryOverGRPC(ctx context.Context, a address) (carrier, error) {
	conn, err := c.config.grpcConn(a)
	if err != nil {
		return nil, err
	}
	// The stream outlives ctx, which bounds only its opening.
	streamCtx, cancel := context.WithCancel(c.config.withCredential(context.WithoutCancel(ctx)))
	stop := context.AfterFunc(ctx, cancel)
	desc := &ldlmv2.LDLM_ServiceDesc.Streams[0]
	gs, err := conn.NewStream(streamCtx, desc, ldlmv2.LDLM_Session_FullMethodName,
		grpc.ForceCodecV2(frameCodec{}), grpc.WaitForReady(false))
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		conn.Close()
		return nil, err
	}
	return &stream{conn: conn, grpc: gs, cancel: cancel}, nil
}

// Send sends each frame as a message. If the other side has ended the stream it
// says nothing: Receive knows why.
func (s *stream) Send(frames []byte) error {
	for len(frames) > 0 {
		n := 4 + int(binary.BigEndian.Uint32(frames))
		err := s.grpc.SendMsg(encodedFrame(frames[4:n]))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return s.judge(err)
		}
		frames = frames[n:]
	}
	return nil
}

// Receive waits for the next message.
func (s *stream) Receive(f *ldlmv2.ServerFrame) error { return s.judge(s.grpc.RecvMsg(f)) }

// judge notes whether an error is the other side's end of the stream. The
// library does not tell ends of connections from failures of them.
func (s *stream) judge(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || status.Code(err) != codes.Unavailable && status.Code(err) != codes.Canceled {
		s.peerEnded.Store(true)
	}
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return remoteError("open session", "", err)
	default:
		return err
	}
}

// PeerEnded reports whether it was the other side that ended the stream.
func (s *stream) PeerEnded() bool { return s.peerEnded.Load() }

// Close ends the stream and its connection.
func (s *stream) Close() {
	s.cancel()
	s.conn.Close()
}

// encodedFrame is a frame that is encoded already.
type encodedFrame []byte

// frameCodec lets frames pass through gRPC as they are encoded for a plain
// connection: it is the same format.
type frameCodec struct{}

var _ encoding.CodecV2 = frameCodec{}

// Name is that of the format, which servers decode as ever.
func (frameCodec) Name() string { return "proto" }

// Marshal copies, because the caller uses its buffer again.
func (frameCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.(encodedFrame)
	if !ok {
		return nil, fmt.Errorf("frames are sent encoded, not as %T", v)
	}
	return mem.BufferSlice{mem.Copy(b, mem.DefaultBufferPool())}, nil
}

// Unmarshal decodes a frame of the server.
func (frameCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*ldlmv2.ServerFrame)
	if !ok {
		return fmt.Errorf("frames are received as server frames, not as %T", v)
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	return wire.DecodeServer(buf.ReadOnlyData(), f)
}
