package journaltest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// inOrder: what one caller proposes is applied in its order, each before
// Propose returns, stamped right before.
func inOrder(p *probe) error {
	if err := errors.Join(p.lead(), p.proposeAll("a", 100)); err != nil {
		return err
	}
	log, _ := p.machine.contents()
	return checkOrder(log, "a", 100)
}

// checkOrder checks that the texts of one proposer are complete up to n and in order.
func checkOrder(log []string, prefix string, n int) error {
	got := slices.DeleteFunc(slices.Clone(log), func(s string) bool { return !strings.HasPrefix(s, prefix) })
	if len(got) < n {
		return fmt.Errorf("%d texts of %q, want %d", len(got), prefix, n)
	}
	for i, text := range got {
		if want := fmt.Sprintf("%s%d", prefix, i); text != want {
			return fmt.Errorf("place %d of %q has %q, want %q", i, prefix, text, want)
		}
	}
	return nil
}

const (
	proposers   = 8
	eachInPlace = 50
	// tooMany is more than a proposer gets done before it is stopped, and few
	// enough that the suite ends if nothing stops it.
	tooMany = 10_000
)

// names of concurrent proposers, none the beginning of another.
func proposerName(i int) string { return string(rune('a'+i)) + "-" }

// concurrent: many callers at once keep their own orders, and nothing is lost
// or doubled.
func concurrent(p *probe) error {
	if err := p.lead(); err != nil {
		return err
	}
	errs := make([]error, proposers)
	var wg sync.WaitGroup
	for i := range proposers {
		wg.Go(func() { errs[i] = p.proposeAll(proposerName(i), eachInPlace) })
	}
	wg.Wait()
	log, _ := p.machine.contents()
	for i := range proposers {
		errs[i] = errors.Join(errs[i], checkOrder(log, proposerName(i), eachInPlace))
	}
	return errors.Join(errs...)
}

// endedContext: a context that has ended before the call refuses it.
func endedContext(p *probe) error {
	if err := p.lead(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.propose(ctx, "late"); !errors.Is(err, journal.ErrRefused) {
		return fmt.Errorf("propose with an ended context: got %v, want a refusal", err)
	}
	if err := p.journal.Barrier(ctx); err == nil {
		return errors.New("barrier with an ended context returned no error")
	}
	return p.proposeAll("after", 1)
}

// endingContext: a context that ends once the batch is ordered does not make
// it refused.
func endingContext(p *probe) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := p.lead(); err != nil {
		return err
	}
	p.machine.onApply = cancel
	if err := p.propose(ctx, "cut"); err != nil && !errors.Is(err, journal.ErrUnknown) {
		return fmt.Errorf("context ended while the batch was applied: got %w, want success or unknown", err)
	}
	return p.proposeAll("after", 1)
}

// leads: the lead is a context that ends with a cause when the journal is closed.
func leads(p *probe) error {
	lead, err := p.journal.Lead(context.Background())
	if err != nil {
		return fmt.Errorf("lead: %w", err)
	}
	if lead.Err() != nil {
		return fmt.Errorf("lead had ended when it was taken: %w", context.Cause(lead))
	}
	p.machine.mu.Lock()
	started := p.machine.leads
	p.machine.mu.Unlock()
	if started != 1 {
		return fmt.Errorf("StartClock was called %d times when the lead was taken, want once", started)
	}
	if err := errors.Join(p.proposeAll("a", 3), p.close()); err != nil {
		return err
	}
	if lead.Err() == nil {
		return errors.New("the lead outlived Close")
	}
	if cause := context.Cause(lead); errors.Is(cause, context.Canceled) {
		return fmt.Errorf("the lead ended without a cause: %w", cause)
	}
	return nil
}

// barrier: what was acknowledged to one caller is there for another one that
// has passed a barrier since.
func barrier(p *probe) error {
	if err := p.lead(); err != nil {
		return err
	}
	for i := range 50 {
		done := make(chan error, 1)
		go func() { done <- p.propose(context.Background(), fmt.Sprintf("a%d", i)) }()
		if err := <-done; err != nil {
			return err
		}
		if err := p.journal.Barrier(context.Background()); err != nil {
			return fmt.Errorf("barrier: %w", err)
		}
		log, _ := p.machine.contents()
		if err := checkOrder(log, "a", i+1); err != nil {
			return fmt.Errorf("after a barrier: %w", err)
		}
	}
	return nil
}

// closeWaits: Close returns no sooner than the entry under way is applied.
func closeWaits(p *probe) error {
	if err := p.lead(); err != nil {
		return err
	}
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	p.machine.onApply = func() {
		once.Do(func() { close(entered) })
		<-release
	}
	proposed, closed := make(chan error, 1), make(chan error, 1)
	go func() { proposed <- p.propose(context.Background(), "a") }()
	<-entered
	go func() { closed <- p.close() }()
	for range 1000 {
		runtime.Gosched() // a chance for a Close that does not wait
	}
	early := len(closed) > 0
	close(release)
	if err := errors.Join(<-proposed, <-closed); err != nil {
		return err
	}
	if early {
		return errors.New("Close returned while an entry was being applied")
	}
	return nil
}

// closedRefuses: a closed journal refuses everything.
func closedRefuses(p *probe) error {
	if err := errors.Join(p.lead(), p.proposeAll("a", 1), p.close()); err != nil {
		return err
	}
	if err := p.propose(context.Background(), "late"); !errors.Is(err, journal.ErrRefused) {
		return fmt.Errorf("propose after Close: got %v, want a refusal", err)
	}
	if _, err := p.journal.Lead(context.Background()); err == nil {
		return errors.New("a closed journal gave the lead")
	}
	if err := p.journal.Barrier(context.Background()); err == nil {
		return errors.New("a closed journal passed a barrier")
	}
	return nil
}

// closeUnderLoad: of proposals that meet Close each has its ending, and what
// was stamped was applied or given back.
func closeUnderLoad(p *probe) error {
	if err := p.lead(); err != nil {
		return err
	}
	l := p.load(tooMany)
	if err := errors.Join(l.reach(100), p.close()); err != nil {
		return err
	}
	<-l.done
	p.machine.mu.Lock()
	defer p.machine.mu.Unlock()
	if p.countUnknown() == 0 && len(p.machine.open) > 0 {
		return fmt.Errorf("nothing is unknown, but %d stamps were neither applied nor given back", len(p.machine.open))
	}
	return nil
}

// load is a number of proposers at work.
type load struct {
	machine *machine
	done    chan struct{} // closed when all of them have ended
}

// load starts proposers that go on until a proposal fails, or each has made most.
func (p *probe) load(most int) *load {
	l := &load{p.machine, make(chan struct{})}
	var wg sync.WaitGroup
	for i := range proposers {
		wg.Go(func() {
			// The ending is in the ledger.
			_ = p.proposeAll(proposerName(i), most)
		})
	}
	go func() {
		wg.Wait()
		close(l.done)
	}()
	return l
}

// reach returns once the machine has at least n texts.
func (l *load) reach(n int) error {
	for {
		if l.machine.count() >= n {
			return nil
		}
		select {
		case <-l.done:
			if have := l.machine.count(); have < n {
				return fmt.Errorf("all proposers have ended after %d of %d batches", have, n)
			}
		default:
			runtime.Gosched()
		}
	}
}

func (p *probe) countUnknown() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.proposals {
		if errors.Is(x.err, journal.ErrUnknown) {
			n++
		}
	}
	return n
}
