// Package etcd takes locks from a cluster of etcd as programs do that use one for
// it: with the mutexes of its own client, which live by a session. It makes
// connections that the load generator drives, and finds out who leads.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/ldlm-io/ldlm/internal/load"
)

// ttlSeconds is how long a session outlives its client; what the client has if
// nobody says anything.
const ttlSeconds = 60

// dialWithin bounds how long a member is waited for.
const dialWithin = 5 * time.Second

func connect(endpoints ...string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: dialWithin, Logger: zap.NewNop()})
}

// Dial makes a client with a session, and so a connection for the load generator.
func Dial(ctx context.Context, endpoints ...string) (load.Conn, error) {
	client, err := connect(endpoints...)
	if err != nil {
		return nil, err
	}
	// The session outlives the dialling, whose end ctx may be.
	lease, err := client.Grant(ctx, ttlSeconds)
	if err == nil {
		var session *concurrency.Session
		if session, err = concurrency.NewSession(client, concurrency.WithLease(lease.ID)); err == nil {
			return &conn{client, session}, nil
		}
	}
	return nil, errors.Join(err, client.Close())
}

type conn struct {
	client  *clientv3.Client
	session *concurrency.Session
}

// Lock takes a lock. The workers of a session must ask for different locks.
func (c *conn) Lock(ctx context.Context, name string) (load.Hold, error) {
	m := concurrency.NewMutex(c.session, name)
	if err := m.Lock(ctx); err != nil {
		return nil, fmt.Errorf("lock %q: %w", name, err)
	}
	return hold{m}, nil
}

// Close ends the session and the client.
func (c *conn) Close() error {
	return errors.Join(c.session.Close(), c.client.Close())
}

type hold struct{ mutex *concurrency.Mutex }

func (h hold) Release(ctx context.Context) error { return h.mutex.Unlock(ctx) }

// Leader returns which of all members' endpoints is that of the one that leads. It is
// an error if they do not agree on it.
func Leader(ctx context.Context, endpoints []string) (_ string, err error) {
	client, err := connect(endpoints...)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	leader, at := uint64(0), ""
	for i, e := range endpoints {
		s, err := status(ctx, client, e)
		if err != nil {
			return "", err
		}
		if i > 0 && s.Leader != leader {
			return "", fmt.Errorf("not all of %q agree on who leads", endpoints)
		}
		if leader = s.Leader; leader != 0 && leader == s.Header.GetMemberId() {
			at = e
		}
	}
	if at == "" {
		return "", fmt.Errorf("none of %q leads", endpoints)
	}
	return at, nil
}

func status(ctx context.Context, client *clientv3.Client, endpoint string) (*clientv3.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	return client.Status(ctx, endpoint)
}
