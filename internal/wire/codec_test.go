package wire

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// fill sets the fields of a message, each with probability p, so that a field
// added to the protocol is covered without a change here.
func fill(r *rand.Rand, m protoreflect.Message, p float64) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if r.Float64() >= p {
			continue
		}
		switch {
		case f.IsMap():
			for range 1 + r.IntN(3) {
				m.Mutable(f).Map().Set(scalar(r, f.MapKey()).MapKey(), scalar(r, f.MapValue()))
			}
		case f.IsList():
			list := m.Mutable(f).List()
			for range 1 + r.IntN(3) {
				if f.Kind() == protoreflect.MessageKind {
					fill(r, list.AppendMutable().Message(), p)
				} else {
					list.Append(scalar(r, f))
				}
			}
		case f.Kind() == protoreflect.MessageKind:
			fill(r, m.Mutable(f).Message(), p)
		default:
			m.Set(f, scalar(r, f))
		}
	}
}

func scalar(r *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	number := []uint64{1, 127, 128, 1 << 20, math.MaxInt32, math.MaxUint32, math.MaxInt64, math.MaxUint64, r.Uint64()}
	n := number[r.IntN(len(number))]
	size := []int{1, 16, 127, 128, 200, 20_000}[r.IntN(6)]
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(n)))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(n)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(strings.Repeat("\xff", size)))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strings.Repeat("é", size/2+1))
	default:
		panic("no value for " + f.FullName())
	}
}

// codec is one direction of the protocol, for tests that hold for both.
type codec[T any] struct {
	append func([]byte, *T) []byte
	decode func([]byte, *T) error
}

var (
	clientCodec = codec[ldlmv2.ClientFrame]{AppendClient, DecodeClient}
	serverCodec = codec[ldlmv2.ServerFrame]{AppendServer, DecodeServer}
)

// testAgreement checks with frames from sparse to full that both encoders and
// both decoders mean the same.
func testAgreement[T any, M interface {
	*T
	proto.Message
}](t *testing.T, c codec[T]) {
	reused := M(new(T))
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		want := M(new(T))
		fill(r, want.ProtoReflect(), []float64{0.1, 0.5, 1}[seed%3])
		ours := c.append([]byte("before"), want)
		ours = ours[len("before"):]
		theirs, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if len(ours) != len(theirs) {
			t.Fatalf("seed %d: %d bytes encoded, proto.Marshal makes %d", seed, len(ours), len(theirs))
		}
		got := M(new(T))
		if err := proto.Unmarshal(ours, got); err != nil {
			t.Fatalf("seed %d: proto.Unmarshal of ours: %v", seed, err)
		}
		if !proto.Equal(got, want) {
			t.Fatalf("seed %d: encoded as\n%v\nwant\n%v", seed, got, want)
		}
		for _, b := range [][]byte{ours, theirs} {
			if err := c.decode(b, reused); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if !proto.Equal(reused, want) {
				t.Fatalf("seed %d: decoded as\n%v\nwant\n%v", seed, reused, want)
			}
		}
	}
}

func TestClientFramesAgreeWithProtobuf(t *testing.T) { testAgreement(t, clientCodec) }
func TestServerFramesAgreeWithProtobuf(t *testing.T) { testAgreement(t, serverCodec) }

func TestFramesInARowAreOne(t *testing.T) {
	one := &ldlmv2.ClientFrame{
		KeepAlive: &ldlmv2.KeepAlive{Number: 1},
		Ops:       []*ldlmv2.Op{{Slot: 1, Seq: 1, Cancel: &ldlmv2.Cancel{}}},
	}
	two := &ldlmv2.ClientFrame{
		KeepAlive: &ldlmv2.KeepAlive{Number: 2},
		Ops:       []*ldlmv2.Op{{Slot: 2, Seq: 7, Release: &ldlmv2.Release{Name: "a", Token: 3}}},
	}
	want := &ldlmv2.ClientFrame{KeepAlive: two.KeepAlive, Ops: append(one.Ops[:1:1], two.Ops...)}
	var got ldlmv2.ClientFrame
	if err := DecodeClient(AppendClient(AppendClient(nil, one), two), &got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&got, want) {
		t.Errorf("decoded as %v, want %v", &got, want)
	}
}

