package journaltest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// note is the batch of the suite: a text.
type note struct {
	text string
	// drawn is how many stamps were drawn before Propose was called.
	drawn int64
	// index of the entry that carried it, 0 until then. It is not guarded: an
	// engine that lets Propose return without order after Apply is found by the
	// race detector as well.
	index uint64
}

func (n *note) AppendBinary(b []byte) ([]byte, error) { return append(b, n.text...), nil }

// machine is a journal.Machine that remembers everything and notes each breach
// of the contract.
type machine struct {
	state atomic.Int32 // 1 while in Apply, Snapshot or Restore
	clock atomic.Int32 // 1 while in StartClock, Stamp or Unstamp

	// onApply, if set before the journal is opened or between proposals, is
	// called in each Apply.
	onApply func()
	// over is set when the journal has returned from Close: nothing may be applied then.
	over atomic.Bool

	mu       sync.Mutex
	leads    int
	drawn    int64   // stamps drawn
	open     []stamp // drawn, and neither applied nor given back; oldest first
	returned int64   // time given back, not yet drawn again
	index    uint64
	now      int64
	log      []string
	restored bool
	breaches []error
}

// stamp is what Stamp returned. No two are alike.
type stamp struct{ number, elapsed int64 }

func (m *machine) breach(format string, args ...any) {
	if len(m.breaches) < 10 {
		m.breaches = append(m.breaches, fmt.Errorf(format, args...))
	}
}

// verdict returns all breaches so far.
func (m *machine) verdict() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.Join(m.breaches...)
}

// enter notes a breach if another call of the same group is under way.
func (m *machine) enter(group *atomic.Int32, call string) (leave func()) {
	alone := group.CompareAndSwap(0, 1)
	m.mu.Lock()
	if !alone {
		m.breach("%s while another call of its group was under way", call)
	}
	return func() {
		m.mu.Unlock()
		group.Store(0)
	}
}

func (m *machine) StartClock() {
	defer m.enter(&m.clock, "StartClock")()
	m.leads++
	m.returned, m.open = 0, nil
}

func (m *machine) Stamp() int64 {
	defer m.enter(&m.clock, "Stamp")()
	if m.leads == 0 {
		m.breach("Stamp before StartClock")
	}
	m.drawn++
	s := stamp{m.drawn, m.drawn<<20 + m.returned}
	m.returned = 0
	m.open = append(m.open, s)
	return s.elapsed
}

func (m *machine) Unstamp(elapsed int64) {
	defer m.enter(&m.clock, "Unstamp")()
	i := slices.IndexFunc(m.open, func(s stamp) bool { return s.elapsed == elapsed })
	if i < 0 {
		m.breach("Unstamp of %d, which is not a stamp that is under way", elapsed)
		return
	}
	m.open = slices.Delete(m.open, i, i+1)
	m.returned += elapsed
}

// WouldWait is true of some batches: an engine has to order them all the same.
func (m *machine) WouldWait(b journal.Batch) bool {
	n, ok := b.(*note)
	if !ok {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.breach("asked of a %T, neither proposed nor decoded", b)
	}
	return ok && len(n.text)%2 == 0
}

func (m *machine) Apply(e journal.Entry) {
	defer m.enter(&m.state, "Apply")()
	if m.over.Load() {
		m.breach("entry %d applied after Close had returned", e.Index)
	}
	if e.Index != m.index+1 {
		m.breach("entry %d follows entry %d", e.Index, m.index)
	}
	m.index = e.Index
	drawn := m.passTime(e)
	if m.onApply != nil {
		m.mu.Unlock()
		m.onApply()
		m.mu.Lock()
	}
	for _, b := range e.Batches {
		n, ok := b.(*note)
		if !ok {
			m.breach("entry %d carries a %T, neither proposed nor decoded", e.Index, b)
			continue
		}
		if drawn > 0 && drawn <= n.drawn {
			m.breach("%q was put into entry %d after that was stamped", n.text, e.Index)
		}
		n.index = e.Index
		m.log = append(m.log, n.text)
	}
}

// passTime checks an entry's time. It returns the number of the stamp, 0 if
// the entry was not stamped by this machine.
func (m *machine) passTime(e journal.Entry) int64 {
	if e.StampTerm > e.Term {
		m.breach("entry %d was stamped in term %d, after its term %d", e.Index, e.StampTerm, e.Term)
	}
	if e.StampTerm != e.Term {
		return 0
	}
	m.now += e.Elapsed
	if m.leads == 0 {
		return 0 // the backlog of an earlier life
	}
	if len(m.open) == 0 || m.open[0].elapsed != e.Elapsed {
		m.breach("entry %d has elapsed %d; stamps under way are %v", e.Index, e.Elapsed, m.open)
		return 0
	}
	number := m.open[0].number
	m.open = m.open[1:]
	return number
}

func (m *machine) Decode(data []byte) (journal.Batch, error) {
	return &note{text: string(data)}, nil
}

func (m *machine) Snapshot() (next func() ([]byte, error), done func(), err error) {
	defer m.enter(&m.state, "Snapshot")()
	head := binary.LittleEndian.AppendUint64(nil, m.index)
	chunks := [][]byte{binary.LittleEndian.AppendUint64(head, uint64(m.now))}
	for _, text := range m.log {
		chunks = append(chunks, []byte(text))
	}
	ended := false
	next = func() ([]byte, error) {
		switch {
		case ended:
			return nil, errors.New("a snapshot was read after it was done with")
		case len(chunks) == 0:
			return nil, nil
		}
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	}
	return next, func() { ended = true }, nil
}

func (m *machine) Restore(next func() ([]byte, error)) error {
	defer m.enter(&m.state, "Restore")()
	m.log = nil
	for i := 0; ; i++ {
		chunk, err := next()
		switch {
		case err != nil:
			return err
		case chunk == nil && i > 0:
			m.restored = true
			return nil
		case i > 0:
			m.log = append(m.log, string(chunk))
		case len(chunk) != 16:
			return fmt.Errorf("a snapshot begins with %d bytes instead of 16", len(chunk))
		default:
			m.index, m.now = binary.LittleEndian.Uint64(chunk), int64(binary.LittleEndian.Uint64(chunk[8:]))
		}
	}
}

// contents returns what was applied so far, and the machine's time.
func (m *machine) contents() (log []string, now int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.log), m.now
}

// count is how many batches were applied.
func (m *machine) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.log)
}
