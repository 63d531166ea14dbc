package wire

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Types of fields, as they stand in the low bits of a tag.
const (
	varint = uint64(protowire.VarintType)
	length = uint64(protowire.BytesType)
)

// fields goes through the fields of an encoded message, one by one. A field of
// a known number but another type counts as unknown, as the format has it.
type fields struct {
	rest []byte
	// key is number and type of the field at hand: number<<3 | type.
	key uint64
	// v is its value if it is a varint, p if it has a length; p aliases the input.
	v   uint64
	p   []byte
	err error
}

// next goes to the next field. It returns false at the end and at a mistake,
// which is then in err.
func (f *fields) next() bool {
	if len(f.rest) == 0 || f.err != nil || !f.uvarint(&f.key) {
		return false
	}
	if n := f.key >> 3; n < uint64(protowire.MinValidNumber) || n > uint64(protowire.MaxValidNumber) {
		f.err = errNumber
		return false
	}
	switch f.key & 7 {
	case varint:
		return f.uvarint(&f.v)
	case length:
		var n uint64
		return f.uvarint(&n) && f.take(n)
	case uint64(protowire.Fixed32Type):
		return f.take(4)
	case uint64(protowire.Fixed64Type):
		return f.take(8)
	default:
		f.err = errGroup
		return false
	}
}

// uvarint moves a varint to v. Nearly all of them are one byte long.
func (f *fields) uvarint(v *uint64) bool {
	if len(f.rest) > 0 && f.rest[0] < 1<<7 {
		*v = uint64(f.rest[0])
		f.rest = f.rest[1:]
		return true
	}
	value, n := protowire.ConsumeVarint(f.rest)
	if n < 0 {
		f.err = broken(n)
		return false
	}
	*v, f.rest = value, f.rest[n:]
	return true
}

// take moves n bytes to p.
func (f *fields) take(n uint64) bool {
	if n > uint64(len(f.rest)) {
		f.err = errCut
		return false
	}
	f.p, f.rest = f.rest[:n], f.rest[n:]
	return true
}

func (f *fields) bool() bool { return protowire.DecodeBool(f.v) }

// bytes copies the value. Never nil: present and empty is empty.
func (f *fields) bytes() []byte { return append([]byte{}, f.p...) }

// text copies the value as a string, valid UTF-8 or not.
func (f *fields) text() string { return string(f.p) }

// string copies the value as a string that must be valid UTF-8.
func (f *fields) string(name string) string {
	if !utf8.Valid(f.p) {
		f.fail(name, errUTF8)
		return ""
	}
	return string(f.p)
}

// fail notes a mistake in a field. The first one counts.
func (f *fields) fail(name string, err error) {
	if err != nil && f.err == nil {
		f.err = in(name, err)
	}
}

// packed appends a run of varints to vs.
func (f *fields) packed(vs []uint64) []uint64 {
	count := 0
	for _, c := range f.p {
		if c < 1<<7 {
			count++
		}
	}
	if cap(vs)-len(vs) < count {
		vs = append(make([]uint64, 0, len(vs)+count), vs...)
	}
	for b := f.p; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			f.err = broken(n)
			return vs
		}
		vs, b = append(vs, v), b[n:]
	}
	return vs
}
