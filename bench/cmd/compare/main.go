// Compare measures LDLM beside Redis and bare echoes, or three members of it beside
// three of etcd, on this machine, and prints a table. Run it in the module bench: go run ./cmd/compare.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/ldlm-io/ldlm/bench/compare"
)

func main() {
	if hidden, err := compare.Hidden(os.Args[1:], os.Stdin, os.Stdout); hidden {
		exit(err)
	}
	debug.SetGCPercent(rarely)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx))
}

// rarely is how the garbage of the load is collected, whoever it is for: the processors
// are for the servers.
const rarely = 800

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// settings are the flags.
type settings struct {
	cluster bool
	run     string
	json    bool
	ldlm    string
	dir     string
	rounds  int
	sizes   compare.Sizes
}

func flags() *settings {
	s := &settings{sizes: compare.FullSizes()}
	names := func(cluster bool) string { return strings.Join(compare.Names(cluster), " ") }
	flag.StringVar(&s.run, "run", "", "measure only what matches this regular expression: "+names(false)+"; with -cluster: "+names(true))
	flag.BoolVar(&s.cluster, "cluster", false, "measure three members, beside three of etcd")
	flag.IntVar(&s.rounds, "rounds", 5, "measure so often, and take medians")
	flag.DurationVar(&s.sizes.Duration, "duration", s.sizes.Duration, "measure each throughput for so long")
	flag.DurationVar(&s.sizes.WarmUp, "warm-up", s.sizes.WarmUp, "work so long before the clock runs")
	flag.StringVar(&s.ldlm, "ldlm", "", "the program ldlm (default: built from the source)")
	flag.StringVar(&s.dir, "dir", "", "where servers write what they keep, a folder on a disk (default: that for temporary files)")
	flag.BoolVar(&s.json, "json", false, "print everything that was measured as JSON")
	flag.Parse()
	return s
}

func run(ctx context.Context) (err error) {
	s := flags()
	if flag.NArg() > 0 {
		return fmt.Errorf("takes no arguments, but was given %q", flag.Arg(0))
	}
	pattern, err := regexp.Compile(s.run)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if s.sizes.Duration <= 0 || s.sizes.WarmUp < 0 {
		return errors.New("-duration must be more than 0, -warm-up not less")
	}
	o := compare.Options{Cluster: s.cluster, Run: pattern, Rounds: s.rounds, Sizes: s.sizes, LDLM: s.ldlm, Dir: s.dir, Progress: progress}
	dir, err := os.MkdirTemp("", "ldlm-compare")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := s.find(ctx, &o, dir); err != nil {
		return err
	}
	report, err := compare.Run(ctx, o)
	if report != nil {
		err = errors.Join(err, s.print(report))
	}
	return err
}

// find finds the programs that are compared, and builds those of Go into a folder.
func (s *settings) find(ctx context.Context, o *compare.Options, dir string) (err error) {
	if o.Self, err = os.Executable(); err != nil {
		return err
	}
	if s.cluster {
		o.Etcd, err = compare.BuildEtcd(ctx, dir)
	} else if o.Redis, err = compare.FindRedis(); err != nil {
		progress("%v", err)
		err = nil
	}
	if err == nil && o.LDLM == "" {
		o.LDLM, err = compare.Build(ctx, dir)
	}
	return err
}

// print prints a report, and says what is wrong with it.
func (s *settings) print(r *compare.Report) error {
	var err error
	if s.json {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(r)
	} else {
		err = r.Write(os.Stdout, strings.Join(append([]string{"go run -C bench ./cmd/compare"}, os.Args[1:]...), " "))
	}
	if err == nil && len(r.Failures) > 0 {
		err = fmt.Errorf("%d measurements failed", len(r.Failures))
	}
	return err
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