func TestNothingIsLeftFromTheFrameBefore(t *testing.T) {
	full := &ldlmv2.ClientFrame{}
	fill(rand.New(rand.NewPCG(1, 1)), full.ProtoReflect(), 1)
	var f ldlmv2.ClientFrame
	for _, next := range []*ldlmv2.ClientFrame{
		{Ops: []*ldlmv2.Op{{Acquire: &ldlmv2.Acquire{Name: "a"}}, {Release: &ldlmv2.Release{}}, {Renew: &ldlmv2.Renew{}}}},
		{Ops: []*ldlmv2.Op{{}}},
		{},
	} {
		for _, want := range []*ldlmv2.ClientFrame{full, next} {
			if err := DecodeClient(AppendClient(nil, want), &f); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(&f, want) {
				t.Fatalf("decoded as\n%v\nwant\n%v", &f, want)
			}
		}
	}
}

func TestAForgottenFrameIsSmall(t *testing.T) {
	var f ldlmv2.ClientFrame
	var many ldlmv2.ClientFrame
	for i := range 5000 {
		many.Ops = append(many.Ops, &ldlmv2.Op{Slot: uint32(i), Seq: 1, Acquire: &ldlmv2.Acquire{Name: "a"}})
	}
	for _, frame := range []*ldlmv2.ClientFrame{&many, {Close: &ldlmv2.CloseSession{}, Ops: many.Ops[:3]}, {}} {
		if err := DecodeClient(AppendClient(nil, frame), &f); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(&f, frame) {
			t.Fatalf("decoded as\n%v\nwant\n%v", &f, frame)
		}
		ForgetClient(&f)
		if !proto.Equal(&f, &ldlmv2.ClientFrame{}) {
			t.Errorf("left over: %v", &f)
		}
		if n := cap(f.Ops); n > 512 {
			t.Errorf("room for %d operations is kept", n)
		}
		for _, op := range f.Ops[:cap(f.Ops)] {
			if op != nil && op.Acquire.GetName() != "" {
				t.Fatalf("a name is kept: %v", op)
			}
		}
	}
}

func TestAnswersMayBeKept(t *testing.T) {
	frame := func(n uint64) []byte {
		return AppendServer(nil, &ldlmv2.ServerFrame{
			Answers: []*ldlmv2.Answer{{Seq: n, Key: []byte{byte(n)}, Fences: []uint64{n, n}}},
			Lost:    []*ldlmv2.Lost{{Token: n}},
		})
	}
	var f ldlmv2.ServerFrame
	b := frame(1)
	if err := DecodeServer(b, &f); err != nil {
		t.Fatal(err)
	}
	clear(b)
	answer, lost := f.Answers[0], f.Lost[0]
	if err := DecodeServer(frame(2), &f); err != nil {
		t.Fatal(err)
	}
	if answer.Seq != 1 || answer.Key[0] != 1 || answer.Fences[1] != 1 || lost.Token != 1 {
		t.Errorf("the next frame changed what was kept: %v, %v", answer, lost)
	}
}

// field builds one encoded field.
func field(n protowire.Number, content ...byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), content)
}

func TestBadClientFrames(t *testing.T) {
	op := func(n protowire.Number, content ...byte) []byte { return field(3, field(n, content...)...) }
	tests := []struct {
		name  string
		frame []byte
		field string
	}{
		{"cut in a tag", []byte{0x80}, ""},
		{"cut in a length", []byte{0x1a, 0x80}, ""},
		{"longer than the frame", []byte{0x1a, 0x05, 0x08}, ""},
		{"field number 0", []byte{0x00, 0x01}, ""},
		{"field number too large", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x01}, ""},
		{"varint without end", append([]byte{0x28}, make11(0xff)...), ""},
		{"a group", []byte{0x2b, 0x2c}, ""},
		{"cut in an operation", op(3, 0x0a, 0x05), "ops.acquire"},
		{"cut in a note", op(3, field(8, 0x0a, 0x05)...), "ops.acquire.note"},
		{"cut in a label", op(3, field(8, field(2, 0x0a, 0x05)...)...), "ops.acquire.note.labels"},
		{"cut in an item", op(4, field(1, 0x0a, 0x05)...), "ops.acquire_all.items"},
		{"cut in a renewal", op(6, 0x08), "ops.renew"},
		{"cut in a cancellation", op(9, 0x08), "ops.cancel"},
		{"cut in a keep-alive", field(2, 0x08), "keep_alive"},
		{"cut in hello", field(1, 0x08), "hello"},
		{"hello not UTF-8", field(1, field(3, 0xff)...), "hello"},
		{"too many operations", []byte(strings.Repeat("\x1a\x00", 1<<10)), "ops"},
		{"too many items", op(4, []byte(strings.Repeat("\x0a\x00", 1<<10))...), "ops.acquire_all.items"},
		{"too many labels", op(3, field(8, []byte(strings.Repeat("\x12\x00", 1<<10))...)...), "ops.acquire.note.labels"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f ldlmv2.ClientFrame
			err := DecodeClient(tt.frame, &f)
			var bad *FrameError
			if !errors.As(err, &bad) {
				t.Fatalf("error %v, want a *FrameError", err)
			}
			if bad.Field != tt.field {
				t.Errorf("field %q, want %q (%v)", bad.Field, tt.field, err)
			}
			if !strings.HasPrefix(err.Error(), "frame: ") || len(err.Error()) < 20 {
				t.Errorf("error says only %q", err)
			}
		})
	}
}

