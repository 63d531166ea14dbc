package journaltest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// probe is one journal under test, and the ledger of what was proposed to it,
// across all its lives.
type probe struct {
	engine  Engine
	dir     string
	journal journal.Journal
	machine *machine
	ended   bool // closed or crashed

	mu        sync.Mutex
	proposals []proposal
}

// proposal is a batch and how proposing it ended.
type proposal struct {
	note *note
	err  error
}

// open opens the journal with a new machine.
func (p *probe) open() (err error) {
	p.machine, p.ended = &machine{}, false
	if p.journal, err = p.engine.Open(p.dir, p.machine); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return nil
}

// lead waits for the lead.
func (p *probe) lead() error {
	_, err := p.journal.Lead(context.Background())
	if err != nil {
		return fmt.Errorf("lead: %w", err)
	}
	return nil
}

// propose proposes a text and enters the ending into the ledger.
func (p *probe) propose(ctx context.Context, text string) error {
	n := &note{text: text, drawn: p.machine.stampsDrawn()}
	err := p.journal.Propose(ctx, n)
	if err == nil && n.index == 0 {
		err = fmt.Errorf("propose %q returned before the batch was applied", text)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proposals = append(p.proposals, proposal{n, err})
	return err
}

func (m *machine) stampsDrawn() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drawn
}

// proposeAll proposes texts until one fails.
func (p *probe) proposeAll(prefix string, n int) error {
	for i := range n {
		if err := p.propose(context.Background(), fmt.Sprintf("%s%d", prefix, i)); err != nil {
			return fmt.Errorf("propose: %w", err)
		}
	}
	return nil
}

func (p *probe) close() error {
	p.ended = true
	err := p.journal.Close()
	p.machine.over.Store(true)
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// crash ends the journal without order and opens it again, with a new machine.
// What the old machine found is returned.
func (p *probe) crash() error {
	p.engine.Crash(p.journal)
	err := p.machine.verdict()
	return errors.Join(err, p.open(), p.lead())
}

// settle closes the journal if it is open and compares what it holds with how
// the proposals ended: what succeeded is there once, what was refused is not,
// what is unknown may be there once. Each failure is exactly one ending.
func (p *probe) settle() error {
	if !p.ended {
		if err := p.close(); err != nil {
			return err
		}
	}
	log, _ := p.machine.contents()
	times := map[string]int{}
	for _, text := range log {
		times[text]++
	}
	var errs []error
	for _, x := range p.proposals {
		if err := x.fits(times[x.note.text]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// fits checks an ending against how often the text was found.
func (x *proposal) fits(times int) error {
	endings := 0
	for _, e := range []error{journal.ErrRefused, journal.ErrUnknown, journal.ErrFatal} {
		if errors.Is(x.err, e) {
			endings++
		}
	}
	switch {
	case x.err == nil && times != 1:
		return fmt.Errorf("%q succeeded and is there %d times", x.note.text, times)
	case x.err != nil && endings != 1:
		return fmt.Errorf("%q failed with %d endings instead of one: %w", x.note.text, endings, x.err)
	case errors.Is(x.err, journal.ErrRefused) && times != 0:
		return fmt.Errorf("%q was refused and is there: %w", x.note.text, x.err)
	case times > 1:
		return fmt.Errorf("%q is there %d times", x.note.text, times)
	}
	return nil
}
