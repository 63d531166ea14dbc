package wire

import (
	"testing"

	"google.golang.org/protobuf/proto"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

const benchOps = 64

func benchClientFrame() *ldlmv2.ClientFrame {
	f := &ldlmv2.ClientFrame{}
	for i := range uint32(benchOps) {
		op := &ldlmv2.Op{Slot: i, Seq: uint64(1000 + i)}
		if i%2 == 0 {
			op.Acquire = &ldlmv2.Acquire{Name: "invoice/00000077", WaitUs: -1}
		} else {
			op.Release = &ldlmv2.Release{Name: "invoice/00000077", Token: 1 << 50}
		}
		f.Ops = append(f.Ops, op)
	}
	return f
}

func benchServerFrame() *ldlmv2.ServerFrame {
	f := &ldlmv2.ServerFrame{}
	for i := range uint32(benchOps) {
		a := &ldlmv2.Answer{Slot: i, Seq: uint64(1000 + i), Code: ldlmv2.Code_CODE_OK}
		if i%2 == 0 {
			a.Token, a.Fence, a.Key, a.AtOnce = 1<<50, 1<<50, make([]byte, 16), true
		}
		f.Answers = append(f.Answers, a)
	}
	return f
}

// perOp reports what one operation of a frame costs.
func perOp(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchOps, "ns/operation")
}

func BenchmarkAppendClient(b *testing.B) {
	f, buf := benchClientFrame(), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendClient(buf[:0], f)
	}
	perOp(b)
}

func BenchmarkAppendServer(b *testing.B) {
	f, buf := benchServerFrame(), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendServer(buf[:0], f)
	}
	perOp(b)
}

func BenchmarkDecodeClient(b *testing.B) {
	buf := AppendClient(nil, benchClientFrame())
	var f ldlmv2.ClientFrame
	b.ReportAllocs()
	for b.Loop() {
		if err := DecodeClient(buf, &f); err != nil {
			b.Fatal(err)
		}
	}
	perOp(b)
}

func BenchmarkDecodeServer(b *testing.B) {
	buf := AppendServer(nil, benchServerFrame())
	var f ldlmv2.ServerFrame
	b.ReportAllocs()
	for b.Loop() {
		if err := DecodeServer(buf, &f); err != nil {
			b.Fatal(err)
		}
	}
	perOp(b)
}

// The same by the protobuf library, for comparison.

func BenchmarkProtobufMarshalServer(b *testing.B) {
	f, buf := benchServerFrame(), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = proto.MarshalOptions{}.MarshalAppend(buf[:0], f)
	}
	perOp(b)
}

func BenchmarkProtobufUnmarshalClient(b *testing.B) {
	buf := AppendClient(nil, benchClientFrame())
	var f ldlmv2.ClientFrame
	b.ReportAllocs()
	for b.Loop() {
		if err := proto.Unmarshal(buf, &f); err != nil {
			b.Fatal(err)
		}
	}
	perOp(b)
}
