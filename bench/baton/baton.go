// Package baton hands a baton from one worker to the next: the least that a fair lock
// with waiters can be. The server knows nothing but a line of those who wait. What it
// costs is the floor for handing a lock on: two messages to the server and two back, of
// which one is for whoever is next.
package baton

import (
	"encoding/binary"
	"net"
	"sync"
)

const (
	// messageBytes is the size of what travels: about an acquire or its answer.
	messageBytes = 64
	// bufferBytes is the room for what is read at once.
	bufferBytes = 64 << 10
)

// kind of a message.
type kind byte

const (
	want   kind = iota // I wait for the baton
	pass               // I pass it on
	yours              // you have it
	passed             // you have it no more
)

// appendMessage appends a message that a worker sends or gets.
func appendMessage(b []byte, k kind, worker uint32) []byte {
	var message [messageBytes]byte
	message[0] = byte(k)
	binary.BigEndian.PutUint32(message[1:], worker)
	return append(b, message[:]...)
}

func readMessage(b []byte) (k kind, worker uint32) {
	return kind(b[0]), binary.BigEndian.Uint32(b[1:])
}

// Serve hands a baton around those who connect to l, until stop is called. It closes l.
func Serve(l net.Listener) (stop func()) {
	s := &server{open: map[net.Conn]bool{}}
	s.tasks.Go(func() { s.accept(l) })
	return func() {
		_ = l.Close()
		s.mu.Lock()
		for conn := range s.open {
			conn.Close()
		}
		s.mu.Unlock()
		s.tasks.Wait()
	}
}

// server has the connections and the line.
type server struct {
	line  line
	tasks sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool
}

func (s *server) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // the listener was closed
		}
		s.mu.Lock()
		s.open[conn] = true
		s.mu.Unlock()
		s.tasks.Go(func() {
			s.line.serve(conn)
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.open, conn)
		})
	}
}
