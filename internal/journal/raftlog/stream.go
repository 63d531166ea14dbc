package raftlog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A snapshot's stream is a sequence of chunks:
//
//	+--------+--------+-------+
//	| length | crc32c | bytes |   4, 4 and length bytes
//	+--------+--------+-------+
//
// The first one is the head: version (1 byte), then the index of the newest entry
// in the snapshot as the machine counts them (8 bytes). Those of the machine
// follow. One of length 0 is the end.
const (
	streamVersion = 1
	streamHead    = 9
	chunkHead     = 8
	// maxChunkBytes is more than any machine makes.
	maxChunkBytes = 64 << 20
)

// writeStream writes what next returns, until it returns nil.
func writeStream(w io.Writer, applied uint64, next func() ([]byte, error)) error {
	head := binary.LittleEndian.AppendUint64([]byte{streamVersion}, applied)
	if err := writeChunk(w, head); err != nil {
		return err
	}
	for {
		chunk, err := next()
		if err != nil {
			return err
		}
		if chunk == nil {
			return writeChunk(w, nil)
		}
		if len(chunk) == 0 {
			continue
		}
		if err := writeChunk(w, chunk); err != nil {
			return err
		}
	}
}

func writeChunk(w io.Writer, chunk []byte) error {
	var head [chunkHead]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(chunk)))
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(chunk, castagnoli))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(chunk)
	return err
}

// streamReader reads a stream.
type streamReader struct {
	r       *bufio.Reader
	applied uint64 // from the head
	offset  int64  // of the chunk that is read next
	ended   bool
}

// newStreamReader reads the head of a stream.
func newStreamReader(r io.Reader) (*streamReader, error) {
	s := &streamReader{r: bufio.NewReaderSize(r, 64<<10)}
	head, err := s.next()
	switch {
	case err != nil:
		return nil, err
	case len(head) != streamHead:
		return nil, errors.New("it has no head")
	case head[0] != streamVersion:
		return nil, fmt.Errorf("it is of version %d, this program reads version %d: use a newer one", head[0], streamVersion)
	}
	s.applied = binary.LittleEndian.Uint64(head[1:])
	return s, nil
}

// next returns the next chunk; nil at the end.
func (s *streamReader) next() ([]byte, error) {
	if s.ended {
		return nil, nil
	}
	var head [chunkHead]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return nil, early(err)
	}
	size, sum := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if size > maxChunkBytes {
		return nil, fmt.Errorf("a chunk of %d bytes cannot be", size)
	}
	if size == 0 {
		if sum != 0 {
			return nil, errors.New("the checksum of the end does not match")
		}
		s.ended = true
		if _, err := s.r.ReadByte(); !errors.Is(err, io.EOF) {
			return nil, errors.New("it goes on after its end")
		}
		return nil, nil
	}
	chunk := make([]byte, size)
	if _, err := io.ReadFull(s.r, chunk); err != nil {
		return nil, early(err)
	}
	if crc32.Checksum(chunk, castagnoli) != sum {
		return nil, errors.New("the checksum of a chunk does not match")
	}
	s.offset += int64(chunkHead + len(chunk))
	return chunk, nil
}

func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends early")
	}
	return err
}
