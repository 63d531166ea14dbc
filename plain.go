package ldlm

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// plain carries frames straight on a connection.
type plain struct {
	conn      net.Conn
	reader    *bufio.Reader
	buf       []byte
	peerEnded atomic.Bool
}

const readBufferBytes = 32 << 10

func newPlain(ctx context.Context, conn net.Conn) (carrier, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	_, err := io.WriteString(conn, wire.Preface)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &plain{conn: conn, reader: bufio.NewReaderSize(conn, readBufferBytes)}, nil
}

func (p *plain) Send(frames []byte) error {
	_, err := p.conn.Write(frames)
	return p.judge(err)
}

func (p *plain) Receive(f *ldlmv2.ServerFrame) error {
	var head [4]byte
	if _, err := io.ReadFull(p.reader, head[:]); err != nil {
		return p.judge(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > wire.MaxFrameBytes {
		return fmt.Errorf("frame of %d bytes is too large", n)
	}
	if int(n) > cap(p.buf) {
		p.buf = make([]byte, n)
	}
	p.buf = p.buf[:n]
	if _, err := io.ReadFull(p.reader, p.buf); err != nil {
		return p.judge(err)
	}
	return wire.DecodeServer(p.buf, f)
}

// judge notes whether an error is the other side's end of the connection.
func (p *plain) judge(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		p.peerEnded.Store(true)
	}
	return err
}

func (p *plain) PeerEnded() bool { return p.peerEnded.Load() }
func (p *plain) Close()          { p.conn.Close() }
