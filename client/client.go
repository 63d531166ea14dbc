package client

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/ldlm-io/ldlm"
)

// retryAfter is the pause before a call is repeated that could not reach a server.
const retryAfter = 3 * time.Second

// Closer is something that can be closed.
type Closer interface {
	Close() error
}

var _ Closer = (*Client)(nil)

// Client takes locks from a server. It is safe for concurrent use.
type Client struct {
	ctx    context.Context
	config Config
	modern *ldlm.Client
}

// New returns a client for the server at conf.Address. The end of ctx aborts
// calls under way and makes later ones fail, but not Unlock and Close, so that
// locks can be given back. The dial options are those of the client's gRPC
// connection and win over what conf says.
//
// New does not connect: the first call does, and fails if there is no server,
// or none of this project. Errors are those of conf.
func New(ctx context.Context, conf Config, opts ...grpc.DialOption) (*Client, error) {
	if conf.Address == "" {
		return nil, errNeedsAddress
	}
	options, err := conf.options(opts)
	if err != nil {
		return nil, err
	}
	modern, err := ldlm.Dial(conf.Address, options...)
	if err != nil {
		return nil, err
	}
	return &Client{ctx: ctx, config: conf, modern: modern}, nil
}

// Modern returns the client of package ldlm beneath this one: both share a
// session. Closing either closes both.
func (c *Client) Modern() *ldlm.Client { return c.modern }

// Close ends the connection; all locks are released. Closing again does nothing.
func (c *Client) Close() error { return c.modern.Close() }

// LockOptions say how a lock is taken. A nil *LockOptions is the zero value.
type LockOptions struct {
	// WaitTimeoutSeconds bounds the wait; 0 waits for ever.
	WaitTimeoutSeconds int32
	// LockTimeoutSeconds ends the lock so long after it was last renewed; 0 never does.
	LockTimeoutSeconds int32
	// Size says how many may hold the lock at once; 0 means 1.
	Size int32
}

// check refuses what version 1 refused, in its order and words.
func (o *LockOptions) check(name string) error {
	switch {
	case o.LockTimeoutSeconds < 0:
		return errLockTimeout
	case o.WaitTimeoutSeconds < 0:
		return errWaitTimeout
	case name == "":
		return errEmptyName
	case o.Size < 0:
		return ErrInvalidLockSize
	}
	return nil
}

// Lock waits for a lock. If WaitTimeoutSeconds is over before it is free, the
// error is ErrLockWaitTimeout and the returned Lock is there, but not locked.
func (c *Client) Lock(name string, o *LockOptions) (*Lock, error) {
	var opts LockOptions
	if o != nil {
		opts = *o
	}
	if err := opts.check(name); err != nil {
		return nil, err
	}
	options := []ldlm.LockOption{ldlm.Size(int(max(opts.Size, 1)))}
	for _, h := range c.holdOptions(&opts) {
		options = append(options, h)
	}
	if opts.WaitTimeoutSeconds > 0 {
		options = append(options, ldlm.WaitAtMost(seconds(opts.WaitTimeoutSeconds)))
	}
	l, err := retry(c, func() (*ldlm.Lock, error) { return c.modern.Lock(c.ctx, name, options...) })
	if err != nil {
		if err = classic(err); errors.Is(err, ErrLockWaitTimeout) {
			return c.notLocked(name), err
		}
		return nil, err
	}
	return c.locked(name, l), nil
}

// TryLock takes a lock if it is free and nobody waits for it. If not, the
// returned Lock is not locked, and the error is nil.
func (c *Client) TryLock(name string, o *LockOptions) (*Lock, error) {
	var opts LockOptions
	if o != nil {
		opts = *o
	}
	if opts.WaitTimeoutSeconds != 0 {
		return nil, errWaitOnTry
	}
	if err := opts.check(name); err != nil {
		return nil, err
	}
	options := []ldlm.TryOption{ldlm.Size(int(max(opts.Size, 1)))}
	for _, h := range c.holdOptions(&opts) {
		options = append(options, h)
	}
	l, err := retry(c, func() (*ldlm.Lock, error) { return c.modern.TryLock(c.ctx, name, options...) })
	switch {
	case errors.Is(err, ldlm.ErrHeld):
		return c.notLocked(name), nil
	case err != nil:
		return nil, classic(err)
	}
	return c.locked(name, l), nil
}

func (c *Client) holdOptions(o *LockOptions) []ldlm.HoldOption {
	if o.LockTimeoutSeconds == 0 {
		return nil
	}
	opts := []ldlm.HoldOption{ldlm.Lease(seconds(o.LockTimeoutSeconds))}
	if !c.config.autoRefresh() {
		opts = append(opts, ldlm.NoRenewal())
	}
	return opts
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

// Unlock releases the lock that was granted with this key, whoever took it. It
// reports whether it did.
func (c *Client) Unlock(name string, key string) (bool, error) {
	// A lock is given back even though the client's context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), unlockPatience)
	defer cancel()
	_, err := retry(c, func() (struct{}, error) { return struct{}{}, c.modern.ReleaseKey(ctx, name, key) })
	if err != nil {
		return false, classicRelease(err)
	}
	return true, nil
}

// unlockPatience bounds how long an unlock by key waits for the server.
const unlockPatience = 30 * time.Second

// RefreshLock starts the timeout of a lock anew. It is for programs that
// switched the automatic renewal off; calling it beside that does no harm.
func (c *Client) RefreshLock(name string, key string, lockTimeoutSeconds int32) (*Lock, error) {
	if lockTimeoutSeconds <= 0 {
		return nil, errLockTimeout
	}
	_, err := retry(c, func() (struct{}, error) {
		return struct{}{}, c.modern.RenewKey(c.ctx, name, key, seconds(lockTimeoutSeconds))
	})
	if err != nil {
		return nil, classicRenewal(err)
	}
	return &Lock{Name: name, Key: key, Locked: true, client: c}, nil
}

// retry repeats a call that could not reach a server as often as the
// configuration says. What was asked has certainly not happened then.
func retry[T any](c *Client, call func() (T, error)) (T, error) {
	for i := 0; ; i++ {
		v, err := call()
		if err == nil || i >= c.config.MaxRetries || !errors.Is(err, ldlm.ErrUnavailable) {
			return v, err
		}
		t := time.NewTimer(retryAfter)
		select {
		case <-t.C:
		case <-c.ctx.Done():
			t.Stop()
			return v, err
		}
	}
}

// lost tells of a lock that ended against the program's will.
func (c *Client) lost(l *Lock, err error) {
	logger := c.config.Logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.Warn("lock lost", "lock", l.Name[:min(len(l.Name), 64)], "error", err)
	if c.config.OnLockLost != nil {
		c.config.OnLockLost(l, err)
	}
	if c.config.PanicOnLockLost {
		panic("error refreshing lock: " + err.Error())
	}
}
