package sim

import (
	"os"
	"reflect"
	"slices"
	"testing"
)

// trial is a rule that is not obeyed, with a plan in which that soon does harm.
type trial struct {
	rule string // its switch
	harm harm
	plan func(*plan)
	// slow says that harm is rare: the trial is run on demand only.
	slow bool
	// script makes faults meet that seldom do by chance; it is called again and
	// again, at random intervals of that mean.
	script func(*world)
	mean   span
}

func allTrials() []trial { return slices.Concat(trials, scripted) }

// trialSeeds bounds the runs that a trial may need.
const trialSeeds = 300

// harmOf makes runs of a plan, at most so many, until one does harm, and returns it.
func (x *trial) harmOf(runs uint64, breaks func(*broken)) *world {
	p := peace()
	p.rest, p.work = second/2, 2*second
	x.plan(&p)
	for seed := range runs {
		var b broken
		breaks(&b)
		w := newWorld(seed, &p, b)
		if x.script != nil {
			w.every(x.mean, func() { x.script(w) })
		}
		w.watch.muted = (safety | liveness) &^ x.harm
		if w.run() != nil {
			return w
		}
	}
	return nil
}

// breaks switches a rule off by its name.
func breaks(b *broken, rule string) {
	reflect.ValueOf(b).Elem().FieldByName(rule).SetBool(true)
}

// TestEachRuleMatters switches each rule off and expects the harm that it is
// there against, in a plan that does no harm when it is obeyed.
func TestEachRuleMatters(t *testing.T) {
	for _, x := range allTrials() {
		t.Run(x.rule, func(t *testing.T) {
			if x.slow && os.Getenv("LDLM_SIM_SLOW") == "" {
				t.Skip("set LDLM_SIM_SLOW to wait for a harm that is rare")
			}
			t.Parallel()
			w := x.harmOf(trialSeeds, func(b *broken) { breaks(b, x.rule) })
			if w == nil {
				t.Fatalf("no harm in %d runs without the rule", trialSeeds)
			}
			t.Logf("seed %d: %s: %s", w.seed, w.failure.kind, w.failure.text)
			if obeyed := x.harmOf(seeds(t, w.seed+3), func(*broken) {}); obeyed != nil {
				obeyed.report(t)
			}
		})
	}
}

// TestEveryRuleHasATrial finds switches that no trial is about.
func TestEveryRuleHasATrial(t *testing.T) {
	tried := map[string]bool{}
	for _, x := range allTrials() {
		tried[x.rule] = true
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[broken]()) {
		if !tried[f.Name] {
			t.Errorf("nothing shows the harm of %s", f.Name)
		}
	}
}
