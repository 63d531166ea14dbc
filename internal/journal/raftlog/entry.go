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
//
// Version 2 is for entries with batches that other members have proposed: before
// each length stands the batch's origin, a number (uvarint) and, unless that is 0,
// the process (8 bytes) that has given it. 0 is a batch of the leader's own. A
// member that is alone never writes version 2.
const (
	entryVersion = 1
	entryOrigins = 2
	entryHead    = 21
)

// origin says which proposal of which process a batch is, so that the member that
// has proposed it through the leader knows it again. The zero origin is that of what
// the leader has proposed itself.
type origin struct{ process, number uint64 }

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

// appendOrigin appends the origin of the batch that comes next.
func appendOrigin(b []byte, from origin) []byte {
	b = binary.AppendUvarint(b, from.number)
	if from.number != 0 {
		b = binary.LittleEndian.AppendUint64(b, from.process)
	}
	return b
}

// encodeEntry makes an entry of proposals. stampEntry completes it.
func encodeEntry(proposals []*proposal) []byte {
	size, origins := entryHead+10, false
	for _, p := range proposals {
		size += len(p.data) + 5
		if p.from != (origin{}) {
			size, origins = size+18, true
		}
	}
	b := beginEntry(make([]byte, 0, size), len(proposals))
	if origins {
		b[0] = entryOrigins
	}
	for _, p := range proposals {
		if origins {
			b = appendOrigin(b, p.from)
		}
		b = appendBatch(b, p.data)
	}
	return b
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
func readEntry(b []byte, each func(from origin, batch []byte) error) (entryInfo, error) {
	switch {
	case len(b) < entryHead+1:
		return entryInfo{}, errEntryShort
	case b[0] != entryVersion && b[0] != entryOrigins:
		return entryInfo{}, fmt.Errorf("the entry is of version %d, this program reads versions up to %d: use a newer one", b[0], entryOrigins)
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
		var from origin
		var batch []byte
		var err error
		if b[0] == entryOrigins {
			if from, rest, err = cutOrigin(rest); err != nil {
				return entryInfo{}, err
			}
		}
		if batch, rest, err = cutBatch(rest); err != nil {
			return entryInfo{}, err
		}
		if err := each(from, batch); err != nil {
			return entryInfo{}, err
		}
	}
	if len(rest) > 0 {
		return entryInfo{}, fmt.Errorf("%d bytes follow the last of %d batches", len(rest), n)
	}
	return e, nil
}

// cutOrigin reads the origin that b begins with, and returns what follows it.
func cutOrigin(b []byte) (from origin, rest []byte, err error) {
	number, used := binary.Uvarint(b)
	if used <= 0 {
		return origin{}, nil, errEntryShort
	}
	if b = b[used:]; number == 0 {
		return origin{}, b, nil
	}
	if len(b) < 8 {
		return origin{}, nil, errEntryShort
	}
	return origin{process: binary.LittleEndian.Uint64(b), number: number}, b[8:], nil
}

// cutBatch reads the batch that b begins with, and returns what follows it.
func cutBatch(b []byte) (batch, rest []byte, err error) {
	size, used := binary.Uvarint(b)
	if used <= 0 || size > uint64(len(b)-used) {
		return nil, nil, errEntryShort
	}
	end := used + int(size)
	return b[used:end], b[end:], nil
}
