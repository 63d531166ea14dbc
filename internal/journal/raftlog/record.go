package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

// A record is what stands in a segment file for an entry of raft's log. raft-wal
// writes index, term and type of its own accord, and does not notice if they
// change; so all of it stands once more, with a checksum, in what raft-wal takes for
// the data:
//
//	 0        4       5      6
//	+--------+-------+------+-------+------+------------+------------+------+
//	| crc32c | flags | type | index | term | length     | extensions | data |
//	+--------+-------+------+-------+------+------------+------------+------+
//	  4        1       1      uvarint uvarint uvarint
//
// The checksum covers everything that follows it. What stands behind the type is
// masked if it has a long run of zeros: no whole sector of a record may be zero,
// since that is how a sector looks that was never written.
const (
	recordHead = 6
	flagMasked = 1
	// longestZeros may stand in a record: half a sector, so that what lies around
	// it never fills one.
	longestZeros = 256
	mask         = 0xa5
)

// encodeRecord returns an entry as it is given to raft-wal.
func encodeRecord(l *raft.Log) *raft.Log {
	b := make([]byte, recordHead, recordHead+3*binary.MaxVarintLen64+len(l.Extensions)+len(l.Data))
	b[5] = byte(l.Type)
	b = binary.AppendUvarint(b, l.Index)
	b = binary.AppendUvarint(b, l.Term)
	b = binary.AppendUvarint(b, uint64(len(l.Extensions)))
	b = append(b, l.Extensions...)
	b = append(b, l.Data...)
	if hasLongZeros(b[recordHead:]) {
		b[4] = flagMasked
		applyMask(b[recordHead:])
	}
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return &raft.Log{Index: l.Index, Term: l.Term, Type: l.Type, Data: b}
}

// hasLongZeros reports whether there is a run of longestZeros zeros. Masking what
// needs none does no harm, so it looks for aligned halves of such a run.
func hasLongZeros(b []byte) bool {
	const half = longestZeros / 2
	zeros := make([]byte, half)
	for i := 0; i+half <= len(b); i += half {
		if bytes.Equal(b[i:i+half], zeros) {
			return true
		}
	}
	return false
}

// applyMask masks, and undoes it.
func applyMask(b []byte) {
	for i := range b {
		b[i] ^= mask
	}
}

var errRecord = errors.New("the record's checksum does not match: it was damaged")

// decodeRecord is the inverse of encodeRecord. It may change the bytes it is given,
// and what it returns shares them.
func decodeRecord(stored *raft.Log) (raft.Log, error) {
	b := stored.Data
	if len(b) < recordHead || binary.LittleEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return raft.Log{}, errRecord
	}
	rest := b[recordHead:]
	switch b[4] {
	case 0:
	case flagMasked:
		applyMask(rest)
	default:
		return raft.Log{}, fmt.Errorf("the record has flags %#x, which this program does not know: use a newer one", b[4])
	}
	var head [3]uint64
	for i := range head {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return raft.Log{}, errRecord
		}
		head[i], rest = v, rest[n:]
	}
	size := head[2]
	if size > uint64(len(rest)) {
		return raft.Log{}, errRecord
	}
	l := raft.Log{Type: raft.LogType(b[5]), Index: head[0], Term: head[1], Data: rest[size:]}
	if size > 0 {
		l.Extensions = rest[:size:size]
	}
	if l.Index != stored.Index || l.Term != stored.Term || l.Type != stored.Type {
		return raft.Log{}, fmt.Errorf("the record is that of entry %d of term %d: it stands in the wrong place, or was damaged", l.Index, l.Term)
	}
	return l, nil
}

// decodeFrame reads a record as raft-wal has written it to a file: index, term and
// type as uvarints, the data with its length in front, then what is not used here.
// raft-wal's own decoder trusts what it reads.
func decodeFrame(b []byte) (raft.Log, error) {
	var head [4]uint64
	for i := range head {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return raft.Log{}, errRecord
		}
		head[i], b = v, b[n:]
	}
	if head[3] > uint64(len(b)) {
		return raft.Log{}, errRecord
	}
	return decodeRecord(&raft.Log{
		Index: head[0], Term: head[1], Type: raft.LogType(head[2]), Data: bytes.Clone(b[:head[3]]),
	})
}
