package grpcapi

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// codec reads and writes the frames of sessions by hand-written code, and every
// other message as gRPC always does.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// received is a frame as it came in. A frame that cannot be read is no error
// to gRPC, which would end the stream without a word: whoever speaks the session
// protocol says what was wrong.
type received struct {
	frame *ldlmv2.ClientFrame
	err   error
}

// pooledBytes is from which size on gRPC takes buffers back to use them again.
const pooledBytes = 1024

// Marshal writes a message.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*ldlmv2.ServerFrame)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	n := sizeAbout(f)
	if n < pooledBytes {
		return mem.BufferSlice{mem.SliceBuffer(wire.AppendServer(make([]byte, 0, n), f))}, nil
	}
	pool := mem.DefaultBufferPool()
	buf := pool.Get(n)
	*buf = wire.AppendServer((*buf)[:0], f)
	return mem.BufferSlice{mem.NewBuffer(buf, pool)}, nil
}

// sizeAbout is about how many bytes a frame takes: mostly it is a little less.
func sizeAbout(f *ldlmv2.ServerFrame) int {
	const rest, each = 128, 64
	return rest + each*(len(f.Answers)+len(f.Lost))
}

// Unmarshal reads a message.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	r, ok := v.(*received)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	r.err = wire.DecodeClient(buf.ReadOnlyData(), r.frame)
	return nil
}
