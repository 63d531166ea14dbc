package echo

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
)

// bufferBytes is the room for what is read and written at once.
const bufferBytes = 64 << 10

// serveTCP serves both kinds of TCP connections.
func serveTCP(l net.Listener) (stop func()) {
	var done sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the listener was closed
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			done.Go(func() {
				echoTCP(conn)
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			})
		}
	})
	return func() {
		_ = l.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		done.Wait()
	}
}

// echoTCP answers messages until the other side closes the connection. What has
// come in together goes out together. It reads and writes by hand: io.Copy would
// let the kernel splice, which no server of messages can do.
func echoTCP(conn net.Conn) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, bufferBytes), bufio.NewWriterSize(conn, bufferBytes)
	message := make([]byte, payloadBytes)
	for {
		if _, err := io.ReadFull(in, message); err != nil {
			return
		}
		if _, err := out.Write(message); err != nil {
			return
		}
		if in.Buffered() >= payloadBytes {
			continue
		}
		if err := out.Flush(); err != nil {
			return
		}
	}
}

// tcp echoes on a connection for one worker.
type tcp struct {
	conn    net.Conn
	message []byte
}

func dialTCP(ctx context.Context, address string) (echoer, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &tcp{conn, make([]byte, payloadBytes)}, nil
}

func (t *tcp) echo(context.Context) error {
	if _, err := t.conn.Write(t.message); err != nil {
		return err
	}
	_, err := io.ReadFull(t.conn, t.message)
	return err
}

func (t *tcp) close() error { return t.conn.Close() }

// frames is a connection that many workers share.
type frames struct {
	conn  net.Conn
	asked asked
	tasks sync.WaitGroup
	wake  chan struct{} // there is something to send; closed at the end

	mu      sync.Mutex
	waiting int // messages to send
}

func dialFrames(ctx context.Context, address string) (echoer, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	f := &frames{conn: conn, wake: make(chan struct{}, 1)}
	f.tasks.Go(f.send)
	f.tasks.Go(f.receive)
	return f, nil
}

func (f *frames) echo(context.Context) error {
	c, err := f.asked.add()
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.waiting++
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default: // the sender is told already
	}
	return f.asked.wait(c)
}

// send sends what has gathered, again and again. All messages are alike, so
// their order is that of the askers.
func (f *frames) send() {
	buffer := make([]byte, bufferBytes)
	for range f.wake {
		f.mu.Lock()
		n := min(f.waiting, bufferBytes/payloadBytes)
		f.waiting -= n
		more := f.waiting > 0
		f.mu.Unlock()
		if more {
			select {
			case f.wake <- struct{}{}:
			default:
			}
		}
		if _, err := f.conn.Write(buffer[:n*payloadBytes]); err != nil {
			return // receive fails too, and tells
		}
	}
}

func (f *frames) receive() {
	buffer := make([]byte, bufferBytes)
	rest := 0 // bytes of a message that is not complete
	for {
		n, err := f.conn.Read(buffer)
		if err != nil {
			f.asked.end(err)
			return
		}
		rest += n
		f.asked.answer(rest / payloadBytes)
		rest %= payloadBytes
	}
}

func (f *frames) close() error {
	err := f.conn.Close()
	close(f.wake)
	f.tasks.Wait()
	return err
}
