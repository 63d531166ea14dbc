package compare

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Report is what was found. Its JSON has every sample.
type Report struct {
	Machine  Machine  `json:"machine"`
	Rounds   int      `json:"rounds"`
	Seconds  float64  `json:"seconds_per_throughput"`
	Rows     []Line   `json:"rows"`
	Samples  []Sample `json:"samples"`
	Failures []string `json:"failures"`
}

// A Line is a row of the table.
type Line struct {
	Trial   string   `json:"trial"`
	What    string   `json:"what"`
	Of      string   `json:"of"`
	Figure  *float64 `json:"figure"` // a median; nil: not measured
	Against string   `json:"against,omitempty"`
	Other   *float64 `json:"other,omitempty"` // likewise
	Ratio   *float64 `json:"ratio,omitempty"` // of both
	Goal    string   `json:"goal,omitempty"`
	Met     *bool    `json:"met,omitempty"` // nil: no goal, or not measured

	metric metric
}

// A Sample is what was measured of a contender, a value for each round.
type Sample struct {
	Trial     string    `json:"trial"`
	Contender string    `json:"contender"`
	Metric    string    `json:"metric"`
	Values    []float64 `json:"values"`
}

// report puts medians side by side.
func (s *suite) report(m Machine) *Report {
	r := &Report{Machine: m, Rounds: s.options.Rounds, Seconds: s.options.Sizes.Duration.Seconds(), Failures: s.failed}
	for i := range s.trials {
		t := &s.trials[i]
		for _, row := range t.rows {
			if row.against != "" && s.options.Redis == "" && needsRedis(t, row.against) {
				continue
			}
			r.Rows = append(r.Rows, s.line(t, row))
		}
		for _, c := range t.contenders {
			for _, metric := range metrics() {
				if values := s.samples[key{t.name, c.name, metric}]; len(values) > 0 {
					r.Samples = append(r.Samples, Sample{t.name, c.name, string(metric), values})
				}
			}
		}
	}
	return r
}

func metrics() []metric {
	return []metric{
		pairsPerSecond, serverMicros, halfMicros, p99Micros, mostToLeast, bytesPerLock, kbPerConnection, seconds, milliseconds, serverSeconds,
		halfMillis, ninetyMillis, commandMillis, failures, entries, memberEntries,
	}
}

func needsRedis(t *trial, name string) bool {
	for _, c := range t.contenders {
		if c.name == name {
			return c.redis
		}
	}
	return false
}

func (s *suite) line(t *trial, r row) Line {
	l := Line{Trial: t.name, What: r.what, Of: r.of, Against: r.against, metric: r.metric}
	l.Figure = s.median(key{t.name, r.of, r.metric})
	judged := l.Figure
	unit := ""
	if r.against != "" {
		unit = " x"
		judged = nil
		l.Other = s.median(key{t.name, r.against, r.metric})
		if l.Figure != nil && l.Other != nil && *l.Other > 0 {
			ratio := *l.Figure / *l.Other
			l.Ratio, judged = &ratio, &ratio
		}
	}
	if r.goal.kind == noGoal {
		return l
	}
	l.Goal = string(r.goal.kind) + " " + grouped(r.goal.bound) + unit
	if judged != nil {
		met := r.goal.met(*judged)
		l.Met = &met
	}
	return l
}

func (s *suite) median(k key) *float64 {
	samples := s.samples[k]
	if len(samples) == 0 {
		return nil
	}
	m := median(samples)
	return &m
}

// Write writes the report as Markdown.
func (r *Report) Write(w io.Writer, command string) error {
	var b strings.Builder
	r.Machine.write(&b)
	fmt.Fprintf(&b, "- Command: `%s`; medians of %s, %s of each throughput, the order of contenders rotated\n",
		command, count(r.Rounds, "round"), time.Duration(r.Seconds*float64(time.Second)))
	const head = "| what | LDLM | against | ratio | goal | |\n|---|---:|---:|---:|---:|---|\n"
	for _, table := range []struct {
		title string
		goals bool
	}{{"Goals", true}, {"Beside them", false}} {
		fmt.Fprintf(&b, "\n%s:\n\n%s", table.title, head)
		for i := range r.Rows {
			if l := &r.Rows[i]; table.goals == (l.Goal != "") {
				l.write(&b)
			}
		}
	}
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "\nFailed: %s\n", strings.ReplaceAll(f, "\n", " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (l *Line) write(b *strings.Builder) {
	against, ratio, verdict := "", "", ""
	if l.Against != "" {
		against = l.Against + " " + figureOrNone(l.Other, l.metric)
	}
	if l.Ratio != nil {
		ratio = strconv.FormatFloat(*l.Ratio, 'f', 2, 64) + " x"
	}
	switch {
	case l.Met != nil && *l.Met:
		verdict = "met"
	case l.Met != nil:
		verdict = "**missed**"
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", l.What, figureOrNone(l.Figure, l.metric), against, ratio, l.Goal, verdict)
}

func figureOrNone(x *float64, m metric) string {
	if x == nil {
		return "–"
	}
	return figure(*x, m)
}

// figure writes a figure as exactly as it is worth.
func figure(x float64, m metric) string {
	switch m {
	case mostToLeast, seconds, serverSeconds:
		return strconv.FormatFloat(x, 'f', 3, 64)
	default:
		return grouped(x)
	}
}

// grouped writes a number with three digits at least that matter, and those of
// large ones in groups.
func grouped(x float64) string {
	const thousand, hundred = 1000, 100
	switch {
	case x == math.Trunc(x) && x < thousand:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x < hundred:
		return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 2, 64), "0")
	}
	digits := strconv.FormatFloat(x, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
