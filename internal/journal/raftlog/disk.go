package raftlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// Names of what is done to files, for messages and for faults that tests inject.
const (
	opCreate = "create"
	opWrite  = "write"
	opSync   = "sync"
	opRename = "rename"
	opDelete = "delete"
	opAlloc  = "allocate"
	opOpen   = "open"
)

// disk is the one gate through which everything is written. It latches: after the
// first error, or after a write that took longer than the deadline, it lets nothing
// through any more. Its methods are safe for concurrent use.
type disk struct {
	log      *slog.Logger
	deadline time.Duration
	// fault, if set, is called before each operation, and an error of it is the
	// operation's. For tests.
	fault func(op, path string) error
	// onFail is called once, when the latch falls.
	onFail func(error)

	// atWork says that raft's goroutines are: what they must not see an error of ends
	// them instead.
	atWork  atomic.Bool
	running attempts
	syncs   atomic.Uint64
	slowest atomic.Int64 // of the fsyncs, in nanoseconds

	mu     sync.Mutex
	err    error
	failed chan struct{} // closed when err is set
}

func newDisk(log *slog.Logger, deadline time.Duration, fault func(op, path string) error) *disk {
	d := &disk{log: log, deadline: deadline, fault: fault, onFail: func(error) {}, failed: make(chan struct{})}
	d.running.every, d.running.hangs = deadline/attemptLooks, func(a *attempt) {
		d.fail(fmt.Errorf("%s %s: not done after %v, the disk hangs", a.op, a.path, deadline))
	}
	return d
}

// check returns why nothing is written any more, nil if it is.
func (d *disk) check() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// fail lets the latch fall. The first reason counts.
func (d *disk) fail(err error) {
	d.mu.Lock()
	if d.err != nil {
		d.mu.Unlock()
		return
	}
	if !errors.Is(err, journal.ErrFatal) {
		err = fmt.Errorf("%w: %w; nothing is written any more and the server must end: %s, then start it again", journal.ErrFatal, err, remedy(err))
	}
	d.err = err
	close(d.failed)
	d.mu.Unlock()
	d.log.ErrorContext(context.Background(), "The data directory has failed", "err", err)
	d.onFail(err)
}

// remedy says what to do about a disk that has failed.
func remedy(err error) string {
	if errors.Is(err, syscall.ENOSPC) {
		return "make room on the disk"
	}
	return "check the disk"
}

// do carries out one operation that must succeed.
func (d *disk) do(op, path string, f func() error) error {
	if err := d.check(); err != nil {
		return err
	}
	a := d.running.begin(op, path)
	err := d.try(op, path, f)
	for isOutOfFiles(err) && d.pauseForFiles(a) {
		err = d.try(op, path, f)
	}
	d.running.end(a)
	if op == opSync {
		d.syncs.Add(1)
		d.slowest.Store(max(d.slowest.Load(), int64(time.Since(a.begun))))
	}
	if isOutOfFiles(err) {
		err = fmt.Errorf("%w: connections use up all that the process may open, raise its limit (ulimit -n, LimitNOFILE)", err)
	}
	if err != nil {
		d.fail(err)
	}
	return d.check()
}

// filesPause is how long to wait for another file to be closed.
const filesPause = 10 * time.Millisecond

// pauseForFiles waits a little, for an operation that could not open its file. Nothing
// was written then, so it can begin anew, while its deadline has not come near.
func (d *disk) pauseForFiles(a *attempt) bool {
	select {
	case <-time.After(filesPause):
		return time.Since(a.begun) < d.deadline/2
	case <-d.failed:
		return false
	}
}

// try carries out one operation that may fail: an error is returned, and nothing else.
func (d *disk) try(op, path string, f func() error) error {
	if err := d.check(); err != nil {
		return err
	}
	if d.fault != nil {
		if err := d.fault(op, path); err != nil {
			return fmt.Errorf("%s %s: %w", op, path, err)
		}
	}
	if err := f(); err != nil {
		if _, ok := errors.AsType[*os.PathError](err); ok {
			return err // it names the operation and the path
		}
		return fmt.Errorf("%s %s: %w", op, path, err)
	}
	return nil
}

// stop fails, and ends the goroutine if it is one of raft's, which would panic at
// the error. Otherwise it returns the error.
func (d *disk) stop(err error) error {
	d.fail(err)
	if d.atWork.Load() {
		runtime.Goexit()
	}
	return d.check()
}
