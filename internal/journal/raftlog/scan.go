package raftlog

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"
)

// A segment file, as raft-wal writes it, is a head of 32 bytes, then frames of a
// multiple of 8 bytes, then zeros up to its size:
//
//	+------+------+------+------+------+------+------+------+
//	| type | reserved           | length, or checksum       |   1 entry, 2 index, 3 commit
//	+------+------+------+------+------+------+------+------+
//
// Frames are written in batches. One write has some entries, once in the file an
// index of them all, and at the end a commit whose checksum covers what lies
// between it and the commit before, the head of the file included for the first.
// One fsync follows, and the next batch is written after that.
const (
	segmentHead = 32
	frameHead   = 8
	frameEntry  = 1
	frameIndex  = 2
	frameCommit = 3
	// sectorBytes is what a disk writes as a whole.
	sectorBytes = 512
)

// segmentScan is what a segment file holds.
type segmentScan struct {
	count      int    // entries
	indexStart uint64 // where the list of entries begins, 0 if the file is not sealed
	end        int    // of what was committed
	torn       int    // end of a write that was cut short, 0 if there was none
}

// scanSegment verifies a whole segment file: every batch, and every entry in it.
// It calls each, if not nil, for every entry. A write that a crash cut short may
// stand at the end of a file that is not sealed. Everything else that is not as it
// was written is a [DamageError].
func scanSegment(path string, b []byte, info types.SegmentInfo, each func(*raft.Log) error) (segmentScan, error) {
	var s segmentScan
	if uint64(len(b)) < uint64(info.SizeLimit) {
		return s, damaged(path, len(b), "the file was cut: it had %d bytes", info.SizeLimit)
	}
	for s.indexStart == 0 {
		batch, ok := readFrames(b, s.end)
		if !ok {
			return s, s.judgeEnd(path, b)
		}
		if s.end == 0 && !headFits(b, info) {
			return s, damaged(path, 0, "its head is that of another segment")
		}
		for _, at := range batch.entries {
			data := b[at+frameHead : at+frameHead+int(binary.LittleEndian.Uint32(b[at+4:]))]
			l, err := decodeFrame(data)
			switch {
			case err != nil:
				return s, damaged(path, at, "entry %d: %v", info.BaseIndex+uint64(s.count), err)
			case l.Index != info.BaseIndex+uint64(s.count):
				return s, damaged(path, at, "entry %d stands in the place of entry %d", l.Index, info.BaseIndex+uint64(s.count))
			}
			if each != nil {
				if err := each(&l); err != nil {
					return s, err
				}
			}
			s.count++
		}
		s.end, s.indexStart = batch.end, batch.indexStart
	}
	return s, nil
}

func headFits(b []byte, info types.SegmentInfo) bool {
	return binary.LittleEndian.Uint64(b) == 0x58eb6b0d && binary.LittleEndian.Uint64(b[8:]) == info.BaseIndex &&
		binary.LittleEndian.Uint64(b[16:]) == info.ID && binary.LittleEndian.Uint64(b[24:]) == info.Codec
}

// frames is one batch.
type frames struct {
	entries    []int // where they begin
	indexStart uint64
	end        int // behind the commit
}

// readFrames reads the batch that begins at an offset; false if there is no whole
// and sound one. The first batch begins with the file.
func readFrames(b []byte, from int) (frames, bool) {
	var f frames
	at := from
	if at == 0 {
		at = segmentHead
	}
	for at+frameHead <= len(b) {
		size := uint64(binary.LittleEndian.Uint32(b[at+4:]))
		switch {
		case b[at] == frameCommit:
			f.end = at + frameHead
			sound := crc32.Checksum(b[from:at], castagnoli) == uint32(size)
			return f, sound && len(f.entries) > 0 || sound && f.indexStart != 0
		case b[at] != frameEntry && b[at] != frameIndex, size > uint64(len(b)-at-frameHead):
			return f, false
		case b[at] == frameEntry:
			f.entries = append(f.entries, at)
		default:
			f.indexStart = uint64(at + frameHead)
		}
		at += frameHead + (int(size)+7)&^7
	}
	return f, false
}

// judgeEnd looks at what follows the last sound batch: zeros, a write that a crash
// cut short, which is noted, or damage.
//
// A write that was cut short has left out at least one sector, which is still zero;
// or it ends with a sector and its end is missing. A batch that was once complete
// has no sector of zeros. And nothing sound can follow a write that was cut short.
func (s *segmentScan) judgeEnd(path string, b []byte) error {
	from := s.end
	rest := bytes.TrimRight(b[from:], "\x00")
	if len(rest) == 0 {
		return nil
	}
	end := min(from+(len(rest)+7)&^7, len(b))
	for at := from &^ 7; at+frameHead <= end; at += 8 {
		if at == from || b[at] != frameEntry || b[at+1]|b[at+2]|b[at+3] != 0 {
			continue
		}
		if _, ok := readFrames(b, at); ok {
			return damaged(path, from, "a record there is not sound, and sound ones follow it")
		}
	}
	if !hasZeroSector(b, from, end) && (end%sectorBytes != 0 || endsComplete(b, from, end)) {
		return damaged(path, from, "the record there is not sound, and no write that was cut short looks like that")
	}
	s.torn = end
	return nil
}

// hasZeroSector reports whether a part of a range that lies in one sector is zero.
func hasZeroSector(b []byte, from, end int) bool {
	for from < end {
		next := min(end, (from/sectorBytes+1)*sectorBytes)
		if len(bytes.TrimLeft(b[from:next], "\x00")) == 0 {
			return true
		}
		from = next
	}
	return false
}

// endsComplete reports whether a range ends like a batch that was complete: with
// something that is a commit by its form, or by its checksum.
func endsComplete(b []byte, from, end int) bool {
	at := end - frameHead
	if at < from {
		return false
	}
	return binary.LittleEndian.Uint32(b[at:]) == frameCommit ||
		crc32.Checksum(b[from:at], castagnoli) == binary.LittleEndian.Uint32(b[at+4:])
}
