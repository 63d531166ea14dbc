package ldlm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm/internal/clock"
)

// maxSessions bounds the sessions that a client has open at once. One is
// enough for some sixty thousand waiting requests.
const maxSessions = 64

// Client takes locks from the servers of one installation. One client per
// process is enough: it is safe for concurrent use, all its locks share a
// session and a connection, and calls that are made at the same time go out
// together.
//
// A client that cannot reach its server goes on trying for as long as its
// session may live; its locks and places in queues outlive lost connections.
// When the session is lost its locks are too, and the next call opens another.
type Client struct {
	config    config
	addresses []address
	logger    *slog.Logger
	// since is clock.Since; tests of suspended machines replace it.
	since   func(clock.Instant) time.Duration
	remotes remotes
	notices notices

	// tasks are the goroutines of the client; none begins after stopped.
	tasks   sync.WaitGroup
	tasksMu sync.Mutex
	stopped bool

	mu       sync.Mutex // guards what follows; never held while anything blocks
	closed   bool
	sessions []*session // the first one is for everything, others for more waiters
	leader   address    // who leads as far as known; zero if not, or no matter
	members  []address  // where else to try
	proved   []address  // where a session stood
	failures int        // sessions that could not be opened, in a row
}

// Dial returns a client for the servers at addresses, separated by commas: any
// members of one installation, in any order. An address is host, host:port,
// [IPv6]:port or unix:PATH; the default port is 3144.
//
// Dial does not connect: the first call does. Errors are those of addresses and
// options. [Client.Close] frees the client's resources.
func Dial(addresses string, opts ...DialOption) (*Client, error) {
	all, err := parseAddresses(addresses)
	if err != nil {
		return nil, &Error{Op: "dial", kind: ErrInvalid, Field: "addresses", cause: err}
	}
	c := &Client{addresses: all, since: clock.Since}
	c.config.info = thisProcess()
	for _, o := range opts {
		if err := o.applyDial(&c.config); err != nil {
			return nil, &Error{Op: "dial", kind: ErrInvalid, cause: err}
		}
	}
	if err := c.config.check(); err != nil {
		return nil, &Error{Op: "dial", kind: ErrInvalid, cause: err}
	}
	c.logger = c.config.logger
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Close releases everything that is held, gives up everything that waits, and
// frees the client's resources. Calls under way, and later ones, end with
// [ErrClosed]. It waits until the servers have confirmed, at most a few seconds;
// if they do not, the error says so, and locks are free after the session's
// ttl. Closing again does nothing.
func (c *Client) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	sessions := c.sessions
	c.sessions = nil
	c.mu.Unlock()

	var errs []error
	if first {
		errs = closeAll(sessions)
	}
	c.tasksMu.Lock()
	c.stopped = true
	c.tasksMu.Unlock()
	c.tasks.Wait()
	c.remotes.close()
	return errors.Join(errs...)
}

func closeAll(sessions []*session) []error {
	errs := make([]error, len(sessions))
	var closing sync.WaitGroup
	for i, s := range sessions {
		closing.Go(func() { errs[i] = s.shutDown() })
	}
	closing.Wait()
	return errs
}

// spawn runs f in a goroutine that Close waits for. It reports false, and does
// nothing, if the client is at its end.
func (c *Client) spawn(f func()) bool {
	c.tasksMu.Lock()
	defer c.tasksMu.Unlock()
	if c.stopped {
		return false
	}
	c.tasks.Go(f)
	return true
}

// session returns the i-th session once it stands, or has ended. If there is
// none it opens one.
func (c *Client) session(ctx context.Context, i int) (*session, error) {
	c.mu.Lock()
	s, err := c.sessionAt(i)
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case <-s.ready:
		return s, nil
	default:
	}
	select {
	case <-s.ready:
		return s, nil
	case <-ctx.Done():
		return nil, gaveUp(ctx, "", "")
	}
}

// sessionAt returns the i-th session, begun if need be. c.mu is held.
func (c *Client) sessionAt(i int) (*session, error) {
	switch {
	case c.closed:
		return nil, ErrClosed
	case i < len(c.sessions):
		return c.sessions[i], nil
	case i >= maxSessions:
		return nil, &Error{Field: "sessions", Limit: maxSessions, kind: ErrLimit}
	}
	s := newSession(c)
	c.sessions = append(c.sessions, s)
	delay := time.Duration(0)
	if c.failures > 0 {
		delay = backoff(c.failures - 1)
	}
	c.spawn(func() {
		if sleep(s.ctx, delay) == nil {
			s.connect(address{})
		}
	})
	return s, nil
}

