package compare

import (
	"context"
	"errors"
	"fmt"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/bench/baton"
	"github.com/ldlm-io/ldlm/bench/echo"
	"github.com/ldlm-io/ldlm/bench/redis"
	"github.com/ldlm-io/ldlm/internal/load"
)

// Names of contenders.
const (
	nameLDLM      = "LDLM"
	nameGRPC      = "LDLM over gRPC"
	nameV1        = "LDLM, first protocol"
	nameRedis     = "Redis"
	namePipelined = "Redis, pipelining client"
	nameDurable   = "LDLM, data directory"
	nameAlways    = "Redis, appendfsync always"
	nameThree     = "LDLM, three members"
	nameEtcd      = "etcd, three members"
	nameBaton     = "a bare baton"
	nameDisk      = "bare write and fsync"
)

// A system is something that takes locks, or passes for it, and how to talk to it.
type system struct {
	name  string
	redis bool
	start func(ctx context.Context, l *lab) (*server, error)
	// dial makes a connection, which workers share.
	dial func(ctx context.Context, address string, workers int) (load.Conn, error)
}

func ldlmSystem(name string, dial func(address string) (load.Conn, error)) system {
	return system{
		name:  name,
		start: func(ctx context.Context, l *lab) (*server, error) { return l.startLDLM(ctx) },
		dial:  func(_ context.Context, address string, _ int) (load.Conn, error) { return dial(address) },
	}
}

func plain() system {
	return ldlmSystem(nameLDLM, func(a string) (load.Conn, error) { return dialLDLM(a) })
}

func overGRPC() system {
	return ldlmSystem(nameGRPC, func(a string) (load.Conn, error) { return dialLDLM(a, ldlm.WithGRPC()) })
}

func firstProtocol() system {
	return ldlmSystem(nameV1, func(a string) (load.Conn, error) { return load.V1(a, nil, "") })
}

func redisSystem(name string, dial func(address string, workers int) (load.Conn, error)) system {
	return system{
		name: name, redis: true,
		start: func(ctx context.Context, l *lab) (*server, error) { return l.startRedis(ctx) },
		dial:  func(_ context.Context, address string, workers int) (load.Conn, error) { return dial(address, workers) },
	}
}

// pooled is Redis with a client whose pool has a connection for each worker.
func pooled() system {
	return redisSystem(nameRedis, func(a string, workers int) (load.Conn, error) { return redis.Pool(a, workers), nil })
}

func pipelining() system {
	return redisSystem(namePipelined, func(a string, _ int) (load.Conn, error) { return redis.Pipelined(a) })
}

// durable is the server with a data directory: what it has answered is on the disk.
func durable() system {
	s := plain()
	s.name = nameDurable
	s.start = func(ctx context.Context, l *lab) (*server, error) {
		dir, err := l.newDir()
		if err != nil {
			return nil, err
		}
		return l.startLDLM(ctx, "--data_dir", dir)
	}
	return s
}

// always is Redis with an append-only file that is on the disk before it answers.
func always() system {
	s := pooled()
	s.name = nameAlways
	s.start = func(ctx context.Context, l *lab) (*server, error) {
		return l.startRedis(ctx, "--appendonly", "yes", "--appendfsync", "always")
	}
	return s
}

// bare is an echo over a carrier.
func bare(c echo.Carrier) system {
	return system{
		name:  echoName(c),
		start: func(ctx context.Context, l *lab) (*server, error) { return l.startEcho(ctx, c) },
		dial:  func(ctx context.Context, a string, _ int) (load.Conn, error) { return echo.Dial(ctx, c, a) },
	}
}

// bareBaton is the least that a lock with waiters can be, on a connection that is shared
// or one for each.
func bareBaton(shared bool) system {
	return system{
		name:  nameBaton,
		start: func(ctx context.Context, l *lab) (*server, error) { return l.startBaton(ctx) },
		dial: func(ctx context.Context, a string, _ int) (load.Conn, error) {
			return baton.Dial(ctx, a, shared)
		},
	}
}

func echoName(c echo.Carrier) string {
	switch c {
	case echo.Unary:
		return "bare gRPC calls"
	case echo.Stream:
		return "bare gRPC streams"
	case echo.Pipelined:
		return "bare gRPC stream"
	case echo.TCP:
		return "bare TCP messages"
	case echo.Frames:
		return "bare TCP frames"
	default:
		return string(c)
	}
}

// A job is work for the load generator.
type job struct {
	workload load.Workload
	workers  int
	each     bool // a connection for each worker instead of one for all
	held     bool // whether as many locks as there are to be are held meanwhile
}

// contender has a system do a job, on a server of its own.
func (s system) contender(j job) contender {
	return contender{name: s.name, redis: s.redis, measure: func(ctx context.Context, l *lab) (figures, error) {
		server, err := s.start(ctx, l)
		if err != nil {
			return nil, err
		}
		defer server.kill()
		result, err := load.Run(ctx, s.config(l, server, j))
		return figuresOf(ctx, server, result, err)
	}}
}

// figuresOf are those of a run with a server.
func figuresOf(ctx context.Context, s *server, result load.Result, err error) (figures, error) {
	if err == nil && result.Interrupted {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w; the server says: %s", err, s.out.tail())
	}
	if result.Pairs == 0 || result.Server == nil {
		return nil, errors.New("no pair was done while the clock ran: the duration is too short")
	}
	return figures{
		pairsPerSecond: result.PairsPerSecond, serverMicros: result.Server.CPUMicrosPerPair,
		halfMicros: result.Latency.P50, p99Micros: result.Latency.P99, mostToLeast: result.Fairness(),
	}, nil
}

func (s system) config(l *lab, server *server, j job) load.Config {
	c := load.Config{
		Dial:     func(ctx context.Context) (load.Conn, error) { return s.dial(ctx, server.address, j.workers) },
		Workload: j.workload, Workers: j.workers, Connections: 1, Prefix: "bench/",
		WarmUp: l.sizes.WarmUp, Duration: l.sizes.Duration, Pairs: l.sizes.Pairs, ServerTime: server.time,
	}
	if j.each {
		c.Connections = j.workers
	}
	if j.held {
		c.Workload, c.HeldLocks = load.Held, l.sizes.Locks
	}
	return c
}
