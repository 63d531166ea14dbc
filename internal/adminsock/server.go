package adminsock

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// Limits of the server.
const (
	// maxConnections are served at a time; others wait to be accepted.
	maxConnections = 16
	// patience bounds how long a peer may take to send its request, or to take a
	// part of the answer, and how long the node may take to unlock.
	patience = 10 * time.Second
	// acceptPause lies between attempts to accept where the system fails to.
	acceptPause = 100 * time.Millisecond
)

// Node is what the socket shows and changes.
type Node interface {
	// Call carries a command to its outcome.
	Call(ctx context.Context, c lock.Command) (lock.Outcome, error)
	// List returns up to limit locks from a place on, with some of their
	// holders, and the place to go on from, 0 at the end.
	List(ctx context.Context, f lock.LockFilter, after uint64, limit int) ([]lock.LockView, uint64, error)
	// Holders returns up to limit holds of a lock, oldest first, that were granted
	// after the token; none if there is no such lock.
	Holders(ctx context.Context, name string, after lock.Token, limit int) ([]lock.HoldView, error)
}

// Operator is what may be done with the running server itself. Its methods are
// safe for concurrent use.
type Operator interface {
	// Reload reads the server's configuration again, for somebody. If it fails
	// nothing has changed.
	Reload(by audit.Actor) error
	// SetLogLevel logs from another level on, which is one of config's words, for
	// somebody.
	SetLogLevel(by audit.Actor, level string) error
}

// Config is what a server needs.
type Config struct {
	Socket *Socket
	Node   Node
	Logger *slog.Logger
	// Operator may be nil: then nobody operates the server through the socket.
	Operator Operator
	// Audit is told what is unlocked. Default: nobody is.
	Audit *audit.Log
}

// A Server answers at a socket. Make one with [Start].
type Server struct {
	socket   *Socket
	node     Node
	log      *slog.Logger
	operator Operator // nil: nobody
	audit    *audit.Log

	// ctx ends with the server, and with it what is under way.
	ctx  context.Context
	end  context.CancelFunc
	once sync.Once
	// tasks are the accepting goroutine and one for each connection.
	tasks sync.WaitGroup
	// places has one token for each connection.
	places chan struct{}
}

// Start answers at the socket, which belongs to the server from then on.
func Start(c Config) *Server {
	s := &Server{socket: c.Socket, node: c.Node, log: c.Logger, operator: c.Operator, audit: c.Audit, places: make(chan struct{}, maxConnections)}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.log.Info("IPC server started", "socket", c.Socket.listener.Path())
	s.tasks.Go(s.accept)
	return s
}

// Close removes the socket, breaks off what is under way, and returns when all of
// the server's goroutines have ended. It may be called more than once.
func (s *Server) Close() {
	s.once.Do(func() {
		s.log.Info("IPC server shutting down...")
		s.end()
		s.socket.Close()
		s.tasks.Wait()
		s.log.Info("IPC server shut down")
	})
}

// accept is a goroutine that ends with the server.
func (s *Server) accept() {
	for {
		select {
		case s.places <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		c, err := s.socket.listener.Accept()
		if err == nil {
			s.tasks.Go(func() {
				defer func() { <-s.places }()
				s.serve(c)
			})
			continue
		}
		<-s.places
		if s.ctx.Err() != nil {
			return
		}
		s.log.Warn("cannot accept a connection at the IPC socket", "err", err)
		select {
		case <-time.After(acceptPause):
		case <-s.ctx.Done():
		}
	}
}

// serve answers one connection's question.
func (s *Server) serve(c net.Conn) {
	defer c.Close()
	defer context.AfterFunc(s.ctx, func() { _ = c.Close() })()
	w := &replies{conn: c}
	err := s.answer(w, bufio.NewReader(c))
	if err == nil {
		err = w.add(&reply{Done: true})
	}
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
		err = w.add(&reply{Error: refused})
	}
	if err == nil {
		err = w.flush()
	}
	if err != nil && s.ctx.Err() == nil {
		s.log.Debug("the answer at the IPC socket was broken off", "err", err)
	}
}

// answer reads a request and carries it out. A [RefusedError] is for the peer;
// other errors mean that it cannot be reached.
func (s *Server) answer(w *replies, r *bufio.Reader) error {
	if err := w.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	line, err := readLine(r)
	if err != nil {
		return refuse(BadRequest, err)
	}
	var q request
	if err := decodeLine(line, &q); err != nil {
		return refuse(BadRequest, err)
	}
	switch q.Op {
	case opList:
		s.log.Info("Handling IPC ListLocks request")
		return s.list(w)
	case opUnlock:
		s.log.Info("Handling IPC Unlock request", "lock", q.Name, "key", shortKey(q.Key))
		return s.unlock(actor(w.conn), q.Name, q.Key)
	default:
		return s.operate(actor(w.conn), &q)
	}
}

// actor is who asks on a connection.
func actor(c net.Conn) audit.Actor { return audit.Actor{Name: peerName(c), Via: "socket"} }

// operate does something with the server itself.
func (s *Server) operate(by audit.Actor, q *request) error {
	if s.operator == nil {
		return refuse(Failed, errors.New("this server is not operated through its socket"))
	}
	var err error
	if q.Op == opReload {
		s.log.Info("Handling IPC Reload request")
		err = s.operator.Reload(by)
	} else {
		s.log.Info("Handling IPC LogLevel request", "log_level", q.Level)
		err = s.operator.SetLogLevel(by, q.Level)
	}
	if err != nil {
		return refuse(Failed, err)
	}
	return nil
}

// refuse makes an error that the peer is told.
func refuse(code Code, err error) error { return &RefusedError{Code: code, Message: err.Error()} }

// replies gathers lines of an answer and sends them in pieces.
type replies struct {
	conn net.Conn
	buf  []byte
}

// flushBytes is how much is gathered.
const flushBytes = 64 << 10

func (w *replies) add(r *reply) error {
	var err error
	if w.buf, err = appendLine(w.buf, r); err != nil {
		return refuse(Failed, err)
	}
	if len(w.buf) < flushBytes {
		return nil
	}
	return w.flush()
}

func (w *replies) flush() error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := w.conn.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}
