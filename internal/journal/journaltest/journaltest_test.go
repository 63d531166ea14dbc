package journaltest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/ldlm-io/ldlm/internal/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// toy is a durable engine whose disk is a map, right unless it has a fault.
type toy struct {
	fault   fault
	disk    *disk
	machine journal.Machine
	lead    context.Context
	resign  context.CancelCauseFunc

	mu      sync.Mutex
	index   uint64
	term    uint64
	early   int64 // a stamp drawn too soon
	closed  bool
	unsaved []saved
}

// disk is what survives a toy.
type disk struct {
	term     uint64
	snapshot [][]byte
	entries  []saved
}

// saved is an entry on a disk.
type saved struct {
	entry journal.Entry // without batches
	data  []byte
}

// fault is what a toy does wrong.
type fault string

const (
	none           fault = ""
	stampsEarly    fault = "stamps an entry before its batch has come"
	stampsTwice    fault = "draws two stamps for an entry"
	losesStamp     fault = "refuses a stamped entry without giving its time back"
	neverStarts    fault = "does not start the clock"
	skipsIndex     fault = "leaves a gap in the order"
	appliesTwice   fault = "applies a batch twice"
	appliesLater   fault = "returns from Propose before Apply"
	copiesBatch    fault = "hands over a copy of what was proposed"
	acceptsEnded   fault = "accepts an ended context"
	refusesApplied fault = "calls an applied batch refused"
	noEnding       fault = "fails without an ending"
	twoEndings     fault = "fails with two endings"
	closesAtOnce   fault = "does not wait in Close"
	acceptsClosed  fault = "accepts proposals when closed"
	keepsLead      fault = "keeps the lead when closed"
	noCause        fault = "ends the lead without a cause"
	barrierLies    fault = "passes barriers when closed"
	savesLater     fault = "acknowledges before it saves"
	forgetsAll     fault = "opens empty"
	replaysBack    fault = "replays from the end"
	losesTime      fault = "replays without time"
	dropsTail      fault = "drops more than the snapshot covers"
	noSnapshot     fault = "takes no snapshot"
)

func (f fault) engine() Engine {
	disks := map[string]*disk{}
	return Engine{
		Open: func(dir string, m journal.Machine) (journal.Journal, error) {
			if disks[dir] == nil || f == forgetsAll {
				disks[dir] = &disk{}
			}
			return f.open(disks[dir], m)
		},
		Crash: func(j journal.Journal) {
			t := j.(*toy)
			t.mu.Lock()
			defer t.mu.Unlock()
			t.closed = true
		},
		Snapshot: func(j journal.Journal) error { return j.(*toy).snapshot() },
	}
}

func (f fault) open(d *disk, m journal.Machine) (*toy, error) {
	d.term++
	t := &toy{fault: f, disk: d, machine: m, term: d.term}
	t.lead, t.resign = context.WithCancelCause(context.Background())
	if len(d.snapshot) > 0 {
		if err := m.Restore(reader(d.snapshot)); err != nil {
			return nil, err
		}
		t.index = uint64(d.snapshot[0][0]) | uint64(d.snapshot[0][1])<<8
	}
	if f == replaysBack {
		slices.Reverse(d.entries)
	}
	for _, s := range d.entries {
		b, err := m.Decode(s.data)
		if err != nil {
			return nil, err
		}
		e := s.entry
		e.Batches = []journal.Batch{b}
		if f == losesTime {
			e.Elapsed = 0
		}
		t.index = e.Index
		m.Apply(e)
	}
	if f != neverStarts {
		m.StartClock()
	}
	return t, nil
}

func reader(chunks [][]byte) func() ([]byte, error) {
	return func() ([]byte, error) {
		if len(chunks) == 0 {
			return nil, nil
		}
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	}
}

