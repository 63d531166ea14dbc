package wire

import "google.golang.org/protobuf/encoding/protowire"

// Fields with their zero value are left out, as the format has it.

func appendUint(b []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, n, protowire.VarintType)
	if v < 1<<7 {
		return append(b, byte(v))
	}
	return protowire.AppendVarint(b, v)
}

func appendBool(b []byte, n protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return append(protowire.AppendTag(b, n, protowire.VarintType), 1)
}

func appendString[T string | []byte](b []byte, n protowire.Number, v T) []byte {
	if len(v) == 0 {
		return b
	}
	b = protowire.AppendTag(b, n, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendPacked(b []byte, n protowire.Number, vs []uint64) []byte {
	if len(vs) == 0 {
		return b
	}
	b, at := begin(b, n)
	for _, v := range vs {
		b = protowire.AppendVarint(b, v)
	}
	return end(b, at)
}

func appendLabels(b []byte, n protowire.Number, labels map[string]string) []byte {
	for k, v := range labels {
		var at int
		b, at = begin(b, n)
		b = appendString(b, 1, k)
		b = appendString(b, 2, v)
		b = end(b, at)
	}
	return b
}

// begin opens a message inside another. Its length is not known yet: one byte
// is kept free for it, which does for most, and end makes more room if needed.
// It returns where the content begins.
func begin(b []byte, n protowire.Number) ([]byte, int) {
	b = append(protowire.AppendTag(b, n, protowire.BytesType), 0)
	return b, len(b)
}

// end closes a message whose content begins at at.
func end(b []byte, at int) []byte {
	n := len(b) - at
	if n < 1<<7 {
		b[at-1] = byte(n)
		return b
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	for range more {
		b = append(b, 0)
	}
	copy(b[at+more:], b[at:at+n])
	protowire.AppendVarint(b[:at-1], uint64(n))
	return b
}
