//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/server"
)

// hold is how long a load stays once it is there.
const hold = 5 * time.Second

// trials are all of them. What they ask goes beyond the server's limit, where it has
// one for that.
func trials() []trial {
	limits := func(l server.Limits) setup { return setup{Limits: l} }
	return []trial{
		{
			name: "waiters on one lock", bring: bringWaiters, judge: judgeWaiters, full: 1_000_000, least: 2_000,
			setup: limits(server.Limits{WaitersPerLock: 1_000_000}), small: limits(server.Limits{WaitersPerLock: 2_000}),
		},
		{
			name: "sessions", bring: bringSessions, judge: judgeSessions, full: 100_000, least: 300,
			setup: limits(server.Limits{Sessions: 100_000}), small: limits(server.Limits{Sessions: 300}),
		},
		{
			name: "sessions without end", bring: bringEndlessSessions, judge: judgeSessions, full: 20_000, least: 100,
			setup: limits(server.Limits{Sessions: 20_000}), small: limits(server.Limits{Sessions: 100}),
		},
		{name: "connections", bring: bringConnections, judge: judgeAllTaken, full: 19_900, least: 100},
		{name: "connects a second", bring: bringConnects, judge: judgeAllTaken, full: 50_000, least: 200},
		{name: "slow readers", bring: bringSlowReaders, judge: judgeAllTaken, full: 500, least: 10},
		{name: "half-open connections", bring: bringHalfOpen, judge: judgeAllTaken, full: 5_000, least: 50},
		{
			name: "no file descriptors left", bring: bringTooManyFiles, judge: judgeTooManyFiles, full: 600, least: 200,
			setup: setup{Files: 300}, small: setup{Files: 100},
		},
	}
}

// beyond is how much is asked where n is the limit.
func beyond(n int) int { return n + max(n/10, 1) }

// bringWaiters puts requests into the queue of one lock.
func bringWaiters(ctx context.Context, addr string, n int) (o outcome, err error) {
	const perClient, perFrame = 50_000, 4096
	var clients []*client
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	asked := beyond(n)
	for first := 0; first < asked; first += perClient {
		c, err := dial(ctx, addr, ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE)
		if err != nil {
			return o, err
		}
		clients = append(clients, c)
		c.read()
		if first == 0 { // somebody has to hold it
			if err := c.acquire("hot", perClient, 1, 0); err != nil {
				return o, err
			}
		}
		for slot, left := 0, min(perClient, asked-first); left > 0; slot, left = slot+perFrame, left-perFrame {
			if err := c.acquire("hot", slot, min(perFrame, left), -1); err != nil {
				return o, err
			}
		}
	}
	count := func() int64 {
		o.Reached, o.Refused = 0, 0
		for _, c := range clients {
			o.Reached += c.answered(ldlmv2.Code_CODE_QUEUED)
			o.Refused += c.answered(ldlmv2.Code_CODE_LIMIT)
			if s := c.refusal.Load(); s != nil {
				o.Field, o.Limit = s.GetField(), s.GetLimit()
			}
		}
		return o.Reached + o.Refused
	}
	if err := until(ctx, func() bool { return count() == int64(asked) }); err != nil {
		return o, fmt.Errorf("%w: %d of %d requests were answered", err, count(), asked)
	}
	return o, stay(ctx, n)
}

func judgeWaiters(n int, o *outcome, _ string) error {
	if o.Reached != int64(n) || o.Refused != int64(beyond(n)-n) || o.Field != "waiters_per_lock" || o.Limit != int64(n) {
		return fmt.Errorf("got %+v, want %d that wait, and the rest refused for the limit on waiters_per_lock", *o, n)
	}
	return nil
}

// bringSessions opens sessions that live by calls.
func bringSessions(ctx context.Context, addr string, n int) (o outcome, err error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return o, err
	}
	defer conn.Close()
	stub := ldlmv2.NewLDLMClient(conn)
	var t tally
	if err := t.each(ctx, beyond(n), func() error {
		secret := make([]byte, 16)
		_, _ = rand.Read(secret) // never fails
		_, err := stub.OpenSession(ctx, &ldlmv2.OpenSessionRequest{Secret: secret, TtlUs: (10 * time.Minute).Microseconds()})
		if err == nil {
			return nil
		}
		for _, d := range status.Convert(err).Details() {
			if s, ok := d.(*ldlmv2.Status); ok {
				return &refusedError{s}
			}
		}
		return err
	}); err != nil {
		return o, err
	}
	return t.outcome(), stay(ctx, n)
}

// bringEndlessSessions opens sessions and leaves them behind, far beyond the limit.
func bringEndlessSessions(ctx context.Context, addr string, n int) (o outcome, err error) {
	var t tally
	err = t.each(ctx, 3*n, func() error {
		c, err := dial(ctx, addr, ldlmv2.OnEndOfStream_ON_END_OF_STREAM_KEEP)
		if err == nil {
			c.close()
		}
		return err
	})
	return t.outcome(), err
}

