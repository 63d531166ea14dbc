package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"
)

// Options say what is compared.
type Options struct {
	// Cluster has clusters of three members compared, instead of servers that are alone.
	Cluster bool
	// Run selects trials by their names; nil is all.
	Run *regexp.Regexp
	// Rounds of measurements, of which medians are taken; at least 1.
	Rounds int
	// Sizes of the work.
	Sizes Sizes
	// LDLM and Redis are the programs; Redis may be empty: then what needs it is
	// left out. Self is this program, which knows the hidden commands.
	LDLM, Redis, Self string
	// Etcd is the program of a member of etcd, for clusters.
	Etcd string
	// Dir is where servers write what they keep: on a disk, for what is to be on
	// one. Empty is the system's folder for temporary files.
	Dir string
	// Progress is told of each measurement, before and after; it may be nil.
	Progress func(format string, args ...any)
}

// Names returns the names of all trials, of clusters or of others, for Options.Run.
func Names(cluster bool) []string {
	var all []string
	for _, t := range trialsOf(cluster, FullSizes()) {
		all = append(all, t.name)
	}
	return all
}

// Run measures. What fails is told in the report, and the rest goes on; the end of
// ctx ends it early. The error is that nothing could be measured at all, or why
// ctx has ended; the report then has what there is.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	s := &suite{options: o, samples: map[key][]float64{}}
	for _, t := range trialsOf(o.Cluster, o.Sizes) {
		if o.Run == nil || o.Run.MatchString(t.name) {
			s.trials = append(s.trials, t)
		}
	}
	if len(s.trials) == 0 {
		return nil, fmt.Errorf("no trial matches %q", o.Run)
	}
	if o.Rounds < 1 {
		return nil, fmt.Errorf("%d rounds, want at least 1", o.Rounds)
	}
	dir, err := os.MkdirTemp(o.Dir, "ldlm-compare")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s.lab = &lab{ldlm: o.LDLM, redis: o.Redis, etcd: o.Etcd, self: o.Self, dir: dir, sizes: o.Sizes}
	machine, err := look(ctx, o.LDLM, o.Redis, o.Etcd)
	if err != nil {
		return nil, err
	}
	for round := range o.Rounds {
		if s.round(ctx, round) != nil {
			break
		}
	}
	machine.lookAgain()
	return s.report(machine), context.Cause(ctx)
}

// A suite is the state of Run.
type suite struct {
	options Options
	lab     *lab
	trials  []trial
	samples map[key][]float64
	failed  []string
}

// A key names what is measured once in a round.
type key struct {
	trial, contender string
	metric           metric
}

// round measures everything once. Its error is that ctx has ended.
func (s *suite) round(ctx context.Context, round int) error {
	for i := range s.trials {
		t := &s.trials[i]
		for _, c := range t.rotated(round) {
			if c.redis && s.options.Redis == "" {
				continue
			}
			s.tell("round %d of %d  %-24s %s", round+1, s.options.Rounds, t.name, c.name)
			found, err := s.measure(ctx, c)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				s.failed = append(s.failed, fmt.Sprintf("%s, %s, round %d: %v", t.name, c.name, round+1, err))
				s.tell("    failed: %v", err)
				continue
			}
			s.note(t, c, found)
		}
	}
	return nil
}

// measure bounds the time of a measurement: nothing may hang.
func (s *suite) measure(ctx context.Context, c contender) (figures, error) {
	const slack, leader = 3 * time.Minute, 10 * time.Second
	z := &s.options.Sizes
	limit := z.WarmUp + z.Duration + z.Idle + time.Duration(z.Leaders)*leader + slack
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()
	return c.measure(ctx, s.lab)
}

// note keeps what a measurement found.
func (s *suite) note(t *trial, c contender, found figures) {
	for m, x := range found {
		k := key{t.name, c.name, m}
		s.samples[k] = append(s.samples[k], x)
	}
	for _, r := range t.rows {
		if x, ok := found[r.metric]; ok && (r.of == c.name || r.against == c.name) {
			s.tell("    %s %s", figure(x, r.metric), r.metric)
			return
		}
	}
}

func (s *suite) tell(format string, args ...any) {
	if s.options.Progress != nil {
		s.options.Progress(format, args...)
	}
}