func newSession(c *Client) *session {
	s := &session{
		client: c,
		logger: c.logger,
		ready:  make(chan struct{}),
		wake:   make(chan struct{}, 1),
		holds:  map[uint64]*Lock{},
	}
	rand.Read(s.secret[:]) // never fails
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// forget takes a session that is over out of the list.
func (c *Client) forget(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.sessions, s); i >= 0 {
		c.sessions = slices.Delete(c.sessions, i, i+1)
	}
}

func (c *Client) openSessions() []*session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sessions)
}

func (c *Client) noteFailure() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures++
}

func (c *Client) noteSuccess() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = 0
}

// Lock takes a lock, and waits for it until ctx ends or [WaitAtMost] is over.
func (c *Client) Lock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	l := newRequest("lock", name, forever)
	for _, o := range opts {
		o.applyLock(&l.request)
	}
	return c.acquire(ctx, l)
}

// TryLock takes a lock if it is free and nobody waits for it; else the error is
// a [*HeldError] that says who is in the way.
func (c *Client) TryLock(ctx context.Context, name string, opts ...TryOption) (*Lock, error) {
	l := newRequest("try lock", name, 0)
	for _, o := range opts {
		o.applyTry(&l.request)
	}
	return c.acquire(ctx, l)
}

// RLock takes a lock together with others who share it, and waits for it like
// [Client.Lock]. Who comes after somebody who wants it alone waits behind them.
func (c *Client) RLock(ctx context.Context, name string, opts ...SharedOption) (*Lock, error) {
	l := newRequest("shared lock", name, forever)
	l.request.shared = true
	for _, o := range opts {
		o.applyShared(&l.request)
	}
	return c.acquire(ctx, l)
}

// LockAll takes several locks, all or none of them, and waits for them like
// [Client.Lock]. However many programs do so in whatever order, they cannot
// deadlock as long as none of them holds one already. Each name may be there
// once; options hold for each of the locks.
func (c *Client) LockAll(ctx context.Context, names []string, opts ...LockOption) (*Lock, error) {
	l := newRequest("lock all", "", forever)
	l.request.names = slices.Clone(names)
	for _, o := range opts {
		o.applyLock(&l.request)
	}
	return c.acquire(ctx, l)
}

// Do takes a lock, calls f, and releases the lock. The context of f ends if the
// lock is lost; f should then return soon. [TokenFrom] gives it the fencing token.
//
// The error is that of f, unless the lock was not acquired (such as
// [ErrWaitTimeout]; f was not called), or was lost while f ran: then it matches
// [ErrLost], and what f returned as well.
func (c *Client) Do(ctx context.Context, name string, f func(ctx context.Context) error, opts ...LockOption) (err error) {
	l, err := c.Lock(ctx, name, opts...)
	if err != nil {
		return err
	}
	released := false
	defer func() {
		if !released { // f panicked, or ended the goroutine
			_ = c.releaseAfter(ctx, l) // there is nobody to tell
		}
	}()
	err = f(l.Context(ctx))
	lost := l.Err()
	released = true
	if e := c.releaseAfter(ctx, l); lost == nil {
		lost = e
	}
	var loss *LostError
	if !errors.As(lost, &loss) || loss.Reason == ReasonRevoked && err == nil {
		return err
	}
	if err == nil || errors.Is(err, loss) {
		return loss
	}
	return fmt.Errorf("%w: %w", loss, err)
}

// releaseAfter releases a lock after the work under it, and returns an error
// only if the lock was lost during the work.
func (c *Client) releaseAfter(ctx context.Context, l *Lock) error {
	err := l.Release(ctx)
	if err == nil || errors.Is(err, ErrLost) {
		return err
	}
	c.logger.Warn("ldlm: lock not released in order", "lock", shortened(l.Name()), "error", err)
	return nil
}

// Interface is what most programs need of a [Client], for those that want to
// put something else in its place in their tests. The package ldlmtest has a
// real server for that.
type Interface interface {
	Do(ctx context.Context, name string, f func(ctx context.Context) error, opts ...LockOption) error
	Lock(ctx context.Context, name string, opts ...LockOption) (*Lock, error)
	TryLock(ctx context.Context, name string, opts ...TryOption) (*Lock, error)
}

var _ Interface = (*Client)(nil)