// judgeSessions wants no more sessions than the limit allows beside those of the
// others, and what was refused to name it. Sessions end meanwhile, of old age.
func judgeSessions(n int, o *outcome, _ string) error {
	if o.Reached < int64(n-victims) || o.Refused == 0 || o.Field != "sessions" || o.Limit != int64(n) {
		return fmt.Errorf("got %+v, want %d sessions, and then refusals for the limit on sessions", *o, n-victims)
	}
	return nil
}

// bringConnections opens connections with a session each, and keeps them.
func bringConnections(ctx context.Context, addr string, n int) (o outcome, err error) {
	var t tally
	var mu sync.Mutex
	var open []*client
	err = t.each(ctx, n, func() error {
		c, err := dial(ctx, addr, ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE)
		if err == nil {
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
		}
		return err
	})
	if err == nil {
		err = stay(ctx, n)
	}
	for _, c := range open {
		c.close()
	}
	return t.outcome(), err
}

// bringConnects connects, opens a session and goes, at a steady pace.
func bringConnects(ctx context.Context, addr string, n int) (o outcome, err error) {
	const perSecond = 5_000
	began := time.Now()
	var t tally
	var turn atomic.Int64
	err = t.each(ctx, n, func() error {
		due := began.Add(time.Duration(turn.Add(1)) * time.Second / perSecond)
		<-time.After(time.Until(due))
		c, err := dial(ctx, addr, ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE)
		if err == nil {
			c.close()
		}
		return err
	})
	o = t.outcome()
	o.Note = fmt.Sprintf("%.0f a second", float64(n)/time.Since(began).Seconds())
	return o, err
}

// bringSlowReaders has clients ask, and take no answer, until the server takes no
// question either.
func bringSlowReaders(ctx context.Context, addr string, n int) (o outcome, err error) {
	var t tally
	var frames atomic.Int64
	var all sync.WaitGroup
	err = t.each(ctx, n, func() error {
		c, err := dial(ctx, addr, ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE)
		if err != nil {
			return err
		}
		all.Go(func() {
			defer c.close()
			for slot := 0; c.acquire("slow", 0, 256, 0) == nil && ctx.Err() == nil; slot++ {
				frames.Add(1)
			}
		})
		return nil
	})
	all.Wait()
	o = t.outcome()
	o.Note = fmt.Sprintf("%d questions taken of each before its connection was cut", 256*frames.Load()/int64(max(n, 1)))
	return o, err
}

// bringHalfOpen opens connections that say nothing, or half of what they should.
func bringHalfOpen(ctx context.Context, addr string, n int) (o outcome, err error) {
	var t tally
	var cut, turn atomic.Int64
	var all sync.WaitGroup
	over, end := context.WithCancel(ctx)
	err = t.each(ctx, n, func() error {
		words := []string{"", "LDLM", "LDLM/2\r\n", "PRI * HTTP/2.0\r\n"}[turn.Add(1)%4]
		c, err := connect(ctx, addr)
		if err != nil {
			return err
		}
		_, _ = c.Write([]byte(words)) // it may have been cut already
		all.Go(func() {
			stop := context.AfterFunc(over, func() { _ = c.Close() })
			if _, err := c.Read(make([]byte, 1)); err != nil && stop() {
				cut.Add(1)
				_ = c.Close()
			}
		})
		return nil
	})
	if err == nil {
		err = stay(ctx, n)
	}
	o = t.outcome()
	o.Note = fmt.Sprintf("%d cut within %s", cut.Load(), hold)
	end()
	all.Wait()
	return o, err
}

// judgeAllTaken wants all of it to have been taken.
func judgeAllTaken(n int, o *outcome, _ string) error {
	if o.Reached != int64(n) || o.Refused != 0 {
		return fmt.Errorf("got %+v, want all %d", *o, n)
	}
	return nil
}

// bringTooManyFiles opens more connections than the server has descriptors for, lets
// go of them, and wants to be served again.
func bringTooManyFiles(ctx context.Context, addr string, n int) (o outcome, err error) {
	var open []interface{ Close() error }
	for range n {
		c, err := connect(ctx, addr) // by the kernel: the server need not have accepted it
		if err != nil {
			break // its queue is full as well
		}
		open = append(open, c)
	}
	if err := stay(ctx, n); err != nil {
		return o, err
	}
	for _, c := range open {
		_ = c.Close()
	}
	c, err := dial(ctx, addr, ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE)
	if err != nil {
		return o, fmt.Errorf("when it was over: %w", err)
	}
	c.close()
	return outcome{Reached: int64(len(open)), Note: "served again when they were gone"}, nil
}

func judgeTooManyFiles(_ int, o *outcome, log string) error {
	// Once is right; on a machine that stands still between two attempts it is more.
	const most = 5
	if told := strings.Count(log, "cannot accept"); told == 0 || told > most || !strings.Contains(log, "too many open files") {
		return fmt.Errorf("got %+v, and the server said %d times that it cannot accept connections, want once", *o, told)
	}
	return nil
}

// stay is how long a load stays: not at all where it is small.
func stay(ctx context.Context, n int) error {
	d := hold
	if n <= 2_000 {
		d = 200 * time.Millisecond
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until waits for something that the server does.
func until(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("the server did not get there in 5 minutes"))
	defer cancel()
	for !done() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
