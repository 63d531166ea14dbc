package grpcapi

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// session is the one session of a connection that speaks the first protocol. A
// goroutine of its own opens it, and closes the connection if the session ends
// for another reason; the connection's end ends it.
type session struct {
	conn   *connection
	server *Server
	log    *slog.Logger

	// ctx ends with the connection.
	ctx    context.Context
	cancel context.CancelFunc

	// opened is closed when link or err is set.
	opened chan struct{}
	link   Link
	err    error

	slots slots

	// mu guards what follows; it is held for a few assignments.
	mu sync.Mutex
	// attached is set when link is, ended when the connection is over: whoever
	// comes second reports the end.
	attached, ended bool
}

// sessionOf returns the session of a connection, and opens it at the first call.
func (s *Server) sessionOf(ctx context.Context, c *connection) (*session, error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return nil, errConnectionEnded
	}
	x := c.session
	if x == nil {
		x = s.newSession(c)
		c.session = x
		s.tasks.Go(x.run)
	}
	c.mu.Unlock()
	select {
	case <-x.opened:
		return x, x.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Server) newSession(c *connection) *session {
	x := &session{conn: c, server: s, opened: make(chan struct{})}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	return x
}

// run is the session's goroutine.
func (x *session) run() {
	defer x.cancel()
	if x.err = x.open(); x.err != nil {
		x.conn.forget(x)
		close(x.opened)
		return
	}
	x.server.track(x)
	defer x.server.untrack(x)
	close(x.opened)
	x.log.Info("Session started", "remote_address", x.conn.remote())
	select {
	case <-x.ctx.Done():
	case <-x.link.Ended():
	}
	if x.ctx.Err() != nil {
		x.log.Info("Session ended")
		return
	}
	x.log.Info("Session ended", "reason", x.link.Reason())
	// Clients of the first protocol learn of the loss of their locks by nothing else.
	_ = x.conn.Close()
}

// open asks the node for a session that ends with its connection.
func (x *session) open() error {
	open := &lock.Open{
		OnEnd: x.server.onEnd,
		Info:  &lock.Info{Remote: x.conn.remote(), Transport: "v1"},
	}
	// Nobody resumes the session, so nobody needs to know the secret.
	_, _ = rand.Read(open.Secret[:])
	link, o, err := x.server.node.Attach(x.ctx, open)
	if err == nil && o.Code != lock.OK {
		err = refusal(&o)
	}
	if err != nil {
		return err
	}
	x.link = link
	link.Mute()
	x.log = x.server.log.With("session_id", uint64(link.Session()))
	x.mu.Lock()
	x.attached = true
	ended := x.ended
	x.mu.Unlock()
	if ended {
		x.detach()
	}
	return nil
}

// end reports that the connection has ended. It does not wait.
func (x *session) end() {
	x.mu.Lock()
	x.ended = true
	attached := x.attached
	x.mu.Unlock()
	x.cancel()
	if attached {
		x.detach()
	}
}

// detach tells the node that the connection has ended, unless the server is on
// its way out: its end is not the end of the holders' sessions.
func (x *session) detach() {
	if !x.server.draining.Load() {
		x.link.Detach(0, x.conn.byPeer.Load())
	}
}

// call carries out one command on behalf of the session. The command's caller
// is filled in.
func (x *session) call(ctx context.Context, caller *lock.Caller, c lock.Command) (lock.Outcome, error) {
	return x.callAt(ctx, x.slots.take(), caller, c)
}

// wait is call for a command that may wait: it is cancelled when the server
// begins to drain.
func (x *session) wait(ctx context.Context, caller *lock.Caller, c lock.Command) (lock.Outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := x.slots.takeToWait(cancel)
	if x.server.draining.Load() {
		x.slots.give(p, refused)
		return lock.Outcome{}, errDraining
	}
	return x.callAt(ctx, p, caller, c)
}

func (x *session) callAt(
	ctx context.Context, p place, caller *lock.Caller, c lock.Command,
) (lock.Outcome, error) {
	*caller = p.caller(x.link.Session(), x.link.Number())
	o, err := x.server.node.Call(ctx, c)
	how := endingOf(err)
	if err == nil && o.Field == lock.FieldSlot {
		// Beyond the table's limit there is no such slot.
		x.slots.give(p, unknown)
		return o, nil
	}
	x.slots.give(p, how)
	if how == unknown {
		// Nothing may be answered on a connection that stays open while it is
		// not known what happened.
		_ = x.conn.Close()
	}
	return o, err
}
