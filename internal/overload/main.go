//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

// roleKey is the variable that says which of the processes one is.
const roleKey = "LDLM_OVERLOAD_ROLE"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := play(ctx, os.Getenv(roleKey), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "overload:", err)
		os.Exit(1)
	}
}

// play plays the role of this process.
func play(ctx context.Context, role string, args []string) error {
	switch role {
	case roleServer:
		return serve(ctx, args, os.Stdin, os.Stdout)
	case roleLoad:
		return bring(ctx, args, os.Stdout)
	case roleEcho:
		return echo(os.Stdin, os.Stdout)
	default:
		return direct(ctx, args, os.Stdout)
	}
}

// direct parses the arguments, tries all trials, or those whose names contain the
// text given with -only, and writes the report.
func direct(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("overload", flag.ContinueOnError)
	only := flags.String("only", "", "try only what contains this in its name")
	small := flags.Bool("small", false, "with a thousandth of the load")
	profiles := flags.String("profiles", "", "a directory for what the server spent its time on, a file for each load")
	if err := flags.Parse(args); err != nil {
		return err
	}
	report := newReport(*small)
	bad := 0
	for _, t := range trials() {
		if !strings.Contains(t.name, *only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s ...\n", t.name)
		if *profiles != "" {
			t.setup.Profile = filepath.Join(*profiles, strings.ReplaceAll(t.name, " ", "-")+".pprof")
		}
		f, err := try(ctx, t, *small)
		if err != nil {
			bad++
			fmt.Fprintf(os.Stderr, "%s: %v\n", t.name, err)
		}
		report.add(t, f, err)
	}
	report.write(out)
	if bad > 0 {
		return fmt.Errorf("%d trials failed", bad)
	}
	return nil
}
