package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/examples/internal/stage"
)

// Five machines, the clock of each 100 ms later than that of the one before.
const (
	machines = 5
	lateness = 100 * time.Millisecond
)

// run is the proof or, with arguments, one of its machines.
func run(ctx context.Context, args []string) error {
	if len(args) == 3 {
		late, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		return machine(ctx, args[0], late, args[2])
	}
	dir, err := os.MkdirTemp("", "cron")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	journal := filepath.Join(dir, "journal")
	var all []*stage.Process
	for i := range machines {
		name := fmt.Sprintf("machine-%d", i)
		p, err := stage.Start(ctx, name, name, (time.Duration(i) * lateness).String(), journal)
		if err != nil {
			return err
		}
		defer p.Kill()
		all = append(all, p)
	}
	for _, p := range all { // a machine that still starts has no minutes
		if err := p.Says("up"); err != nil {
			return err
		}
	}
	for _, minute := range []string{"2026-01-01 02:00", "2026-01-01 02:01"} {
		if err := prove(all, minute, journal); err != nil {
			return err
		}
	}
	for _, p := range all {
		if err := p.End(); err != nil {
			return err
		}
	}
	return nil
}

// machine runs the job at every minute that stdin tells.
func machine(ctx context.Context, name string, late time.Duration, journal string) error {
	c, err := ldlm.Dial(address())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Admin().Status(ctx); err != nil {
		return err
	}
	fmt.Println("up")
	minutes := bufio.NewScanner(os.Stdin)
	for minutes.Scan() {
		time.Sleep(late)
		ran, err := once(ctx, c, "report", minutes.Text(), func(context.Context) error {
			return report(journal, minutes.Text(), name)
		})
		if err != nil {
			return err
		}
		fmt.Println(ran)
	}
	return minutes.Err()
}

// report is the job, and a short one.
func report(journal, minute, name string) error {
	f, err := os.OpenFile(journal, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, minute, name)
	return err
}

// prove tells all machines that it is that minute, and counts where the job ran.
func prove(all []*stage.Process, minute, journal string) error {
	before, err := stage.Lines(journal)
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := p.Tell(minute); err != nil {
			return err
		}
	}
	ran := 0
	for _, p := range all {
		answer, err := p.Read()
		if err != nil {
			return err
		}
		if answer == "true" {
			ran++
		}
	}
	after, err := stage.Lines(journal)
	if err != nil {
		return err
	}
	if n := len(after) - len(before); n != 1 || ran != 1 {
		return fmt.Errorf("%s: the job ran %d times, on %d machines", minute, n, ran)
	}
	fmt.Printf("%d machines, one ran the job: %s\n", machines, after[len(after)-1])
	return nil
}
