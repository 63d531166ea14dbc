package lock

import (
	"encoding/binary"
	"math/bits"
)

// Hash is a 128-bit hash over everything that is replicated. It is the sum of
// the hashes of the table's records, so a change costs what it touches, and the
// order of records does not matter. It finds tables that differ by mistake, not
// ones that differ by design of an attacker.
type Hash [2]uint64

func (h *Hash) add(d Hash) {
	var carry uint64
	h[0], carry = bits.Add64(h[0], d[0], 0)
	h[1], _ = bits.Add64(h[1], d[1], carry)
}

func (h *Hash) sub(d Hash) {
	var borrow uint64
	h[0], borrow = bits.Sub64(h[0], d[0], 0)
	h[1], _ = bits.Sub64(h[1], d[1], borrow)
}

// mixer hashes one record, word by word, by folded multiplication as wyhash
// does, in two lanes with different constants.
type mixer struct{ a, b uint64 }

func newMixer(kind uint64) mixer {
	return mixer{kind ^ 0x9e3779b97f4a7c15, kind ^ 0xd1b54a32d192ed03}
}

func fold(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}

func (m *mixer) word(x uint64) {
	m.a = fold(m.a^x, 0xa0761d6478bd642f) + 0x8ebc6af09c88c6e3
	m.b = fold(m.b+x, 0xe7037ed1a0b428db) ^ bits.RotateLeft64(m.b, 23)
}

func (m *mixer) flag(b bool) {
	if b {
		m.word(1)
	} else {
		m.word(2)
	}
}

func (m *mixer) text(s string)  { mix(m, s) }
func (m *mixer) bytes(b []byte) { mix(m, b) }

func (m *mixer) key(k *Key) {
	m.word(binary.LittleEndian.Uint64(k[:8]))
	m.word(binary.LittleEndian.Uint64(k[8:]))
}

func mix[T string | []byte](m *mixer, s T) {
	m.word(uint64(len(s)))
	for len(s) >= 8 {
		m.word(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
		s = s[8:]
	}
	var last uint64
	for i := range len(s) {
		last |= uint64(s[i]) << (8 * i)
	}
	m.word(last)
}

func (m *mixer) sum() Hash {
	return Hash{fold(m.a, 0x589965cc75374cc3), fold(m.b, 0x1d8e4e27c47d124f)}
}
