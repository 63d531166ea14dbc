package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Run does a run and returns what was measured. The end of ctx ends it early and
// is no error: the result says so. If a worker fails all others stop, and the
// result is what was measured before. All connections are closed when it returns.
func Run(ctx context.Context, c Config) (result Result, err error) {
	if err := c.Check(); err != nil {
		return Result{}, err
	}
	if c.Connections == 0 {
		c.Connections = c.Workers
	}
	if c.Every <= 0 {
		c.Every = time.Second
	}
	r := &run{config: c, warm: make(chan struct{})}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.open(ctx); err != nil {
		return r.result(ctx), unlessEnded(ctx, err)
	}
	if c.Workload == Held {
		if err := r.hold(ctx); err != nil {
			return r.result(ctx), unlessEnded(ctx, err)
		}
	}
	err = r.work(ctx)
	return r.result(ctx), unlessEnded(ctx, err)
}

// unlessEnded is err, unless it is what the end of ctx makes of a call.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the result says that ctx has ended
	}
	return err
}

// The phases that workers know.
const (
	warming int32 = iota
	measuring
	over
)

// A run is the state of Run. What has no other owner belongs to its goroutine.
type run struct {
	config  Config
	conns   []Conn
	workers []*worker

	phase atomic.Int32
	left  atomic.Int64  // pairs to do, if they are bounded
	cold  atomic.Int64  // workers that have not done a pair yet
	warm  chan struct{} // closed when there are none any more

	from, to         time.Time     // while this was measured
	usedFrom, usedTo time.Duration // of the server, then
}

// A worker takes and releases a lock, again and again.
type worker struct {
	conn    Conn
	name    string
	latency histogram    // of what was measured; the worker's goroutine's until that ends
	pairs   atomic.Int64 // done so far, warm-up included; progress reads it
}

func (r *run) open(ctx context.Context) error {
	for range r.config.Connections {
		conn, err := r.config.Dial(ctx)
		if err != nil {
			return err
		}
		r.conns = append(r.conns, conn)
	}
	return nil
}

// close closes all connections at the same time: each may have much to release.
func (r *run) close() error {
	errs := make([]error, len(r.conns))
	var closing sync.WaitGroup
	for i, conn := range r.conns {
		closing.Go(func() { errs[i] = conn.Close() })
	}
	closing.Wait()
	return errors.Join(errs...)
}

// hold takes the locks that are held meanwhile.
func (r *run) hold(ctx context.Context) error {
	var taken atomic.Int64
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed = take(ctx, r.conns[0], r.config.Prefix+"held/", r.config.HeldLocks, &taken)
	}()
	r.attend(ctx, Progress{Phase: Holding}, nil, done, taken.Load)
	<-done
	if failed != nil {
		return fmt.Errorf("holding %d locks: %w", r.config.HeldLocks, failed)
	}
	return nil
}

// Take takes n locks on a connection, many at a time. Their names are prefix and
// eight digits, counted from 0. They are free when the connection is closed.
func Take(ctx context.Context, conn Conn, prefix string, n int) error {
	return take(ctx, conn, prefix, n, new(atomic.Int64))
}

// take counts in taken what it has.
func take(ctx context.Context, conn Conn, prefix string, n int, taken *atomic.Int64) error {
	const takers = 256 // at a time
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var taking sync.WaitGroup
	for range min(takers, n) {
		taking.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				if _, err := conn.Lock(ctx, fmt.Sprintf("%s%08d", prefix, i)); err != nil {
					cancel(err)
					return
				}
				taken.Add(1)
			}
		})
	}
	taking.Wait()
	return context.Cause(ctx)
}

// work has the workers work, and measures what they do.
func (r *run) work(ctx context.Context) error {
	r.left.Store(r.config.Pairs)
	r.cold.Store(int64(r.config.Workers))
	r.employ()
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed = r.workAll(ctx)
	}()
	if r.config.WarmUp > 0 {
		r.attend(ctx, Progress{Phase: WarmingUp, Of: r.config.WarmUp}, r.warm, done, r.done)
	}
	err := r.mark(&r.from, &r.usedFrom)
	if err == nil {
		r.phase.Store(measuring)
		base := r.done()
		r.attend(ctx, Progress{Phase: Measuring, Of: r.config.Duration}, nil, done, func() int64 { return r.done() - base })
		r.phase.Store(over)
		if r.mark(&r.to, &r.usedTo) != nil {
			r.usedTo = 0 // its process has ended meanwhile, as when it was started anew
		}
	}
	r.phase.Store(over)
	<-done
	return errors.Join(failed, err)
}

