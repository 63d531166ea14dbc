package grpcapi

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

var _ encoding.CodecV2 = codec{}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := newCodec().Marshal(v)
	if err != nil {
		t.Fatalf("marshal %T: %v", v, err)
	}
	defer b.Free()
	return b.Materialize()
}

// TestCodecKeepsGRPCsFormat: any other codec reads what this one wrote, and
// the other way round.
func TestCodecKeepsGRPCsFormat(t *testing.T) {
	if got := newCodec().Name(); got != "proto" {
		t.Errorf("the codec is called %q", got)
	}
	large := &ldlmv2.ServerFrame{Answers: []*ldlmv2.Answer{{Seq: 1, Key: bytes.Repeat([]byte{1}, 3*pooledBytes)}}}
	many := &ldlmv2.ServerFrame{}
	for i := range uint64(pooledBytes) {
		many.Answers = append(many.Answers, &ldlmv2.Answer{Seq: i, Key: bytes.Repeat([]byte{1}, 16)})
	}
	for _, f := range []*ldlmv2.ServerFrame{
		{},
		{Answers: []*ldlmv2.Answer{{Slot: 1, Seq: 2, Code: ldlmv2.Code_CODE_OK, Token: 3, AtOnce: true}}, KeepAlive: &ldlmv2.KeepAlive{Number: 1}},
		{Welcome: &ldlmv2.Welcome{Version: 2, Features: []string{"x"}}, End: &ldlmv2.Status{Code: ldlmv2.Code_CODE_PROTOCOL}},
		large, many,
	} {
		var got ldlmv2.ServerFrame
		if err := proto.Unmarshal(marshal(t, f), &got); err != nil || !proto.Equal(&got, f) {
			t.Errorf("%.100v was written as %.100v (%v)", f, &got, err)
		}
	}
	want := &ldlmv2.ClientFrame{
		Hello: &ldlmv2.Hello{Version: 2, Secret: []byte("s")},
		Ops:   []*ldlmv2.Op{{Slot: 3, Seq: 4, Acquire: &ldlmv2.Acquire{Name: "l"}}},
	}
	b, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	r := received{frame: &ldlmv2.ClientFrame{}}
	if err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &r); err != nil || r.err != nil || !proto.Equal(r.frame, want) {
		t.Errorf("read %v, %v, %v; want %v", r.frame, err, r.err, want)
	}
	lock := &ldlmv1.LockRequest{Name: "l"}
	var got ldlmv1.LockRequest
	if err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(marshal(t, lock))}, &got); err != nil || !proto.Equal(&got, lock) {
		t.Errorf("read %v, %v; want %v", &got, err, lock)
	}
	if _, err := newCodec().Marshal(7); err == nil {
		t.Error("a number was marshalled")
	}
}

// FuzzCodecReads: whatever comes is read as gRPC's own codec reads it, or said
// to be no frame; never an error of gRPC, and never a trace in the next frame.
func FuzzCodecReads(f *testing.F) {
	for _, m := range []*ldlmv2.ClientFrame{
		{},
		{Hello: &ldlmv2.Hello{Version: 2, Secret: bytes.Repeat([]byte{1}, 16), Client: &ldlmv2.ClientInfo{Host: "h"}}},
		{KeepAlive: &ldlmv2.KeepAlive{Number: 9}, Ops: []*ldlmv2.Op{{Seq: 1, Acquire: &ldlmv2.Acquire{Name: "a", WaitUs: -1}}}},
		{Ops: []*ldlmv2.Op{{Seq: 1, AcquireAll: &ldlmv2.AcquireAll{Items: []*ldlmv2.Item{{Name: "a"}}}}, {Seq: 2, Cancel: &ldlmv2.Cancel{}}}},
		{Close: &ldlmv2.CloseSession{}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0xff})
	f.Add([]byte{0x0a, 0x7f, 0x08})
	probe := &ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{{Slot: 1, Seq: 2, Release: &ldlmv2.Release{Name: "n", Token: 3}}}}
	probeBytes, err := proto.Marshal(probe)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := received{frame: &ldlmv2.ClientFrame{}}
		if err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &r); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		var bad *wire.FrameError
		switch {
		case r.err != nil && !errors.As(r.err, &bad):
			t.Fatalf("%x: %v is no *wire.FrameError", b, r.err)
		case r.err == nil:
			var want ldlmv2.ClientFrame
			if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, &want); err == nil && !proto.Equal(r.frame, &want) {
				t.Fatalf("%x: read %v, want %v", b, r.frame, &want)
			}
		}
		if err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(probeBytes)}, &r); err != nil || r.err != nil || !proto.Equal(r.frame, probe) {
			t.Fatalf("after %x: read %v, %v, %v; want %v", b, r.frame, err, r.err, probe)
		}
	})
}

// FuzzCodecWrites: what is written is what any other codec reads.
func FuzzCodecWrites(f *testing.F) {
	for _, m := range []*ldlmv2.ServerFrame{
		{},
		{Answers: []*ldlmv2.Answer{{Slot: 1, Seq: 2, Code: ldlmv2.Code_CODE_OK, Fences: []uint64{1, 2}}}},
		{Lost: []*ldlmv2.Lost{{Name: "l", Token: 1, Reason: ldlmv2.EndReason_END_REASON_FORCED}}, GoAway: &ldlmv2.GoAway{Reason: "r"}},
		{Alive: &ldlmv2.Alive{Tokens: []uint64{1}, Last: true}, Leader: &ldlmv2.Leader{Known: true}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, got ldlmv2.ServerFrame
		if (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, &m) != nil {
			return
		}
		if err := proto.Unmarshal(marshal(t, &m), &got); err != nil || !proto.Equal(&got, &m) {
			t.Fatalf("%v was written as %v (%v)", &m, &got, err)
		}
	})
}
