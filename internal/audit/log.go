package audit

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of a log.
const (
	// maxQueued is how many entries wait for a slow disk; more are lost, and counted.
	maxQueued = 4096
	// complainEvery is how often the log of the server says that entries are lost.
	complainEvery = time.Minute
)

// Words for where a log is, instead of a path.
const (
	ToStderr = "stderr"
	ToSyslog = "syslog"
)

// A Log writes entries in a goroutine of its own. Make one with [Open]. Nil is a
// log that takes everything and writes nothing. All methods are safe for
// concurrent use.
type Log struct {
	log     *slog.Logger
	entries chan Entry
	reopen  chan struct{} // room for one
	closing chan struct{}
	once    sync.Once
	writer  sync.WaitGroup
	lost    atomic.Int64 // entries that found no room, not yet told

	// refusals bounds how many refusals are written down: somebody who tries passwords
	// is not to fill the disk.
	refusals Bound
	more     chan struct{} // told when one is suppressed; room for one

	// Owned by the writing goroutine.
	sink       sink
	complained time.Time
	unwritten  int64 // not yet told
}

// A sink is where lines go.
type sink interface {
	// write takes a line, its end included.
	write(line []byte) error
	// reopen begins anew under the same name; after an error the sink is as it was.
	reopen() error
	io.Closer
}

// Open opens a log: a path, or [ToStderr], or [ToSyslog]; "" is nil, no log. What
// goes wrong later is told to log.
func Open(to string, stderr io.Writer, log *slog.Logger) (*Log, error) {
	var s sink
	var err error
	switch to {
	case "":
		return nil, nil
	case ToStderr:
		s = stream{stderr}
	case ToSyslog:
		s, err = openSyslog()
	default:
		s, err = openFile(to)
	}
	if err != nil {
		return nil, err
	}
	return start(s, log), nil
}

func start(s sink, log *slog.Logger) *Log {
	l := &Log{
		log: log, sink: s, entries: make(chan Entry, maxQueued),
		reopen: make(chan struct{}, 1), closing: make(chan struct{}), more: make(chan struct{}, 1),
	}
	l.writer.Go(l.run)
	return l
}

// On reports whether entries are written, for those who would have to find out
// what to say.
func (l *Log) On() bool { return l != nil }

// Add writes an entry down, soon, and reports whether it is on its way. It never
// waits: without room the entry is lost and counted.
func (l *Log) Add(e Entry) bool {
	if l == nil {
		return false
	}
	e.Time = time.Now().UTC()
	select {
	case l.entries <- e:
		return true
	default:
		l.lost.Add(1)
		return false
	}
}

// Refuse writes down that somebody was not let in. Of many at once some are
// counted only.
func (l *Log) Refuse(who Actor, why string) {
	l.refuse(Entry{Action: Refused, Actor: who, Reason: why})
}

// Deny writes down that somebody who was let in wanted what it may not do, to a lock
// if it is about one. Of many at once some are counted only.
func (l *Log) Deny(who Actor, lock, why string) {
	l.refuse(Entry{Action: Denied, Actor: who, Lock: lock, Reason: why})
}

func (l *Log) refuse(e Entry) {
	if l == nil {
		return
	}
	suppressed, ok := l.refusals.Admit("")
	if ok {
		e.Suppressed = suppressed
		l.Add(e)
		return
	}
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// Reopen begins a file anew under its name, after what was added before: the old
// one may have been renamed. It does not wait; errors are in the server's log.
func (l *Log) Reopen() {
	if l == nil {
		return
	}
	select {
	case l.reopen <- struct{}{}:
	default: // one that is still to come is enough
	}
}

// Close writes what was added and ends. If ctx ends first, because the disk does
// not answer, it returns its error and leaves the rest to fate.
func (l *Log) Close(ctx context.Context) error {
	if l == nil {
		return nil
	}
	l.once.Do(func() { close(l.closing) })
	done := make(chan struct{})
	go func() {
		l.writer.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run is the writing goroutine.
func (l *Log) run() {
	window := time.NewTimer(lineWindow)
	defer window.Stop()
	for {
		select {
		case e := <-l.entries:
			l.write(&e)
		case <-l.reopen:
			l.writeQueued()
			if err := l.sink.reopen(); err != nil {
				l.log.Error("The audit log cannot be opened again; entries go where they went", "error", err)
			}
		case <-l.more:
			window.Reset(lineWindow)
		case <-window.C:
			l.writeSuppressed()
		case <-l.closing:
			l.writeQueued()
			l.writeSuppressed()
			if err := l.sink.Close(); err != nil {
				l.log.Error("The audit log cannot be closed", "error", err)
			}
			return
		}
	}
}

// writeQueued writes what is there already.
func (l *Log) writeQueued() {
	for range len(l.entries) {
		e := <-l.entries
		l.write(&e)
	}
}

// writeSuppressed accounts for refusals that nobody spoke of.
func (l *Log) writeSuppressed() {
	if n := l.refusals.Take(); n > 0 {
		l.write(&Entry{Time: time.Now().UTC(), Action: Refused, Suppressed: n, Reason: "there were too many at once"})
	}
}

// write writes one line, or says that it could not.
func (l *Log) write(e *Entry) {
	line, err := json.Marshal(e)
	if err == nil {
		err = l.sink.write(append(line, '\n'))
	}
	if err != nil {
		l.unwritten++
	}
	l.unwritten += l.lost.Swap(0)
	if l.unwritten == 0 || time.Since(l.complained) < complainEvery {
		return
	}
	if err == nil {
		err = errors.New("entries came faster than they could be written")
	}
	l.log.Error("Entries of the audit log are lost; the server goes on", "entries", l.unwritten, "error", err)
	l.unwritten, l.complained = 0, time.Now()
}