func make11(c byte) []byte { return []byte(strings.Repeat(string([]byte{c}), 11)) }

func TestLostNameMustBeUTF8(t *testing.T) {
	var f ldlmv2.ServerFrame
	err := DecodeServer(field(4, field(1, 0xff)...), &f)
	var bad *FrameError
	if !errors.As(err, &bad) || bad.Field != "lost.name" {
		t.Errorf("error %v, want one about lost.name", err)
	}
}

func TestBadNameIsLeftToTheOperation(t *testing.T) {
	var f ldlmv2.ClientFrame
	frame := AppendClient(nil, &ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{
		{Slot: 1, Acquire: &ldlmv2.Acquire{Name: "\xff", Note: &ldlmv2.Note{Reason: "\xfe"}}},
		{Slot: 2, Acquire: &ldlmv2.Acquire{Name: "good"}},
	}})
	if err := DecodeClient(frame, &f); err != nil {
		t.Fatal(err)
	}
	if got := f.Ops[0].Acquire.Name; got != "\xff" {
		t.Errorf("name %q, want it as it came", got)
	}
}

func TestAFrameOfManyOperations(t *testing.T) {
	want := &ldlmv2.ClientFrame{}
	for i := range MaxParts {
		want.Ops = append(want.Ops, &ldlmv2.Op{Slot: uint32(i), Seq: 1, Cancel: &ldlmv2.Cancel{}})
	}
	var got ldlmv2.ClientFrame
	if err := DecodeClient(AppendClient(nil, want), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Ops) != MaxParts {
		t.Fatalf("%d operations, want %d", len(got.Ops), MaxParts)
	}
	want.Ops = append(want.Ops, &ldlmv2.Op{Slot: MaxParts, Seq: 1, Cancel: &ldlmv2.Cancel{}})
	var bad *FrameError
	if err := DecodeClient(AppendClient(nil, want), &got); !errors.As(err, &bad) || bad.Limit != MaxParts {
		t.Errorf("error %v for one more, want one with limit %d", err, MaxParts)
	}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	want := &ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{{Slot: 1, Seq: 2, Acquire: &ldlmv2.Acquire{Name: "a", WaitUs: -1}}}}
	unknown := protowire.AppendFixed64(protowire.AppendTag(nil, 1000, protowire.Fixed64Type), 1)
	unknown = protowire.AppendFixed32(protowire.AppendTag(unknown, 1001, protowire.Fixed32Type), 1)
	unknown = append(unknown, field(1002, 1, 2, 3)...)
	unknown = protowire.AppendVarint(protowire.AppendTag(unknown, 1003, protowire.VarintType), 1)
	// Known numbers with another type are unknown too.
	unknown = protowire.AppendVarint(protowire.AppendTag(unknown, 4, protowire.VarintType), 1)
	acquire := append(appendAcquire(nil, want.Ops[0].Acquire), field(1002)...)
	op := append(field(3, acquire...), 0x08, 0x01, 0x10, 0x02)
	op = append(op, field(1002)...)
	var got ldlmv2.ClientFrame
	if err := DecodeClient(append(unknown, field(3, op...)...), &got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&got, want) {
		t.Errorf("decoded as %v, want %v", &got, want)
	}
}
