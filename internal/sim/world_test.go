package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// instant is true time in microseconds since the beginning of a run. No clock
// in the simulation shows it; only the observer knows it.
type instant int64

// span is a length of time in microseconds, of whatever clock.
type span = lock.Duration

// Units of span.
const (
	microsecond span = lock.Microsecond
	millisecond      = lock.Millisecond
	second           = lock.Second
)

func (t instant) add(d span) instant   { return t + instant(d) }
func (t instant) since(u instant) span { return span(t - u) }
func (t instant) String() string       { return fmt.Sprintf("%d.%06d", t/1e6, t%1e6) }

// world is one run: everything that exists, and the agenda of what happens
// next. Nothing in it runs in parallel and nothing reads a clock or draws a
// number but through it, so the seed decides everything.
type world struct {
	seed    uint64
	plan    plan
	broken  broken
	chance  *rand.Rand
	now     instant
	agenda  agenda
	entries uint64 // ever made in the agenda
	cables  int
	// replaced counts the members that were.
	replaced int
	keys     uint64
	trace    trace

	journal *journal
	// member is the one that clients connect to; members has those as well that
	// it has replaced and that do not know it yet.
	member  *member
	members []*member
	clients []*client
	watch   *observer

	// failure is what the observer found first; it ends the run.
	failure *violation
}

// event is an entry of the agenda. Of two at one instant the older goes first.
type event struct {
	at     instant
	number uint64
	run    func()
}

type agenda []event

func (a agenda) Len() int      { return len(a) }
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].number < a[j].number
}
func (a *agenda) Push(x any) { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	old[len(old)-1] = event{}
	*a = old[:len(old)-1]
	return last
}

// at puts something into the agenda.
func (w *world) at(t instant, run func()) {
	w.entries++
	heap.Push(&w.agenda, event{max(t, w.now), w.entries, run})
}

// in is at, counted from now.
func (w *world) in(d span, run func()) { w.at(w.now.add(d), run) }

// every repeats something at random intervals of that mean until the calm at
// the end of the run. A mean of 0 is never.
func (w *world) every(mean span, run func()) {
	if mean <= 0 {
		return
	}
	var again func()
	again = func() {
		if w.now >= w.calmFrom() {
			return
		}
		run()
		w.in(w.between(mean/4, mean*7/4), again)
	}
	w.in(w.between(0, mean*3/2), again)
}

// calmFrom is when things stop going wrong, so that at the end of the run
// everything must have come right again.
func (w *world) calmFrom() instant { return instant(w.plan.length - w.plan.calm) }

// maxAgenda is more than there is to do at any time.
const maxAgenda = 100_000

// run carries the agenda out until its end or the first violation.
func (w *world) run() *violation {
	for len(w.agenda) > 0 && w.failure == nil {
		if len(w.agenda) > maxAgenda {
			panic("sim: the agenda grows without end")
		}
		e := heap.Pop(&w.agenda).(event)
		if e.at > instant(w.plan.length) {
			break
		}
		w.now = e.at
		e.run()
		w.watch.look()
	}
	return w.failure
}

// between draws a length of time.
func (w *world) between(least, most span) span {
	if most <= least {
		return least
	}
	return least + span(w.chance.Int64N(int64(most-least)+1))
}

// happens draws whether something happens that has so many chances in 1,000.
func (w *world) happens(chances int) bool { return chances > 0 && w.chance.IntN(1000) < chances }

// newKey makes a key for a hold, or whatever must be there once.
func (w *world) newKey() lock.Key {
	w.keys++
	k := lock.Key{15: 1}
	for i := range 8 {
		k[i] = byte(w.keys >> (8 * i))
	}
	return k
}

// trace keeps the last lines of what happened. Lines are put into words only
// when somebody wants to read them.
type trace struct {
	lines [600]line
	next  int
}

type line struct {
	at     instant
	who    string
	format string
	args   []any
}

// note writes a line. The arguments must not change afterwards.
func (w *world) note(who, format string, args ...any) {
	w.trace.lines[w.trace.next%len(w.trace.lines)] = line{w.now, who, format, args}
	w.trace.next++
}

// String returns the lines that are kept, oldest first.
func (t *trace) String() string {
	var b strings.Builder
	for i := max(0, t.next-len(t.lines)); i < t.next; i++ {
		l := &t.lines[i%len(t.lines)]
		fmt.Fprintf(&b, "%14s %-9s "+l.format+"\n", append([]any{l.at, l.who}, l.args...)...)
	}
	return b.String()
}
