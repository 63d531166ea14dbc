// Command faults breaks the lock table on purpose, one deliberate fault at a time,
// and wants the package's tests to notice each:
//
//	go run ./internal/lock/faults
//
// A fault is a piece of text of one file and what stands there instead. Nothing in
// the working copy is changed: the compiler is given a broken copy as an overlay.
// The program fails if a fault survives, if one does not apply any more, or if the
// broken package does not build, which proves nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

// run parses the arguments and tries all faults, or those whose names contain the
// text given with -only.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	only := flags.String("only", "", "try only faults whose names contain this")
	jobs := flags.Int("jobs", 1, "how many are tried at a time")
	limit := flags.Duration("limit", 2*time.Minute, "how long the tests may run with one fault")
	if err := flags.Parse(args); err != nil {
		return err
	}
	lab, err := newLab(ctx, *limit)
	if err != nil {
		return err
	}
	defer lab.close()
	var chosen []fault
	for _, f := range allFaults() {
		if strings.Contains(f.name, *only) {
			chosen = append(chosen, f)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no fault has %q in its name", *only)
	}
	if v := lab.try(ctx, fault{name: "none"}); v.state != survived {
		return fmt.Errorf("the tests fail without any fault: %s", v.text)
	}
	if bad := lab.tryAll(ctx, chosen, *jobs, out); bad > 0 {
		return fmt.Errorf("%d of %d faults were not caught", bad, len(chosen))
	}
	_, err = fmt.Fprintf(out, "all %d faults were caught\n", len(chosen))
	return err
}

// tryAll tries faults, so many at a time, prints a line for each as it is done,
// and returns how many were not caught.
func (l *lab) tryAll(ctx context.Context, faults []fault, jobs int, out io.Writer) (bad int) {
	next := make(chan fault)
	var workers sync.WaitGroup
	var printing sync.Mutex // guards out and bad
	for range max(jobs, 1) {
		workers.Go(func() {
			for f := range next {
				v := l.try(ctx, f)
				printing.Lock()
				if v.state != caught {
					bad++
				}
				fmt.Fprintf(out, "%-8s  %-52s  %6.1fs  %s\n", v.state, f.name, v.took.Seconds(), v.text)
				printing.Unlock()
			}
		})
	}
	for _, f := range faults {
		next <- f
	}
	close(next)
	workers.Wait()
	return bad
}
