package compare

import (
	"context"
	"errors"

	"github.com/ldlm-io/ldlm/internal/load"
	"github.com/ldlm-io/ldlm/internal/proc"
)

// namePrefix makes names of 16 bytes with the eight digits that load.Take adds.
const namePrefix = "invoice/"

// lockMemory measures by how much the memory of a server grows for each lock that
// one connection holds. Nothing asks the server to tidy up before.
func (s system) lockMemory() contender {
	return contender{name: s.name, redis: s.redis, measure: func(ctx context.Context, l *lab) (figures, error) {
		grown, err := s.growth(ctx, l, func(first load.Conn, _ dialer) error {
			return load.Take(ctx, first, namePrefix, l.sizes.Locks)
		})
		return figures{bytesPerLock: grown / float64(l.sizes.Locks)}, err
	}}
}

// connectionMemory measures by how much the memory of a server grows for each
// connection, which has taken and released a lock.
func (s system) connectionMemory() contender {
	return contender{name: s.name, redis: s.redis, measure: func(ctx context.Context, l *lab) (figures, error) {
		const kilobyte = 1000
		grown, err := s.growth(ctx, l, func(_ load.Conn, dial dialer) error {
			for range l.sizes.Conns {
				if _, err := dial(); err != nil {
					return err
				}
			}
			return nil
		})
		return figures{kbPerConnection: grown / float64(l.sizes.Conns) / kilobyte}, err
	}}
}

// pair takes a lock and gives it back.
func pair(ctx context.Context, c load.Conn, name string) error {
	h, err := c.Lock(ctx, name)
	if err != nil {
		return err
	}
	return h.Release(ctx)
}

// dialer makes a connection that has taken a lock and given it back.
type dialer func() (load.Conn, error)

// growth starts a server, and returns by how many bytes do makes its memory grow. do
// gets a connection that has had a lock before, and makes others as it needs them.
func (s system) growth(ctx context.Context, l *lab, do func(first load.Conn, dial dialer) error) (grown float64, err error) {
	server, err := s.start(ctx, l)
	if err != nil {
		return 0, err
	}
	defer server.kill()
	var all []load.Conn
	defer func() { err = errors.Join(err, closeAll(all)) }()
	dial := func() (load.Conn, error) {
		conn, err := s.dial(ctx, server.address, 1)
		if err != nil {
			return nil, err
		}
		all = append(all, conn)
		return conn, pair(ctx, conn, "pair")
	}
	first, err := dial()
	if err != nil {
		return 0, err
	}
	before, err := proc.PSS(server.pid())
	if err == nil {
		err = do(first, dial)
	}
	if err != nil {
		return 0, err
	}
	after, err := proc.PSS(server.pid())
	return float64(after - before), err
}

func closeAll(conns []load.Conn) error {
	errs := make(chan error)
	for _, conn := range conns {
		go func() { errs <- conn.Close() }()
	}
	var all error
	for range conns {
		all = errors.Join(all, <-errs)
	}
	return all
}
