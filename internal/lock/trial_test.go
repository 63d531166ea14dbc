package lock

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// trial gives the same random entries to
//
//   - a table, of which snapshots are taken while it goes on,
//   - a model, which must say the same of everything,
//   - a table that gets the commands of each entry one by one,
//   - a table that is saved and restored now and then,
//   - a history of what came out.
type trial struct {
	g       *generator
	term    uint64
	entries []string

	table   *Table
	model   *model
	single  *Table
	twin    *Table
	history *history
	view    *trialView
}

// trialView is a snapshot of the table that is read while the table goes on.
type trialView struct {
	*Snapshot
	restorer *Restorer
	hash     Hash
	picture  string
	since    []Entry
}

// newTrial begins a trial whose every choice is made by draw.
func newTrial(draw func(n int) int) (*trial, error) {
	x := &trial{
		g: &generator{draw: draw}, term: 1, table: New(), model: newModel(), single: New(), twin: New(),
		history: newHistory(),
	}
	return x, x.apply(Entry{Term: 1, StampTerm: 1, Commands: []Command{
		&Birth{Wall: 10}, &SetSettings{Settings: Settings{MaxEndedRequestIDs: 3}}, &Join{Member: "m0"},
	}})
}

// step draws an entry and applies it everywhere.
func (x *trial) step() error {
	if x.g.draw(100) == 1 {
		x.term++
	}
	if err := x.apply(x.g.entry(x.term)); err != nil {
		return err
	}
	if x.g.draw(8) == 1 {
		copied, err := copyOf(x.twin)
		if err != nil {
			return err
		}
		x.twin = copied
	}
	return x.look()
}

func (x *trial) apply(e Entry) error {
	x.entries = append(x.entries, describeCommands(e))
	outcomes := x.model.apply(e)
	r := x.table.Apply(e)
	x.g.learn(e.Commands, r)
	got := strings.Join(resultLines(r, nil), "\n")
	return errors.Join(
		x.table.Check(),
		x.compareModel(r, outcomes),
		x.applySingly(e, got),
		different("the restored table answers", strings.Join(resultLines(x.twin.Apply(e), nil), "\n"), got),
		different("the restored table's hash", x.twin.Hash(), x.table.Hash()),
		x.noteEntry(e),
	)
}

// compareModel compares all that the model says. It does not say who is in the
// way, what the limits and the hash are.
func (x *trial) compareModel(r *Result, outcomes []Outcome) error {
	bare := func(o Outcome) Outcome {
		o.Blocker, o.Limit, o.Hash = nil, 0, Hash{}
		return o
	}
	got := Result{Events: r.Events}
	for _, o := range r.Outcomes {
		got.Outcomes = append(got.Outcomes, bare(o))
	}
	for _, s := range r.Settled {
		s.Outcome = bare(s.Outcome)
		got.Settled = append(got.Settled, s)
	}
	want := Result{Outcomes: outcomes, Settled: x.model.settled, Events: x.model.events}
	return errors.Join(
		different("the table answers", strings.Join(resultLines(&got, nil), "\n"), strings.Join(resultLines(&want, nil), "\n")),
		different("the table has", pictureOf(x.table), x.model.picture()),
	)
}

// applySingly gives the entry to a table bit by bit: first the time, then each
// command. The history is told.
func (x *trial) applySingly(e Entry, want string) error {
	var all Result
	take := func(part Entry, c Command) error {
		part.Term, part.StampTerm = e.Term, e.StampTerm
		r := x.single.Apply(part)
		all.Stale = r.Stale
		all.Outcomes = append(all.Outcomes, r.Outcomes...)
		all.Settled = append(all.Settled, r.Settled...)
		all.Events = append(all.Events, r.Events...)
		return x.history.note(x.single, c, r)
	}
	err := take(Entry{Elapsed: e.Elapsed}, nil)
	for _, c := range e.Commands {
		err = errors.Join(err, take(Entry{Commands: []Command{c}}, c))
	}
	return errors.Join(err,
		different("one by one, the commands answer", strings.Join(resultLines(&all, nil), "\n"), want),
		different("one by one, the hash", x.single.Hash(), x.table.Hash()),
	)
}

// look reads a little of the snapshot under way, or begins one.
func (x *trial) look() error {
	if x.view == nil {
		if x.g.draw(6) == 1 {
			s := x.table.Snapshot()
			s.rows = 1
			x.view = &trialView{Snapshot: s, restorer: NewRestorer(), hash: x.table.Hash(), picture: pictureOf(x.table)}
		}
		return nil
	}
	v := x.view
	for range x.g.draw(12) {
		if v.t == nil {
			x.view = nil
			return v.compare(x.table)
		}
		v.advance()
	}
	return nil
}

// noteEntry keeps what happens to the table after the snapshot.
func (x *trial) noteEntry(e Entry) error {
	if x.view != nil {
		x.view.since = append(x.view.since, e)
	}
	return nil
}

// compare restores the table of the snapshot, lets it live through what has
// happened since, and compares it with the one that lives.
func (v *trialView) compare(t *Table) error {
	if err := v.restorer.Write(v.out.b); err != nil {
		return err
	}
	restored, err := v.restorer.Table()
	if err != nil {
		return err
	}
	err = errors.Join(
		different("a snapshot taken meanwhile has the hash", restored.Hash(), v.hash),
		different("a snapshot taken meanwhile is", pictureOf(restored), v.picture),
	)
	for _, e := range v.since {
		restored.Apply(e)
	}
	return errors.Join(err,
		different("a table from a snapshot goes on to the hash", restored.Hash(), t.Hash()),
		different("a table from a snapshot goes on to", pictureOf(restored), pictureOf(t)),
	)
}

// copyOf saves a table and restores it.
func copyOf(t *Table) (*Table, error) {
	s, r := t.Snapshot(), NewRestorer()
	for chunk, ok := s.Next(); ok; chunk, ok = s.Next() {
		if err := r.Write(chunk); err != nil {
			return nil, err
		}
	}
	return r.Table()
}

// different is an error if two values differ; nil if they do not.
func different[T comparable](what string, got, want T) error {
	if got == want {
		return nil
	}
	g, w := strings.Split(fmt.Sprint(got), "\n"), strings.Split(fmt.Sprint(want), "\n")
	for len(g) > 1 && len(w) > 1 && g[0] == w[0] {
		g, w = g[1:], w[1:]
	}
	return fmt.Errorf("%s\n  %s\nand should\n  %s", what, strings.Join(g[:min(4, len(g))], "\n  "), strings.Join(w[:min(4, len(w))], "\n  "))
}

// story is the last entries of a trial, for an error.
func (x *trial) story() string {
	last := x.entries[max(0, len(x.entries)-40):]
	return strings.Join(slices.Clone(last), "\n")
}

func describeCommands(e Entry) string {
	s := fmt.Sprintf("+%s", e.Elapsed)
	if e.Term != e.StampTerm {
		s += " stale"
	}
	for _, c := range e.Commands {
		s += fmt.Sprintf(" %T%+v", c, c)
	}
	return s
}
