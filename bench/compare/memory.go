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
		grown, err := s.growth(ctx, l, 1, func(conns []load.Conn) error {
			return load.Take(ctx, conns[0], namePrefix, l.sizes.Locks)
		})
		return figures{bytesPerLock: grown / float64(l.sizes.Locks)}, err
	}}
}

// connectionMemory measures by how much the memory of a server grows for each
// connection, which has taken and released a lock.
func (s system) connectionMemory() contender {
	return contender{name: s.name, redis: s.redis, measure: func(ctx context.Context, l *lab) (figures, error) {
		const kilobyte = 1000
		grown, err := s.growth(ctx, l, l.sizes.Conns, func(conns []load.Conn) error {
			for _, conn := range conns {
				if err := pair(ctx, conn, "pair"); err != nil {
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

// growth starts a server, and returns by how many bytes do makes its memory grow.
// do gets so many connections, of which the server has seen one before.
func (s system) growth(ctx context.Context, l *lab, conns int, do func([]load.Conn) error) (grown float64, err error) {
	server, err := s.start(ctx, l)
	if err != nil {
		return 0, err
	}
	defer server.kill()
	all := make([]load.Conn, 0, conns)
	defer func() { err = errors.Join(err, closeAll(all)) }()
	for range conns {
		conn, err := s.dial(ctx, server.address, 1)
		if err != nil {
			return 0, err
		}
		all = append(all, conn)
	}
	if err := pair(ctx, all[0], "pair"); err != nil {
		return 0, err
	}
	before, err := proc.PSS(server.pid())
	if err == nil {
		err = do(all)
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