func (t *toy) Propose(ctx context.Context, b journal.Batch) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed && t.fault == noEnding:
		return errors.New("closed")
	case t.closed && t.fault == twoEndings:
		return fmt.Errorf("%w and %w", journal.ErrRefused, journal.ErrUnknown)
	case t.closed && t.fault != acceptsClosed:
		return fmt.Errorf("%w: closed", journal.ErrRefused)
	case ctx.Err() != nil && t.fault == losesStamp:
		t.machine.Stamp()
		return fmt.Errorf("%w: %w", journal.ErrRefused, ctx.Err())
	case ctx.Err() != nil && t.fault != acceptsEnded:
		return fmt.Errorf("%w: %w", journal.ErrRefused, ctx.Err())
	}
	t.append(b)
	if ctx.Err() != nil && t.fault == refusesApplied {
		return fmt.Errorf("%w: %w", journal.ErrRefused, ctx.Err())
	}
	return nil
}

// append saves and applies a batch.
func (t *toy) append(b journal.Batch) {
	e := journal.Entry{Term: t.term, StampTerm: t.term, Elapsed: t.stamp()}
	if t.index++; t.fault == skipsIndex && t.index%7 == 0 {
		t.index++
	}
	e.Index = t.index
	data, _ := b.AppendBinary(nil)
	t.unsaved = append(t.unsaved, saved{e, data})
	if t.fault != savesLater || len(t.unsaved) > 2 {
		t.disk.entries = append(t.disk.entries, t.unsaved...)
		t.unsaved = nil
	}
	if t.fault == copiesBatch {
		b, _ = t.machine.Decode(data)
	}
	e.Batches = []journal.Batch{b}
	if t.fault == appliesTwice {
		e.Batches = append(e.Batches, b)
	}
	if t.fault == appliesLater {
		e.Batches = nil
	}
	t.machine.Apply(e)
	if t.fault == stampsEarly {
		t.early = t.machine.Stamp()
	}
}

func (t *toy) stamp() int64 {
	if t.early != 0 {
		return t.early
	}
	if t.fault == stampsTwice {
		t.machine.Stamp()
	}
	return t.machine.Stamp()
}

func (t *toy) snapshot() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fault == noSnapshot {
		return nil
	}
	next, done, err := t.machine.Snapshot()
	if err != nil {
		return err
	}
	defer done()
	t.disk.snapshot, t.disk.entries = nil, nil
	for {
		chunk, err := next()
		if err != nil || chunk == nil {
			if t.fault == dropsTail {
				t.disk.snapshot = t.disk.snapshot[:len(t.disk.snapshot)-1]
			}
			return err
		}
		t.disk.snapshot = append(t.disk.snapshot, chunk)
	}
}

func (t *toy) Lead(context.Context) (context.Context, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed && t.fault != keepsLead {
		return nil, fmt.Errorf("%w: closed", journal.ErrRefused)
	}
	return t.lead, nil
}

func (t *toy) Barrier(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed && t.fault != barrierLies {
		return errors.New("closed")
	}
	return ctx.Err()
}

func (t *toy) Close() error {
	if t.fault != closesAtOnce {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.closed = true
	}
	switch t.fault {
	case keepsLead:
	case noCause:
		t.resign(nil)
	default:
		t.resign(errors.New("closed"))
	}
	return nil
}

// A right engine passes.
func TestSound(t *testing.T) { Run(t, none.engine()) }

// Each fault is found by some case, and by that for the right reason: without
// the fault the same case passes.
func TestFaults(t *testing.T) {
	faults := []fault{
		stampsEarly, stampsTwice, losesStamp, neverStarts, skipsIndex, appliesTwice, appliesLater, copiesBatch,
		acceptsEnded, refusesApplied, noEnding, twoEndings, closesAtOnce, acceptsClosed, keepsLead, noCause,
		barrierLies, savesLater, forgetsAll, replaysBack, losesTime, dropsTail, noSnapshot,
	}
	used := map[string]bool{}
	for _, f := range faults {
		t.Run(string(f), func(t *testing.T) {
			var found []string
			for _, c := range allCases {
				if c.judge(f.engine(), t.TempDir()) != nil {
					found = append(found, c.name)
					used[c.name] = true
				}
			}
			if len(found) == 0 {
				t.Errorf("no case finds an engine that %s", f)
			}
			t.Logf("found by %q", found)
		})
	}
	t.Logf("cases that found something: %q", slices.Sorted(maps.Keys(used)))
}
