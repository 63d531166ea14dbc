package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm/internal/verify/history"
)

// verify makes a run and judges it. What is kept of a run that failed is in its
// directory; of one that did not, nothing is.
func verify(ctx context.Context, s settings) error {
	fmt.Fprintf(s.out, "seed %d, kept in %s\n", s.seed, s.dir)
	t, err := newTrial(ctx, s)
	counts := map[string]int{}
	if err == nil {
		err = t.torment(ctx, counts)
	}
	err = errors.Join(err, t.end())
	if err == nil {
		err = t.judge(counts)
	}
	if err != nil {
		return fmt.Errorf("seed %d, see %s: %w", s.seed, s.dir, err)
	}
	return os.RemoveAll(s.dir)
}

// torment runs servers and clients, and does one thing after the other to them.
func (t *trial) torment(ctx context.Context, counts map[string]int) error {
	if err := t.begin(ctx); err != nil {
		return err
	}
	var kinds []fault
	for _, f := range faults() {
		if strings.Contains(f.kind, t.only) {
			kinds = append(kinds, f)
		}
	}
	if len(kinds) == 0 {
		return fmt.Errorf("no kind of faults has %q in its name", t.only)
	}
	if err := t.quiet(ctx, 2*time.Second); err != nil {
		return err
	}
	for round := 0; round < t.rounds || time.Since(t.began) < t.duration; round++ {
		t.chance.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		for _, f := range kinds {
			if round >= t.rounds && time.Since(t.began) >= t.duration {
				break
			}
			if err := t.inflict(ctx, f); err != nil {
				return fmt.Errorf("%s: %w", f.kind, err)
			}
			counts[f.kind]++
		}
	}
	t.stopClients()
	return t.leftovers(ctx)
}

// inflict does one thing, and waits until the cluster is whole again.
func (t *trial) inflict(ctx context.Context, f fault) error {
	began := time.Now()
	if err := f.do(ctx, t); err != nil {
		return err
	}
	healed := time.Now()
	if err := t.await(ctx); err != nil {
		return err
	}
	t.say("%s: %.1f s, whole after %.1f s", f.kind, healed.Sub(began).Seconds(), time.Since(healed).Seconds())
	return t.quiet(ctx, time.Second+time.Duration(t.chance.Int64N(int64(2*time.Second))))
}

// judge says whether all promises were kept.
func (t *trial) judge(counts map[string]int) error {
	records, err := t.histories()
	if err != nil {
		return err
	}
	const limit = 10 * time.Minute // for one lock; they take milliseconds
	v, err := history.Check(records, t.dir, limit)
	if err != nil {
		return err
	}
	wrong := slices.Concat(t.wrong, v.Violations, t.complaints(), t.voids(&v, records))
	t.print(counts, &v, records)
	if len(wrong) > 0 {
		text := strings.Join(wrong, "\n")
		if err := os.WriteFile(filepath.Join(t.dir, "wrong.txt"), []byte(text+"\n"), 0o600); err != nil {
			return err
		}
		return errors.New(text)
	}
	fmt.Fprintln(t.out, "all promises were kept")
	return nil
}

// voids says why a run proves nothing, though nothing may be wrong.
func (t *trial) voids(v *history.Verdict, records []history.Record) (found []string) {
	if rate := t.rate(records); rate < t.floor {
		found = append(found, fmt.Sprintf("void: %.0f operations a second between faults, fewer than %.0f", rate, t.floor))
	}
	if v.Grants == 0 || v.Waits == 0 {
		found = append(found, fmt.Sprintf("void: %d grants, %d of which waited", v.Grants, v.Waits))
	}
	if t.store.fencedLost > 0 {
		found = append(found, fmt.Sprintf("%d elements were taken out of sets whose store compares tokens", t.store.fencedLost))
	}
	if t.only == "" && t.store.bareLost == 0 {
		found = append(found, "void: no element was taken out of sets whose store compares nothing, so the faults do not bite")
	}
	return found
}

// rate is how many answers there were in a second without faults.
func (t *trial) rate(records []history.Record) float64 {
	total := int64(0)
	for _, c := range t.calm {
		total += c.to - c.from
	}
	answers := 0
	for _, r := range records {
		switch r.Type {
		case history.Granted, history.Refused, history.None, history.End, history.Read:
			_, inside := slices.BinarySearchFunc(t.calm, r.At, func(c span, at int64) int {
				if at > c.to {
					return -1
				}
				return max(0, cmp.Compare(c.from, at))
			})
			if inside {
				answers++
			}
		default:
		}
	}
	return float64(answers) / max(1e-9, time.Duration(total).Seconds())
}

// print says what the run was.
func (t *trial) print(counts map[string]int, v *history.Verdict, records []history.Record) {
	names := make([]string, 0, len(counts))
	total := 0
	for name, n := range counts {
		names = append(names, name)
		total += n
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(t.out, "%4d  %s\n", counts[name], name)
	}
	fmt.Fprintf(t.out, "seed %d: %d faults of %d kinds in %v\n", t.seed, total, len(names), time.Since(t.began).Round(time.Second))
	fmt.Fprintf(t.out, "%d operations checked on %d locks, %d grants (%d from a known place in the queue), %.0f operations a second between faults\n",
		v.Checked, v.Locks, v.Grants, v.Waits, t.rate(records))
	fmt.Fprintf(t.out, "%d requests of unknown outcome, %d holds whose end nobody saw, %d refusals that may have reasons nobody saw\n",
		v.Unknown, v.Unbound, v.Excused)
	fmt.Fprintf(t.out, "%d writes to sets: where tokens are compared %d were refused and %d elements lost, elsewhere %d were lost\n",
		t.store.writes, t.store.refused, t.store.fencedLost, t.store.bareLost)
}
