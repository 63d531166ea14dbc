package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/verify/history"
)

// sessionTTL is how long the sessions of native clients live.
const sessionTTL = 3 * time.Second

// doubts counts the warnings of a client: after one a request may have been made more
// than once, in sessions one after the other.
type doubts struct{ count atomic.Uint64 }

func (d *doubts) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (d *doubts) WithAttrs([]slog.Attr) slog.Handler           { return d }
func (d *doubts) WithGroup(string) slog.Handler                { return d }
func (d *doubts) Handle(_ context.Context, r slog.Record) error {
	if !strings.Contains(r.Message, "resuming") && !strings.Contains(r.Message, "jeopardy") {
		d.count.Add(1)
	}
	return nil
}

// nativeWorker has a client of its own, and so a session.
type nativeWorker struct {
	*worker
	client *ldlm.Client
	doubts *doubts
	keeper *keeper
	// queued is called when the present request stands in its queue.
	queued atomic.Pointer[func()]
}

func (w *worker) runNative(ctx context.Context) error {
	n := &nativeWorker{worker: w, doubts: &doubts{}}
	options := []ldlm.DialOption{
		ldlm.WithTTL(sessionTTL), ldlm.WithLogger(slog.New(n.doubts)),
		ldlm.WithHooks(ldlm.Hooks{OnWait: func(ldlm.Wait) {
			if f := n.queued.Load(); f != nil {
				(*f)()
			}
		}}),
	}
	if w.number%4 == 1 {
		options = append(options, ldlm.WithGRPC())
	}
	if w.number%4 == 2 {
		options = append(options, ldlm.WithReleaseOnDisconnect())
	}
	addresses := slices.Concat(w.Natives[w.number%len(w.Natives):], w.Natives[:w.number%len(w.Natives)])
	var err error
	if n.client, err = ldlm.Dial(strings.Join(addresses, ","), options...); err != nil {
		return err
	}
	defer func() { _ = n.client.Close() }() // the servers may be gone
	if n.keeper, err = w.openStore(ctx); err != nil {
		return err
	}
	defer n.keeper.close()
	for w.pause(ctx) == nil {
		if err := n.something(ctx); err != nil {
			return err
		}
	}
	return nil
}

// something does one thing. Errors are those that no fault explains.
func (n *nativeWorker) something(ctx context.Context) error {
	switch w := n.worker; {
	case w.number < 2:
		return n.wait(ctx, wish{lock: fmt.Sprintf("queue/%d", era(3*eraLength)), size: 1}, 20*time.Second, n.between(50*time.Millisecond, 3*time.Second))
	case w.number < 4:
		return n.change(ctx)
	case w.of(15):
		return n.look(ctx)
	case w.of(18):
		it := wish{lock: fmt.Sprintf("shared/%d", era(eraLength)), size: 1, shared: n.of(70)}
		return n.wait(ctx, it, n.between(100*time.Millisecond, 2*time.Second), n.howLong())
	case w.of(30):
		return n.try(ctx, w.anyLock())
	default:
		return n.wait(ctx, w.anyLock(), n.between(100*time.Millisecond, 2*time.Second), n.howLong())
	}
}

// wait asks for a lock, for so long at most, and uses it.
func (n *nativeWorker) wait(ctx context.Context, it wish, patience, long time.Duration) error {
	return n.ask(ctx, it, func() (*ldlm.Lock, error) {
		if it.shared {
			return n.client.RLock(ctx, it.lock, ldlm.WaitAtMost(patience))
		}
		options := []ldlm.LockOption{ldlm.Size(it.size), ldlm.WaitAtMost(patience)}
		if n.of(15) {
			options = append(options, ldlm.Lease(n.between(time.Second, 5*time.Second)))
		}
		return n.client.Lock(ctx, it.lock, options...)
	}, func(id uint64, h *nativeHold) error {
		n.use(ctx, id, h, long, 50*time.Millisecond)
		return nil
	})
}

func (n *nativeWorker) try(ctx context.Context, it wish) error {
	return n.ask(ctx, it, func() (*ldlm.Lock, error) {
		return n.client.TryLock(ctx, it.lock, ldlm.Size(it.size))
	}, func(id uint64, h *nativeHold) error {
		n.use(ctx, id, h, n.howLong(), 50*time.Millisecond)
		return nil
	})
}

// change adds an element to the sets of a lock.
func (n *nativeWorker) change(ctx context.Context) error {
	it := wish{lock: fmt.Sprintf("set/%d/%d", era(3*eraLength), n.number%2), size: 1}
	return n.ask(ctx, it, func() (*ldlm.Lock, error) {
		return n.client.Lock(ctx, it.lock, ldlm.WaitAtMost(5*time.Second))
	}, func(id uint64, h *nativeHold) error {
		at, ok := h.sure()
		if !ok {
			return nil
		}
		n.sure(id, at)
		// Here a process can be stopped for any time, and does not look again.
		if err := n.keeper.update(n.Process, it.lock, h.lock.Token(), id); err != nil {
			return err
		}
		n.use(ctx, id, h, time.Millisecond, time.Millisecond)
		return nil
	})
}

// ask notes what becomes of a request, and has what was granted used.
func (n *nativeWorker) ask(ctx context.Context, it wish, ask func() (*ldlm.Lock, error), use func(uint64, *nativeHold) error) error {
	id := n.begin(n.number, it)
	before := n.doubts.count.Load()
	queued := func() { n.told(id, history.Place, 0) }
	n.queued.Store(&queued)
	l, err := ask()
	n.queued.Store(nil)
	if n.doubts.count.Load() != before {
		n.told(id, history.Ghost, 0)
	}
	switch {
	case err == nil:
		n.told(id, history.Granted, l.Token())
		return use(id, &nativeHold{lock: l})
	case errors.Is(err, ldlm.ErrUnknownOutcome), errors.Is(err, ldlm.ErrUnavailable):
		n.told(id, history.Unknown, 0)
	case errors.Is(err, ldlm.ErrWaitTimeout):
		if held, ok := errors.AsType[*ldlm.HeldError](err); ok && held.Holders == 0 {
			// No server said who was in the way: it was granted, and that had ended
			// before the client heard of it.
			n.told(id, history.Ghost, 0)
		}
		n.told(id, history.None, 0)
	case errors.Is(err, ldlm.ErrHeld):
		n.told(id, history.Refused, 0)
	case ctx.Err() != nil:
		n.told(id, history.Unknown, 0)
	default:
		return fmt.Errorf("%s: %w", it.lock, err)
	}
	return nil
}

// look reads who holds a lock.
func (n *nativeWorker) look(ctx context.Context) error {
	it := n.anyLock()
	asked := monotonic()
	info, err := n.client.Admin().Get(ctx, it.lock)
	if err != nil && !errors.Is(err, ldlm.ErrNotFound) {
		if errors.Is(err, ldlm.ErrUnavailable) || errors.Is(err, ldlm.ErrUnknownOutcome) || ctx.Err() != nil {
			return nil //nolint:nilerr // what was not answered says nothing
		}
		return fmt.Errorf("get %s: %w", it.lock, err)
	}
	var tokens []uint64
	for _, h := range info.Holders {
		tokens = append(tokens, h.Token)
	}
	n.read(n.number, it.lock, asked, tokens)
	return nil
}

// nativeHold is a hold of the native protocol: its client says whether it is there.
type nativeHold struct{ lock *ldlm.Lock }

func (h *nativeHold) sure() (int64, bool) {
	at := monotonic()
	return at, h.lock.Err() == nil
}

func (h *nativeHold) release() bool { return h.lock.Release(context.Background()) == nil }
