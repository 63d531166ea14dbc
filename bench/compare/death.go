package compare

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm"
)

// waitingSessions share the waiters of a killed client's locks.
const waitingSessions = 4

// frozenTTL is that of a session whose client is frozen: the least that a server grants.
const frozenTTL = 2 * time.Second

// killed measures how long it takes until all locks of a killed client are
// granted to others, who have waited for one each.
func killed() contender {
	return contender{name: nameLDLM, measure: func(ctx context.Context, l *lab) (_ figures, err error) {
		server, err := l.startLDLM(ctx)
		if err != nil {
			return nil, err
		}
		defer server.kill()
		holder, err := l.startHolder(ctx, Holder{Address: server.address, Close: true, Prefix: namePrefix, Locks: l.sizes.Locks})
		if err != nil {
			return nil, err
		}
		defer holder.kill()
		w, err := newWaiters(server.address, l.sizes.Locks)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, w.close()) }()
		if err := w.line(ctx); err != nil {
			return nil, err
		}
		before, err := server.time()
		if err != nil {
			return nil, err
		}
		began := time.Now()
		holder.kill()
		if err := w.granted(ctx); err != nil {
			return nil, err
		}
		took := time.Since(began)
		after, err := server.time()
		return figures{seconds: took.Seconds(), serverSeconds: (after - before).Seconds()}, err
	}}
}

// waiters wait for a lock each, in several sessions.
type waiters struct {
	locks   int
	clients []*ldlm.Client
	waiting chan struct{} // gets one for each that waits
	done    chan error    // gets one for each that has its lock
	tasks   sync.WaitGroup
	cancel  context.CancelFunc
}

func newWaiters(address string, locks int) (*waiters, error) {
	w := &waiters{locks: locks, waiting: make(chan struct{}, locks), done: make(chan error, locks), cancel: func() {}}
	hooks := ldlm.Hooks{OnWait: func(ldlm.Wait) { w.waiting <- struct{}{} }}
	for range waitingSessions {
		c, err := ldlm.Dial(address, ldlm.WithHooks(hooks))
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.clients = append(w.clients, c)
	}
	return w, nil
}

// line has everybody ask, and returns when all wait.
func (w *waiters) line(ctx context.Context) error {
	ctx, w.cancel = context.WithCancel(ctx)
	for i := range w.locks {
		c := w.clients[i%len(w.clients)]
		w.tasks.Go(func() {
			_, err := c.Lock(ctx, fmt.Sprintf("%s%08d", namePrefix, i))
			w.done <- err
		})
	}
	for range w.locks {
		select {
		case <-w.waiting:
		case err := <-w.done:
			if err == nil {
				err = errors.New("a lock was free that was to be held")
			}
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// granted returns when all have their locks.
func (w *waiters) granted(ctx context.Context) error {
	for range w.locks {
		select {
		case err := <-w.done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (w *waiters) close() error {
	w.cancel()
	w.tasks.Wait()
	var all error
	for _, c := range w.clients {
		all = errors.Join(all, c.Close())
	}
	return all
}

// passesOn measures how long it takes until the lock of a client that something
// happens to is somebody else's, several times, of which the longest counts.
func passesOn(name string, h Holder, times func(Sizes) int, happen func(*process) error, unit time.Duration, m metric) contender {
	return contender{name: name, measure: func(ctx context.Context, l *lab) (figures, error) {
		server, err := l.startLDLM(ctx)
		if err != nil {
			return nil, err
		}
		defer server.kill()
		longest := time.Duration(0)
		for i := range times(l.sizes) {
			h := h
			h.Address, h.Prefix, h.Locks = server.address, fmt.Sprintf("%d/", i), 1
			took, err := passOn(ctx, l, h, happen)
			if err != nil {
				return nil, err
			}
			longest = max(longest, took)
		}
		return figures{m: float64(longest) / float64(unit)}, nil
	}}
}

func passOn(ctx context.Context, l *lab, h Holder, happen func(*process) error) (time.Duration, error) {
	holder, err := l.startHolder(ctx, h)
	if err != nil {
		return 0, err
	}
	defer holder.kill()
	next := Holder{Address: h.Address, V1: h.V1}
	conn, err := next.dial()
	if err != nil {
		return 0, err
	}
	defer conn.Close() //nolint:errcheck // it was there to wait
	name := h.Prefix + "00000000"
	got := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	var waiter sync.WaitGroup
	defer func() {
		cancel()
		waiter.Wait()
	}()
	var at time.Time
	waiter.Go(func() {
		_, err := conn.Lock(ctx, name)
		at = time.Now()
		got <- err
	})
	if err := inLine(ctx, h.Address, name, got); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := happen(holder); err != nil {
		return 0, err
	}
	if err := <-got; err != nil {
		return 0, err
	}
	return at.Sub(began), nil
}

// inLine returns once somebody waits for a lock.
func inLine(ctx context.Context, address, name string, got <-chan error) error {
	c, err := ldlm.Dial(address)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // it only looked
	const pause = 5 * time.Millisecond
	for {
		info, err := c.Admin().Get(ctx, name)
		if err != nil || info.WaiterCount > 0 {
			return err
		}
		select {
		case <-time.After(pause):
		case err := <-got:
			if err == nil {
				err = fmt.Errorf("%q was free, though it was to be held", name)
			}
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func killIt(p *process) error {
	p.kill()
	return nil
}

func freezeIt(p *process) error { return freeze(p.cmd.Process) }
