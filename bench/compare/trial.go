package compare

import (
	"context"
	"slices"
)

// A metric is a name of a figure.
type metric string

// Metrics.
const (
	pairsPerSecond  metric = "pairs/s"
	serverMicros    metric = "server CPU, µs per pair"
	p99Micros       metric = "99 % of pairs within, µs"
	mostToLeast     metric = "most/least served worker"
	bytesPerLock    metric = "bytes per held lock"
	kbPerConnection metric = "KB per connection"
	seconds         metric = "s"
	milliseconds    metric = "ms"
	serverSeconds   metric = "server CPU, s"
	halfMicros      metric = "half of pairs within, µs"
	halfMillis      metric = "half within, ms"
	ninetyMillis    metric = "90 % within, ms"
	commandMillis   metric = "the command, ms"
	failures        metric = "refused requests"
	entries         metric = "log entries"
	memberEntries   metric = "log entries of members alone"
)

// Figures are what one measurement found.
type figures map[metric]float64

// A trial is a piece of work that contenders do in turn.
type trial struct {
	name       string
	contenders []contender
	rows       []row
}

// A contender is one of those that a trial compares.
type contender struct {
	name    string
	redis   bool // whether it needs a Redis server
	measure func(ctx context.Context, l *lab) (figures, error)
}

// A row of the table shows one figure of one contender, and against another's.
type row struct {
	what    string
	metric  metric
	of      string // names of contenders
	against string // "" for nobody
	goal    goal
}

// A goal is for the ratio of both figures of a row or, if there is one only, for that.
type goal struct {
	kind  goalKind
	bound float64
}

type goalKind string

const (
	noGoal  goalKind = ""
	atLeast goalKind = "≥"
	atMost  goalKind = "≤"
)

func (g goal) met(x float64) bool {
	switch g.kind {
	case atLeast:
		return x >= g.bound
	case atMost:
		return x <= g.bound
	default:
		return true
	}
}

// rotated returns the contenders in the order of a round.
func (t *trial) rotated(round int) []contender {
	i := round % len(t.contenders)
	return slices.Concat(t.contenders[i:], t.contenders[:i])
}

// median returns the middle of samples, of which there is at least one.
func median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
