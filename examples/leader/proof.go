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
	if len(args) == 2 {
		return candidate(stage.UntilEOF(ctx), args[0], args[1])
	}
	dir, err := os.MkdirTemp("", "leader")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p := &proof{journal: filepath.Join(dir, "journal"), candidates: map[string]*stage.Process{}}
	defer p.killAll()
	for _, name := range []string{"ann", "ben", "cem"} {
		if p.candidates[name], err = stage.Start(ctx, name, name, p.journal); err != nil {
			return err
		}
	}
	if err := follow(ctx, func(leader string) (bool, error) { return p.see(ctx, leader) }); err != nil {
		return err
	}
	return p.check()
}

// A proof is a journal that every leader writes to, and what was seen so far.
type proof struct {
	journal    string
	candidates map[string]*stage.Process
	leaders    []string // as they were observed
	changed    time.Time
}

// see is told of a leader. It lets it work for a moment, then kills the first,
// and asks the second to step down.
func (p *proof) see(ctx context.Context, leader string) (more bool, err error) {
	if len(p.leaders) > 0 {
		fmt.Printf("%s leads, after %v\n", leader, time.Since(p.changed).Round(time.Millisecond))
	} else {
		fmt.Printf("%s leads\n", leader)
	}
	p.leaders = append(p.leaders, leader)
	if p.candidates[leader] == nil {
		return false, fmt.Errorf("nobody here is called %q", leader)
	}
	if err := stage.AwaitLines(ctx, p.journal, leader, 10); err != nil {
		return false, err
	}
	p.changed = time.Now()
	switch len(p.leaders) {
	case 1:
		fmt.Printf("%s is killed\n", leader)
		p.candidates[leader].Kill()
		return true, nil
	case 2:
		fmt.Printf("%s is asked to end\n", leader)
		return true, p.candidates[leader].End()
	default:
		return false, p.candidates[leader].End()
	}
}

// check fails if the leaders that wrote are not those that were observed, each
// after the one before it.
func (p *proof) check() error {
	wrote, err := stage.Terms(p.journal)
	if err != nil {
		return err
	}
	if len(wrote) != 3 || !slices.Equal(wrote, p.leaders) {
		return fmt.Errorf("%v were seen to lead, but those who worked were %v", p.leaders, wrote)
	}
	fmt.Println("three terms, one after the other; never two leaders")
	return nil
}

func (p *proof) killAll() {
	for _, c := range p.candidates {
		c.Kill()
	}
}
