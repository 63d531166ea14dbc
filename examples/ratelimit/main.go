// Command ratelimit keeps to two calls in two seconds, however many processes
// make them. A lock of size n with a lease, never released and never renewed,
// gives back each of its n permits when the lease is over. On the client's side
// a call waits for a permit; on the server's side a handler tries, and answers
// 429 if there is none.
//
// This file is what a program needs of it, with package ldlm and with package
// client; proof.go starts the processes and measures.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/client"
)

// The rate: so many calls in any stretch of so many seconds.
const (
	calls   = 2
	seconds = 2
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ratelimit:", err)
		os.Exit(1)
	}
}

// A limiter lets calls through at a rate that all who use its lock share.
type limiter interface {
	// wait waits until a call may be made.
	wait(ctx context.Context) error
	// try reports whether a call may be made now.
	try(ctx context.Context) (bool, error)
}

// modern is a limiter in the terms of package ldlm.
type modern struct {
	client *ldlm.Client
	name   string
}

func (m modern) wait(ctx context.Context) error {
	_, err := m.client.Lock(ctx, m.name, ldlm.Size(calls), ldlm.Lease(seconds*time.Second), ldlm.NoRenewal())
	return err
}

func (m modern) try(ctx context.Context) (bool, error) {
	_, err := m.client.TryLock(ctx, m.name, ldlm.Size(calls), ldlm.Lease(seconds*time.Second), ldlm.NoRenewal())
	if errors.Is(err, ldlm.ErrHeld) {
		return false, nil
	}
	return err == nil, err
}

// classic is a limiter in the terms of package client, whose Config must have
// NoAutoRefresh set.
type classic struct {
	client *client.Client
	name   string
}

func (c classic) wait(context.Context) error {
	_, err := c.client.Lock(c.name, &client.LockOptions{Size: calls, LockTimeoutSeconds: seconds})
	return err
}

func (c classic) try(context.Context) (bool, error) {
	lock, err := c.client.TryLock(c.name, &client.LockOptions{Size: calls, LockTimeoutSeconds: seconds})
	if err != nil {
		return false, err
	}
	return lock.Locked, nil
}

// A limitedTransport makes calls of HTTP as quickly as its limiter lets it.
type limitedTransport struct {
	limiter limiter
	next    http.RoundTripper
}

// RoundTrip waits for a permit, then makes the call.
func (t limitedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.limiter.wait(r.Context()); err != nil {
		return nil, err
	}
	return t.next.RoundTrip(r)
}

// limited is a handler that refuses calls beyond the rate.
func limited(l limiter, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowed, err := l.try(r.Context())
		switch {
		case err != nil:
			http.Error(w, "the rate cannot be looked up", http.StatusServiceUnavailable)
		case !allowed:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests", http.StatusTooManyRequests)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
