package cluster

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxFrame is more than any batch of commands has.
const maxFrame = 32 << 20

const frameHead = 12

// frame is a question or an answer. Number 0 is a sign of life.
type frame struct {
	number  uint64
	payload []byte
}

func writeFrame(w *bufio.Writer, f *frame) error {
	var head [frameHead]byte
	binary.BigEndian.PutUint32(head[:], uint32(8+len(f.payload)))
	binary.BigEndian.PutUint64(head[4:], f.number)
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(f.payload)
	return err
}

func readFrame(r *bufio.Reader) (frame, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 8 || size > maxFrame {
		return frame{}, fmt.Errorf("a frame of %d bytes cannot be", size)
	}
	f := frame{number: binary.BigEndian.Uint64(head[4:])}
	want := int(size) - 8
	if want <= r.Size() {
		f.payload = make([]byte, want)
		_, err := io.ReadFull(r, f.payload)
		return f, err
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, int64(want)); err != nil {
		return frame{}, err
	}
	f.payload = b.Bytes()
	return f, nil
}

// Texts of hello and welcome have one byte for their length.
const maxText = 255

func appendText(b []byte, text string) []byte {
	text = text[:min(len(text), maxText)]
	return append(append(b, byte(len(text))), text...)
}

func readText(r io.Reader) (string, error) {
	var size [1]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return "", err
	}
	b := make([]byte, size[0])
	_, err := io.ReadFull(r, b)
	return string(b), err
}

var errNoMember = errors.New("what speaks there is not a member's port, or one of another version, whose log says so")
