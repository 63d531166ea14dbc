// Package spool keeps writing lines from waiting for whoever reads them.
//
// A program logs while it does something else, often with others waiting for that. If
// what it logs to is a pipe that nobody reads, a terminal that was stopped or a disk
// that hangs, a plain write waits for ever, and all of the program with it. A [Writer]
// takes lines into a small buffer and writes them in a goroutine of its own. Without
// room a line is lost, and counted; when it goes on, that is said where they are missing.
//
// What the package does not know: what a line says.
package spool

import (
	"context"
	"errors"
	"io"
	"sync"
)

// Writer is an [io.Writer] that never waits. Make one with [New]. All methods are safe
// for concurrent use.
type Writer struct {
	out     io.Writer
	most    int
	missing func(lines int) []byte
	more    chan struct{} // room for one
	closing chan struct{}
	once    sync.Once
	done    chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex // guards what follows; held for copying a line
	kept   []byte     // whole lines
	lost   int
	closed bool
}

// New returns a writer to out that keeps as many bytes as most until they are written.
// Where lines are lost it writes what missing says, itself a line. Its goroutine lives
// until Close.
func New(out io.Writer, most int, missing func(lines int) []byte) *Writer {
	w := &Writer{
		out: out, most: most, missing: missing,
		more: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	go w.run()
	return w
}

// Write takes a line, its end included, or counts it as lost. It returns len(line) and
// no error in any case.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	// Behind a line that was lost nothing is kept until that is said.
	if w.closed || w.lost > 0 || len(w.kept)+len(line) > w.most {
		w.lost++
	} else {
		w.kept = append(w.kept, line...)
	}
	w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
	return len(line), nil
}

// errStuck is why lines were given up.
var errStuck = errors.New("spool: nobody takes what is written; the rest was given up")

// Close writes what is left, and waits for that until ctx ends. Then the goroutine is
// left behind in its write, which nothing can end, and Close returns an error. Lines
// that come later are lost. Closing again waits again.
func (w *Writer) Close(ctx context.Context) error {
	w.once.Do(func() {
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		close(w.closing)
	})
	select {
	case <-w.done:
	case <-ctx.Done():
		select {
		case <-w.done: // both
		default:
			return errStuck
		}
	}
	return nil
}

func (w *Writer) run() {
	defer close(w.done)
	var spare []byte
	for {
		select {
		case <-w.more:
			spare = w.write(spare)
		case <-w.closing:
			w.write(spare)
			return
		}
	}
}

// write writes all that is there; spare is where lines gather meanwhile. It returns
// the next such.
func (w *Writer) write(spare []byte) []byte {
	w.mu.Lock()
	lines, lost := w.kept, w.lost
	w.kept, w.lost = spare[:0], 0
	w.mu.Unlock()
	// There is nobody to tell of an error: this is the log.
	if len(lines) > 0 {
		_, _ = w.out.Write(lines)
	}
	if lost > 0 {
		_, _ = w.out.Write(w.missing(lost))
	}
	return lines
}
