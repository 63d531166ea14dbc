package lock

import (
	"encoding/binary"
	"errors"
	"slices"
)

// encoder appends values in the form that snapshots and commands share:
// numbers as varints, texts with their length in front.
type encoder struct{ b []byte }

func (e *encoder) byte(v byte)          { e.b = append(e.b, v) }
func (e *encoder) uint(v uint64)        { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) int(v int64)          { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) text(s string)        { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) bytes(p []byte)       { e.uint(uint64(len(p))); e.b = append(e.b, p...) }
func (e *encoder) key(k *Key)           { e.b = append(e.b, k[:]...) }
func (e *encoder) hash(h Hash)          { e.fixed(h[0]); e.fixed(h[1]) }
func (e *encoder) fixed(v uint64)       { e.b = binary.LittleEndian.AppendUint64(e.b, v) }
func (e *encoder) secret(h *SecretHash) { e.b = append(e.b, h[:]...) }

func (e *encoder) flag(v bool) {
	if v {
		e.byte(1)
	} else {
		e.byte(0)
	}
}

func (e *encoder) labels(labels []Label) {
	e.uint(uint64(len(labels)))
	for _, l := range labels {
		e.text(l.Key)
		e.text(l.Value)
	}
}

func (e *encoder) note(n *Note) {
	e.flag(n != nil)
	if n != nil {
		e.text(n.Reason)
		e.labels(n.Labels)
		e.bytes(n.Value)
	}
}

func (e *encoder) info(i *Info) {
	switch {
	case i == nil:
		e.byte(noInfo)
		return
	case i.Quota == nil:
		e.byte(bareInfo)
	default:
		e.byte(infoWithQuota)
	}
	e.text(i.Host)
	e.int(i.PID)
	e.text(i.User)
	e.text(i.Program)
	e.text(i.Library)
	e.labels(i.Labels)
	e.text(i.Remote)
	e.text(i.Transport)
	e.text(i.Principal)
	if q := i.Quota; q != nil {
		for _, v := range q.values() {
			e.int(*v)
		}
	}
}

// What stands before an Info, and says what follows.
const (
	noInfo byte = iota
	bareInfo
	infoWithQuota
)

// errTruncated is what a decoder ends with when its input does.
var errTruncated = errors.New("data ends early or has a length that cannot be")

// decoder reads what an encoder wrote. After the first error it returns zero
// values; err says what it was. Lengths are checked against what is left, so it
// never allocates more than its input is long.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) < 1 {
		d.fail(errTruncated)
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(errTruncated)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint32() uint32 {
	v := d.uint()
	if v > 1<<32-1 {
		d.fail(errTruncated)
		return 0
	}
	return uint32(v)
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail(errTruncated)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail(errTruncated)
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) text() string { return string(d.take(d.uint())) }

// bytes returns a copy, nil if it is empty.
func (d *decoder) bytes() []byte {
	if v := d.take(d.uint()); len(v) > 0 {
		return slices.Clone(v)
	}
	return nil
}

func (d *decoder) fixed() uint64 {
	v := d.take(8)
	if v == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(v)
}

func (d *decoder) key() (k Key)           { copy(k[:], d.take(uint64(len(k)))); return k }
func (d *decoder) secret() (h SecretHash) { copy(h[:], d.take(uint64(len(h)))); return h }
func (d *decoder) hash() Hash             { a := d.fixed(); return Hash{a, d.fixed()} }

func (d *decoder) flag() bool {
	v := d.byte()
	if v > 1 {
		d.fail(errTruncated)
	}
	return v == 1
}

func (d *decoder) labels() []Label {
	n := d.uint()
	if n > uint64(len(d.b))/2 { // each takes two bytes at least
		d.fail(errTruncated)
		return nil
	}
	if n == 0 {
		return nil
	}
	labels := make([]Label, n)
	for i := range labels {
		labels[i] = Label{d.text(), d.text()}
	}
	return labels
}

func (d *decoder) note() *Note {
	if !d.flag() {
		return nil
	}
	return &Note{Reason: d.text(), Labels: d.labels(), Value: d.bytes()}
}

func (d *decoder) info() *Info {
	form := d.byte()
	if form > infoWithQuota {
		d.fail(errTruncated)
	}
	if d.err != nil || form == noInfo {
		return nil
	}
	i := &Info{
		Host: d.text(), PID: d.int(), User: d.text(), Program: d.text(), Library: d.text(),
		Labels: d.labels(), Remote: d.text(), Transport: d.text(), Principal: d.text(),
	}
	if form == infoWithQuota {
		i.Quota = &Quota{}
		for _, v := range i.Quota.values() {
			*v = d.int()
		}
	}
	return i
}
