// Package redis takes locks from a Redis server as programs do that use one for
// it: SET NX with a time to live takes a lock, and a script that compares and
// deletes releases it. It makes connections that the load generator drives.
package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/ldlm-io/ldlm/internal/load"
)

// ttl is how long a lock outlives its holder.
const ttl = time.Minute

// release deletes a lock if its value is still that of the holder.
const release = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end`

// token is what a holder writes into its lock.
func token() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func held(name string) error { return fmt.Errorf("lock %q is held, and nobody waits here", name) }

func notHeld(name string) error { return fmt.Errorf("lock %q was not held any more", name) }

// Pool makes a client of go-redis, which has a pool of so many connections and
// uses one for each call.
func Pool(address string, connections int) load.Conn {
	client := goredis.NewClient(&goredis.Options{
		Addr: address, PoolSize: connections, ContextTimeoutEnabled: true,
	})
	return &pool{client, goredis.NewScript(release)}
}

type pool struct {
	client  *goredis.Client
	release *goredis.Script
}

func (p *pool) Close() error { return p.client.Close() }

func (p *pool) Lock(ctx context.Context, name string) (load.Hold, error) {
	t := token()
	ok, err := p.client.SetNX(ctx, name, t, ttl).Result()
	if err == nil && !ok {
		err = held(name)
	}
	if err != nil {
		return nil, err
	}
	return &poolHold{p, name, t}, nil
}

type poolHold struct {
	pool        *pool
	name, token string
}

func (h *poolHold) Release(ctx context.Context) error {
	n, err := h.pool.release.Run(ctx, h.pool.client, []string{h.name}, h.token).Int()
	if err == nil && n != 1 {
		err = notHeld(h.name)
	}
	return err
}

// Pipelined makes a client of rueidis, which sends what many workers ask for at
// the same time over a few connections, without waiting for each answer.
func Pipelined(address string) (load.Conn, error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{address}, DisableCache: true, ForceSingleClient: true,
	})
	if err != nil {
		return nil, err
	}
	return &pipelined{client, rueidis.NewLuaScript(release)}, nil
}

type pipelined struct {
	client  rueidis.Client
	release *rueidis.Lua
}

func (p *pipelined) Close() error {
	p.client.Close()
	return nil
}

func (p *pipelined) Lock(ctx context.Context, name string) (load.Hold, error) {
	t := token()
	err := p.client.Do(ctx, p.client.B().Set().Key(name).Value(t).Nx().Px(ttl).Build()).Error()
	if rueidis.IsRedisNil(err) {
		err = held(name)
	}
	if err != nil {
		return nil, err
	}
	return &pipelinedHold{p, name, t}, nil
}

type pipelinedHold struct {
	conn        *pipelined
	name, token string
}

func (h *pipelinedHold) Release(ctx context.Context) error {
	n, err := h.conn.release.Exec(ctx, h.conn.client, []string{h.name}, []string{h.token}).AsInt64()
	if err == nil && n != 1 {
		err = notHeld(h.name)
	}
	return err
}
