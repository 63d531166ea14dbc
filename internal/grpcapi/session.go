package grpcapi

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// session is the one session of a connection that speaks the first protocol. The
// first call opens it, the connection's end ends it; if it ends for another
// reason, the connection is closed.
type session struct {
	conn   *connection
	server *Server
	pass   *auth.Pass // of who opened it

	// ctx ends with the connection.
	ctx    context.Context
	cancel context.CancelFunc

	// opened is closed when the rest of the group is set.
	opened chan struct{}
	link   Link
	// leavePass stops watching the pass of who opened it.
	leavePass func()
	log       *slog.Logger
	err       error

	slots slots

	// mu guards what follows; it is held for a few assignments.
	mu sync.Mutex
	// attached is set when link is, ended when the connection is over: whoever
	// comes second reports the end.
	attached, ended bool
}

// errOtherPrincipal refuses calls on a connection that others use as well.
var errOtherPrincipal = errorOf(sessionapi.NewStatus(ldlmv2.Code_CODE_DENIED,
	"the session of this connection is another principal's; connect for yourself"))

// sessionOf returns the session of a connection, and opens it at the first call. It is
// the session of who made that call, and nobody else's.
func (s *Server) sessionOf(ctx context.Context, c *connection) (*session, error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return nil, errConnectionEnded
	}
	x := c.session
	first := x == nil
	if first {
		x = &session{conn: c, server: s, pass: auth.PassOf(ctx), opened: make(chan struct{})}
		x.ctx, x.cancel = context.WithCancel(context.Background())
		c.session = x
	}
	c.mu.Unlock()
	if first {
		x.open()
	} else if x.pass.Principal().Name != auth.PassOf(ctx).Principal().Name {
		return nil, errOtherPrincipal
	}
	select {
	case <-x.opened:
		return x, x.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// open opens the session. If that fails the next call tries again.
func (x *session) open() {
	defer close(x.opened)
	if x.err = x.attach(); x.err != nil {
		x.cancel()
		x.conn.forget(x)
	}
}

// attach asks the node for a session that ends with its connection.
func (x *session) attach() error {
	open := &lock.Open{
		OnEnd: x.server.onEnd,
		Info:  &lock.Info{Remote: x.conn.remote(), Transport: "v1", Principal: x.pass.Principal().Name},
	}
	// Nobody resumes the session, so nobody needs to know the secret.
	_, _ = rand.Read(open.Secret[:])
	link, o, err := x.server.node.Attach(x.ctx, open)
	if err == nil && o.Code != lock.OK {
		x.server.noteLimit(x.ctx, x.pass, x.conn, &o)
		err = refusal(&o)
	}
	if err != nil {
		return err
	}
	link.Mute()
	x.link, x.log = link, x.server.log.With("session_id", uint64(link.Session()))
	if name := open.Info.Principal; name != "" {
		x.log = x.log.With("principal", name)
	}
	x.log.Info("Session started", "remote_address", x.conn.remote())
	x.server.track(x)
	x.leavePass = x.pass.OnRevoke(x.revoked)
	x.mu.Lock()
	x.attached = true
	ended := x.ended
	x.mu.Unlock()
	if ended {
		x.finish()
	} else {
		link.Notify(x.linkEnded)
	}
	return nil
}

// linkEnded is told by the node. Clients of the first protocol learn of the
// loss of their locks by the end of their connection, and by nothing else. The
// node must not be made to wait, so a goroutine ends it.
func (x *session) linkEnded() {
	if !x.conn.closed.Load() {
		x.server.background(func() { _ = x.conn.Close() })
	}
}

// revoked is told that who opened the session may not come in any more: then its
// connection ends, and with it the session.
func (x *session) revoked() {
	x.log.Warn("The client's token or certificate is good no more; its connection is closed")
	x.server.background(func() { _ = x.conn.Close() })
}

// end reports that the connection has ended. It does not wait.
func (x *session) end() {
	x.cancel()
	x.mu.Lock()
	x.ended = true
	attached := x.attached
	x.mu.Unlock()
	if attached {
		x.finish()
	}
}

// finish tells the node that the connection has ended, unless the server is on
// its way out: its end is not the end of the holders' sessions.
func (x *session) finish() {
	x.server.untrack(x)
	x.leavePass()
	reason := x.link.Reason()
	if !x.server.draining.Load() {
		x.link.Detach(0, x.conn.byPeer.Load())
	}
	if reason != nil {
		x.log.Info("Session ended", "reason", reason)
		return
	}
	x.log.Info("Session ended")
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
	} else {
		x.slots.give(p, how)
	}
	switch {
	case err == nil: // and others may have the slot, if the answer takes a while
		x.server.noteLimit(ctx, x.pass, x.conn, &o)
	case how == unknown:
		// Nothing may be answered on a connection that stays open while it is
		// not known what happened.
		_ = x.conn.Close()
	}
	return o, err
}
