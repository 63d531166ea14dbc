//go:build linux

package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// report is a table of all trials, in Markdown.
type report struct {
	small bool
	lines []string
}

func newReport(small bool) *report { return &report{small: small} }

// add adds a trial's line.
func (r *report) add(t trial, f findings, err error) {
	verdict := "ok"
	if err != nil {
		verdict = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	r.lines = append(r.lines, fmt.Sprintf("| %s | %d | %d | %s | %s | %s, %s, %s | %s, **%.1f x**, %s | %s | %s, **%.1f x** | %s |",
		t.name, f.N, f.Outcome.Reached, refusals(&f.Outcome), f.Took.Round(100*time.Millisecond),
		megabytes(f.MemoryBefore), megabytes(f.MemoryMost), megabytes(f.MemoryAfter),
		short(f.Before.P99), f.ratio(), short(f.After.P99), short(f.During.Longest),
		short(f.EchoBefore), f.echoRatio(), verdict))
}

func refusals(o *outcome) string {
	text := "none"
	if o.Refused > 0 {
		text = fmt.Sprintf("%d, `%s` %d", o.Refused, o.Field, o.Limit)
	}
	if o.Note != "" {
		text += "; " + o.Note
	}
	return text
}

func megabytes(n int64) string     { return fmt.Sprintf("%.0f", float64(n)/1e6) }
func short(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }

// write writes the table, and what it was measured with.
func (r *report) write(w io.Writer) {
	fmt.Fprintf(w, "%s, %s/%s, %d processors", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if info, ok := debug.ReadBuildInfo(); ok {
		fmt.Fprintf(w, ", %s", info.Main.Version)
	}
	fmt.Fprintf(w, ". %d well-behaved clients, a pair each every %s.\n\n", victims, pace)
	fmt.Fprintln(w, "| load | asked | taken | refused | took | memory, MB: before, most, after | p99 of others: before, during, after | their longest | p99 of an echo: before, during | |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	for _, l := range r.lines {
		fmt.Fprintln(w, l)
	}
}
