package bench

import (
	"io"
	"net"
	"sync"
	"testing"
)

func serveTCP(l net.Listener) (stop func()) {
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the listener was closed
			}
			done.Go(func() { echoTCP(conn) })
		}
	})
	return func() {
		l.Close()
		done.Wait()
	}
}

// echoTCP answers messages until the other side closes the connection. It reads
// and writes by hand: io.Copy would let the kernel splice, which no server of
// messages can do.
func echoTCP(conn net.Conn) {
	defer conn.Close()
	message := make([]byte, payloadBytes)
	for {
		if _, err := io.ReadFull(conn, message); err != nil {
			return
		}
		if _, err := conn.Write(message); err != nil {
			return
		}
	}
}

func dialTCP(b *testing.B, address string, workers int) []func() error {
	ops := make([]func() error, workers)
	for i := range ops {
		var dialer net.Dialer
		conn, err := dialer.DialContext(b.Context(), "tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		message := make([]byte, payloadBytes)
		ops[i] = func() error {
			if _, err := conn.Write(message); err != nil {
				return err
			}
			_, err := io.ReadFull(conn, message)
			return err
		}
	}
	return ops
}
