package sim

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// newWorld makes a run. plan says what happens in it; nil draws that as well.
func newWorld(seed uint64, p *plan, b broken) *world {
	w := &world{seed: seed, broken: b, chance: rand.New(rand.NewPCG(seed, 0x10c4))}
	w.watch = newObserver(w)
	if w.plan = peace(); p != nil {
		w.plan = *p
	} else {
		w.plan = w.swarm()
	}
	w.populate()
	w.torment()
	w.watch.audit()
	return w
}

// populate makes the machines and starts everything.
func (w *world) populate() {
	host := newMachine(w, "member")
	w.member = newMember(w, host)
	w.journal = &journal{w: w, seats: []*seat{{machine: host}}}
	if w.plan.journal == moving {
		w.journal.seats = nil
		for i := range 3 {
			w.journal.seats = append(w.journal.seats, &seat{machine: newMachine(w, fmt.Sprintf("seat %d", i))})
		}
	}
	w.journal.begin(w.member.wall(), 0)
	w.journal.elect(w.journal.seats[0])
	w.member.startUp()
	for i := range w.plan.clients + w.plan.v1s {
		c := newClient(w, i, i >= w.plan.clients)
		w.clients = append(w.clients, c)
		w.in(w.between(0, 2*second), c.start)
	}
}

// report fails the test with all that is needed to understand a violation.
func (w *world) report(t *testing.T) {
	t.Helper()
	t.Errorf("seed %d: %s: %s\nplan: %+v\nthe last events:\n%s\n%s", w.seed, w.failure.kind, w.failure.text,
		w.plan, w.trace.String(), w.journal.table.Describe())
}

// seeds is how many runs a test makes: few in everyday tests, more on demand.
func seeds(t *testing.T, everyday uint64) uint64 {
	t.Helper()
	text := os.Getenv("LDLM_SIM_SEEDS")
	if text == "" {
		return everyday
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("LDLM_SIM_SEEDS: %v", err)
	}
	return n
}

// muted is the harm that nobody asks about in these runs.
func muted() harm {
	for _, h := range [...]harm{safety, liveness} {
		if os.Getenv("LDLM_SIM_MUTED") == h.String() {
			return h
		}
	}
	return 0
}

// TestSeeds runs the simulation with all rules obeyed.
func TestSeeds(t *testing.T) {
	for seed := range seeds(t, 50) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			w := newWorld(seed, nil, broken{})
			w.watch.muted = muted()
			if w.run() != nil {
				w.report(t)
			}
			w.watch.checkTable()
		})
	}
}
