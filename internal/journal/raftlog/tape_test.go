package raftlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// line is a batch: a text.
type line string

func (l line) AppendBinary(b []byte) ([]byte, error) { return append(b, l...), nil }

// tape is a machine that remembers what it was given.
type tape struct {
	mu    sync.Mutex
	lines []string
	now   int64
	last  journal.Entry
	leads int
	given int64         // time handed out by Stamp and not given back
	gate  chan struct{} // not nil: Apply waits until it is closed
	// begins, if set, is called when a lead begins.
	begins func()
}

// shut lets Apply wait until the gate that it returns is closed.
func (t *tape) shut() chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gate = make(chan struct{})
	return t.gate
}

func (t *tape) StartClock() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leads++
	if t.begins != nil {
		t.begins()
	}
}

func (t *tape) Stamp() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given += 1000
	return 1000
}

// WouldWait is true of lines that say so.
func (t *tape) WouldWait(b journal.Batch) bool {
	l, ok := b.(line)
	return ok && strings.HasPrefix(string(l), "patient")
}

func (t *tape) Unstamp(us int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given -= us
}

func (t *tape) Apply(e journal.Entry) {
	t.mu.Lock()
	gate := t.gate
	t.mu.Unlock()
	if gate != nil {
		<-gate
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Term == e.StampTerm {
		t.now += e.Elapsed
	}
	for _, b := range e.Batches {
		t.lines = append(t.lines, string(b.(line)))
	}
	t.last = journal.Entry{Index: e.Index, Term: e.Term, StampTerm: e.StampTerm, Elapsed: e.Elapsed}
}

func (*tape) Decode(b []byte) (journal.Batch, error) {
	if bytes.HasPrefix(b, []byte("bad")) {
		return nil, errors.New("a bad line")
	}
	return line(b), nil
}

func (t *tape) Snapshot() (func() ([]byte, error), func(), error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	chunks := [][]byte{binary.LittleEndian.AppendUint64(nil, uint64(t.now))}
	for _, l := range t.lines {
		chunks = append(chunks, []byte(l))
	}
	next := func() ([]byte, error) {
		if len(chunks) == 0 {
			return nil, nil
		}
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	}
	return next, func() { chunks = nil }, nil
}

func (t *tape) Restore(next func() ([]byte, error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	head, err := next()
	if err != nil {
		return err
	}
	t.now, t.lines = int64(binary.LittleEndian.Uint64(head)), nil
	for {
		chunk, err := next()
		if err != nil || chunk == nil {
			return err
		}
		t.lines = append(t.lines, string(chunk))
	}
}

func (t *tape) contents() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}

// fastDir is a directory whose fsyncs cost nothing, where there is one: tests that
// crash a journal hundreds of times crash it between operations, not between
// sectors.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "raftlog") //nolint:usetesting // that is where fsyncs cost nothing
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "data")
}

// begin opens a journal and waits for its lead.
func begin(c Config, m journal.Machine) (*Journal, error) {
	j, err := Open(c, m)
	if err != nil {
		return nil, err
	}
	if _, err := j.Lead(context.Background()); err != nil {
		_ = j.Close() // the first error counts
		return nil, err
	}
	return j, nil
}

func mustBegin(t testing.TB, c Config, m journal.Machine) *Journal {
	t.Helper()
	j, err := begin(c, m)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func mustClose(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// write proposes lines one after the other until one fails, and writes them itself where it
// may. It returns how many were acknowledged.
func write(j *Journal, lines []string) (int, error) {
	return writeIn(journal.Lend(context.Background()), j, lines)
}

func writeIn(ctx context.Context, j *Journal, lines []string) (int, error) {
	for i, l := range lines {
		if err := j.Propose(ctx, line(l)); err != nil {
			return i, err
		}
	}
	return len(lines), nil
}

// texts are lines of very different lengths.
func texts(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d %s", i, strings.Repeat("x", i*37%700))
	}
	return lines
}

// survives opens a journal over what a crash has left, and expects what was
// acknowledged, and nothing but what was proposed. It returns what is there.
func survives(c Config, proposed []string, acknowledged int) (lines []string, err error) {
	m := &tape{}
	j, err := begin(c, m)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	lines = m.contents()
	if len(lines) < acknowledged || len(lines) > len(proposed) || !slices.Equal(lines, proposed[:len(lines)]) {
		return lines, fmt.Errorf("%d lines were acknowledged, %d of %d are there, or others", acknowledged, len(lines), len(proposed))
	}
	return lines, nil
}

// copyDir copies a data directory.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
