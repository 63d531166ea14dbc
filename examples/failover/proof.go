package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ldlm-io/ldlm/examples/internal/stage"
)

// run is the proof or, with arguments, one of its processes.
func run(ctx context.Context, args []string) error {
	if len(args) == 3 {
		m := member{name: args[1], journal: args[2]}
		if args[0] == "client" {
			return m.classic(stage.UntilEOF(ctx))
		}
		return m.modern(stage.UntilEOF(ctx))
	}
	for _, pkg := range []string{"ldlm", "client"} {
		if err := prove(ctx, pkg); err != nil {
			return fmt.Errorf("package %s: %w", pkg, err)
		}
	}
	return nil
}

// prove starts two members, kills the primary, and looks at what they wrote into
// the same file: lines of the two must not alternate.
func prove(ctx context.Context, pkg string) error {
	dir, err := os.MkdirTemp("", "failover")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	journal := filepath.Join(dir, "journal")

	first, err := enter(ctx, pkg, "first", journal, "primary")
	if err != nil {
		return err
	}
	defer first.Kill()
	second, err := enter(ctx, pkg, "second", journal, "backup")
	if err != nil {
		return err
	}
	defer second.Kill()
	if err := stage.AwaitLines(ctx, journal, "first", 10); err != nil {
		return err
	}
	killed := time.Now()
	first.Kill()
	if err := second.Says("primary"); err != nil {
		return err
	}
	took := time.Since(killed).Round(time.Millisecond)
	if err := stage.AwaitLines(ctx, journal, "second", 10); err != nil {
		return err
	}
	if err := second.End(); err != nil {
		return err
	}
	worked, err := stage.Terms(journal)
	if err != nil {
		return err
	}
	if !slices.Equal(worked, []string{"first", "second"}) {
		return fmt.Errorf("there were two: they worked in the order %v", worked)
	}
	fmt.Printf("package %-6s  primary killed; backup took over after %v; never two\n", pkg, took)
	return nil
}

// enter starts a member and waits for the part that it must have.
func enter(ctx context.Context, pkg, name, journal, part string) (*stage.Process, error) {
	p, err := stage.Start(ctx, name, pkg, name, journal)
	if err != nil {
		return nil, err
	}
	if err := p.Says(part); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}
