package wire

import (
	"encoding/binary"
	"io"
)

const (
	// leastBuffer is what an idle connection has for reading.
	leastBuffer = 512
	// mostBuffer is what a busy one gets; larger frames have a buffer of their own
	// that is given up right after.
	mostBuffer = 64 << 10
	// calmReads is how many small reads in a row make the buffer smaller again.
	calmReads = 32
)

// reader cuts a stream into frames. Its buffer grows only with what has really
// come: a length is not believed.
type reader struct {
	src   io.Reader
	limit int // of a frame, in bytes

	buf  []byte
	r, w int // buf[r:w] has been read and not been taken
	// last is how much the last read brought, calm how many in a row brought little.
	last, calm int
}

// next returns the next frame. It is good until the following call. After an
// error of the source, reading may be tried again: nothing is lost.
func (rd *reader) next() ([]byte, error) {
	for {
		n, err := rd.ready()
		switch {
		case err != nil:
			return nil, err
		case n >= 0:
			frame := rd.buf[rd.r+lengthBytes : rd.r+lengthBytes+n]
			rd.r += lengthBytes + n
			return frame, nil
		}
		if err := rd.fill(); err != nil {
			return nil, err
		}
	}
}

// ready returns the length of the next frame if all of it is there, else -1.
func (rd *reader) ready() (int, error) {
	there := rd.buf[rd.r:rd.w]
	if len(there) < lengthBytes {
		return -1, nil
	}
	n := binary.BigEndian.Uint32(there)
	if uint64(n) > uint64(rd.limit) {
		return -1, &FrameError{Problem: "larger than allowed", Limit: int64(rd.limit)}
	}
	if uint64(len(there)-lengthBytes) < uint64(n) {
		return -1, nil
	}
	return int(n), nil
}

// fill reads once.
func (rd *reader) fill() error {
	rd.makeRoom()
	n, err := rd.src.Read(rd.buf[rd.w:])
	rd.w += n
	rd.last = n
	switch {
	case n > 0:
		return nil // an error comes again
	case err == io.EOF && rd.r < rd.w:
		return io.ErrUnexpectedEOF
	case err == nil:
		return io.ErrNoProgress
	}
	return err
}

// discard reads, and keeps nothing, until that fails.
func (rd *reader) discard() error {
	scrap := make([]byte, leastBuffer)
	for {
		if _, err := rd.src.Read(scrap); err != nil {
			return err
		}
	}
}

func (rd *reader) makeRoom() {
	if rd.r == rd.w {
		rd.r, rd.w = 0, 0
		rd.resize()
	}
	if rd.w < len(rd.buf) {
		return
	}
	if rd.r > 0 {
		rd.w = copy(rd.buf, rd.buf[rd.r:rd.w])
		rd.r = 0
		return
	}
	buf := make([]byte, min(2*len(rd.buf), rd.limit+lengthBytes))
	copy(buf, rd.buf[:rd.w])
	rd.buf = buf
}

// resize fits the empty buffer to how much comes at a time.
func (rd *reader) resize() {
	size := len(rd.buf)
	if rd.last < size/8 {
		rd.calm++
	} else {
		rd.calm = 0
	}
	switch {
	case size == 0, size > mostBuffer:
		size = leastBuffer
	case rd.last == size && size < mostBuffer:
		size *= 2
	case rd.calm >= calmReads && size > leastBuffer:
		size /= 2
	default:
		return
	}
	rd.buf, rd.calm, rd.last = make([]byte, size), 0, 0
}
