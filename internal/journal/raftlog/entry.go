package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// An entry is what raft orders:
//
//	 0         1         5         13        21
//	+---------+---------+---------+---------+---------+--------+-------+--
//	| version | crc32c  | term    | elapsed | batches | length | batch | ...
//	+---------+---------+---------+---------+---------+--------+-------+--
//	  1 byte    4         8         8         uvarint   uvarint
//
// Numbers of fixed length are little-endian. The checksum covers everything that
// follows it. term is the one in which the entry was stamped, elapsed the time
// since the stamp before it in microseconds.
const (
	entryVersion = 1
	entryHead    = 21
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// beginEntry appends the head of an entry of so many batches to b, which is empty.
// stampEntry fills it in.
func beginEntry(b []byte, batches int) []byte {
	b = append(b, make([]byte, entryHead)...)
	b[0] = entryVersion
	return binary.AppendUvarint(b, uint64(batches))
}

// appendBatch appends one encoded batch.
func appendBatch(b, batch []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(batch)))
	return append(b, batch...)
}

// stampEntry completes an entry.
func stampEntry(b []byte, term uint64, elapsed int64) {
	binary.LittleEndian.PutUint64(b[5:], term)
	binary.LittleEndian.PutUint64(b[13:], uint64(elapsed))
	binary.LittleEndian.PutUint32(b[1:], crc32.Checksum(b[5:], castagnoli))
}

// entryInfo is the head of an entry.
type entryInfo struct {
	term    uint64
	elapsed int64
	batches uint64
}

var errEntryShort = errors.New("the entry ends early")

// readEntry reads the head of an entry and calls each for every batch, whose
// bytes are those of b.
func readEntry(b []byte, each func(batch []byte) error) (entryInfo, error) {
	switch {
	case len(b) < entryHead+1:
		return entryInfo{}, errEntryShort
	case b[0] != entryVersion:
		return entryInfo{}, fmt.Errorf("the entry is of version %d, this program reads version %d: use a newer one", b[0], entryVersion)
	case binary.LittleEndian.Uint32(b[1:]) != crc32.Checksum(b[5:], castagnoli):
		return entryInfo{}, errors.New("the entry's checksum does not match: it was damaged")
	}
	e := entryInfo{term: binary.LittleEndian.Uint64(b[5:]), elapsed: int64(binary.LittleEndian.Uint64(b[13:]))}
	rest := b[entryHead:]
	n, used := binary.Uvarint(rest)
	if used <= 0 || n > uint64(len(rest)) {
		return entryInfo{}, errEntryShort
	}
	e.batches, rest = n, rest[used:]
	for range n {
		size, used := binary.Uvarint(rest)
		if used <= 0 || size > uint64(len(rest)-used) {
			return entryInfo{}, errEntryShort
		}
		batch := rest[used : used+int(size)]
		rest = rest[used+int(size):]
		if err := each(batch); err != nil {
			return entryInfo{}, err
		}
	}
	if len(rest) > 0 {
		return entryInfo{}, fmt.Errorf("%d bytes follow the last of %d batches", len(rest), n)
	}
	return e, nil
}
