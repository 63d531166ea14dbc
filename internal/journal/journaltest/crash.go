package journaltest

import (
	"errors"
	"fmt"
	"slices"
)

// reopen: what a closed journal had, the next one on the same place has.
func reopen(p *probe) error {
	if err := errors.Join(p.lead(), p.proposeAll("a", 20), p.close()); err != nil {
		return err
	}
	before := p.machine
	if err := errors.Join(before.verdict(), p.open(), p.lead()); err != nil {
		return err
	}
	return errors.Join(p.sameAs(before), p.proposeAll("b", 5))
}

// crash: everything acknowledged survives, time included, and the order goes on.
func crash(p *probe) error {
	if err := errors.Join(p.lead(), p.proposeAll("a", 20)); err != nil {
		return err
	}
	before := p.machine
	if err := p.crash(); err != nil {
		return err
	}
	return errors.Join(p.sameAs(before), p.proposeAll("b", 5))
}

// crashUnderLoad: of proposals that meet a crash those that were acknowledged
// survive; the ledger is checked at the end.
func crashUnderLoad(p *probe) error {
	if err := p.lead(); err != nil {
		return err
	}
	l := p.load(tooMany)
	reached := l.reach(200)
	p.engine.Crash(p.journal)
	<-l.done
	before := p.machine
	if err := errors.Join(reached, before.verdict(), p.open(), p.lead()); err != nil {
		return err
	}
	had, _ := before.contents()
	if log, _ := p.machine.contents(); len(log) < len(had) || !slices.Equal(log[:len(had)], had) {
		return fmt.Errorf("the order of %d applied batches did not survive; %d are there", len(had), len(log))
	}
	return p.proposeAll("z", 5)
}

// snapshot: a journal that dropped its entries goes on from the snapshot.
func snapshot(p *probe) error {
	if err := errors.Join(p.lead(), p.proposeAll("a", 20)); err != nil {
		return err
	}
	if err := p.engine.Snapshot(p.journal); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	if err := p.proposeAll("b", 5); err != nil {
		return err
	}
	before := p.machine
	if err := p.crash(); err != nil {
		return err
	}
	if !p.machine.restored {
		return errors.New("the machine was not restored from the snapshot")
	}
	return errors.Join(p.sameAs(before), p.proposeAll("c", 5))
}

// snapshotUnderLoad: snapshots while proposals go on.
func snapshotUnderLoad(p *probe) error {
	if err := p.lead(); err != nil {
		return err
	}
	l := p.load(eachInPlace)
	var errs []error
	for i := range 3 {
		errs = append(errs, l.reach(i*proposers*eachInPlace/4), p.engine.Snapshot(p.journal))
	}
	<-l.done
	before := p.machine
	if err := errors.Join(errors.Join(errs...), p.crash()); err != nil {
		return err
	}
	return errors.Join(p.sameAs(before), p.proposeAll("z", 5))
}

// sameAs compares the present machine with that of the life before.
func (p *probe) sameAs(before *machine) error {
	was, then := before.contents()
	log, now := p.machine.contents()
	if !slices.Equal(log, was) {
		return fmt.Errorf("%d batches before, %d after, or in another order", len(was), len(log))
	}
	if now != then {
		return fmt.Errorf("the machine's time was %d before and is %d after", then, now)
	}
	return nil
}
