package wire

import (
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"
)

// fuzzDecode checks of any bytes that decoding does not panic, that it means
// what protobuf means where both take the bytes, and that what was decoded
// survives encoding.
func fuzzDecode[T any, M interface {
	*T
	proto.Message
}](f *testing.F, c codec[T]) {
	for seed := range uint64(9) {
		m := M(new(T))
		fill(rand.New(rand.NewPCG(seed, 2)), m.ProtoReflect(), []float64{0.2, 0.4, 0.7}[seed%3])
		if b := c.append(nil, m); len(b) < 4096 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := M(new(T))
		if err := c.decode(b, got); err != nil {
			return
		}
		want := M(new(T))
		if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, want); err == nil && !proto.Equal(got, want) {
			t.Errorf("decoded as\n%v\nprotobuf has\n%v", got, want)
		}
		again := M(new(T))
		if err := c.decode(c.append(nil, got), again); err != nil {
			t.Errorf("what was decoded cannot be decoded again: %v", err)
		} else if !proto.Equal(again, got) {
			t.Errorf("decoded again as\n%v\nfirst as\n%v", again, got)
		}
	})
}

func FuzzDecodeClient(f *testing.F) { fuzzDecode(f, clientCodec) }
func FuzzDecodeServer(f *testing.F) { fuzzDecode(f, serverCodec) }