// employ gives each worker its lock, and its place at a connection.
func (r *run) employ() {
	r.workers = make([]*worker, r.config.Workers)
	for i := range r.workers {
		w := &worker{conn: r.conns[i%len(r.conns)], name: r.config.Prefix + "one"}
		if r.config.Workload != HandOffs {
			w.name = r.config.Prefix + strconv.Itoa(i)
		}
		r.workers[i] = w
	}
}

// workAll runs all workers until the run is over, one of them fails, or ctx ends.
func (r *run) workAll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var working sync.WaitGroup
	for _, w := range r.workers {
		working.Go(func() {
			if err := r.workOne(ctx, w); err != nil {
				cancel(err)
			}
		})
	}
	working.Wait()
	return context.Cause(ctx)
}

// workOne is a worker. A pair counts in the phase in which it ends; of a number of
// pairs that bounds the run, each is one that began in it.
func (r *run) workOne(ctx context.Context, w *worker) error {
	for ctx.Err() == nil {
		phase := r.phase.Load()
		bounded := r.config.Pairs > 0
		if phase == over || bounded && phase == measuring && r.left.Add(-1) < 0 {
			return nil
		}
		began := time.Now()
		hold, err := w.conn.Lock(ctx, w.name)
		if err == nil {
			err = hold.Release(ctx)
		}
		if err != nil {
			return err
		}
		if w.pairs.Add(1) == 1 && r.cold.Add(-1) == 0 {
			close(r.warm)
		}
		if r.phase.Load() == measuring && (phase == measuring || !bounded) {
			w.latency.record(time.Since(began))
		}
	}
	return nil
}

// done returns the pairs that were done so far, in all phases.
func (r *run) done() int64 {
	n := int64(0)
	for _, w := range r.workers {
		n += w.pairs.Load()
	}
	return n
}

// mark notes the time, and what the server has used until then.
func (r *run) mark(at *time.Time, used *time.Duration) (err error) {
	if r.config.ServerTime != nil {
		*used, err = r.config.ServerTime()
	}
	*at = time.Now()
	return err
}

// attend tells of progress until a phase is over: by its time if p knows one, and
// then not before also, which may be nil, is closed; because all is done, or
// because ctx ends.
func (r *run) attend(ctx context.Context, p Progress, also, done <-chan struct{}, count func() int64) {
	began := time.Now()
	tell := func() {
		if r.config.Progress != nil {
			p.Elapsed, p.Pairs = time.Since(began), count()
			r.config.Progress(p)
		}
	}
	var end <-chan time.Time
	if p.Of > 0 {
		timer := time.NewTimer(p.Of)
		defer timer.Stop()
		end = timer.C
	}
	ticker := time.NewTicker(r.config.Every)
	defer ticker.Stop()
	for tell(); p.Of == 0 || end != nil || also != nil; {
		select {
		case <-end:
			end = nil
		case <-also:
			also = nil
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-ticker.C:
			tell()
		}
	}
}

// result puts together what was measured, all workers having ended.
func (r *run) result(ctx context.Context) Result {
	c := &r.config
	result := Result{
		Workload: c.Workload, Workers: c.Workers, Connections: c.Connections, HeldLocks: c.HeldLocks,
		Interrupted: ctx.Err() != nil, Seconds: r.to.Sub(r.from).Seconds(),
	}
	var all histogram
	for i, w := range r.workers {
		n := w.latency.total
		result.MostServed = max(result.MostServed, n)
		if i == 0 || n < result.LeastServed {
			result.LeastServed = n
		}
		all.add(&w.latency)
	}
	result.Pairs, result.Latency = all.total, all.latency()
	if result.Pairs > 0 && result.Seconds > 0 {
		result.PairsPerSecond = float64(result.Pairs) / result.Seconds
	}
	if used := r.usedTo - r.usedFrom; c.ServerTime != nil && result.Pairs > 0 && used >= 0 {
		result.Server = &ServerUse{CPUSeconds: used.Seconds(), CPUMicrosPerPair: micros(used) / float64(result.Pairs)}
	}
	return result
}
