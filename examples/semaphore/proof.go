package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ldlm-io/ldlm/examples/internal/stage"
)

// Six processes use the thing five times each.
const users, times = 6, 5

// run is the proof or, with arguments, one of its processes.
func run(ctx context.Context, args []string) error {
	if len(args) == 2 {
		u := user{times: times, journal: args[1]}
		if args[0] == "client" {
			return u.classic(ctx)
		}
		return u.modern(ctx)
	}
	dir, err := os.MkdirTemp("", "semaphore")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	journal := filepath.Join(dir, "journal")
	var all []*stage.Process
	for i := range users {
		pkg := []string{"ldlm", "client"}[i%2]
		p, err := stage.Start(ctx, fmt.Sprintf("%s-%d", pkg, i), pkg, journal)
		if err != nil {
			return err
		}
		defer p.Kill()
		all = append(all, p)
	}
	for _, p := range all {
		if err := p.Wait(); err != nil {
			return err
		}
	}
	return check(journal)
}

// check counts who is in at each line of the journal: never more than three, and
// three at least once, since one at a time would be no semaphore.
func check(journal string) error {
	lines, err := stage.Lines(journal)
	if err != nil {
		return err
	}
	in, most, uses := 0, 0, 0
	for _, line := range lines {
		switch line {
		case "+":
			in++
			uses++
		case "-":
			in--
		}
		most = max(most, in)
	}
	if uses != users*times || most != atOnce {
		return fmt.Errorf("%d uses, wanted %d; up to %d at once, wanted %d", uses, users*times, most, atOnce)
	}
	fmt.Printf("%d processes, %d uses; %d at once, never more\n", users, uses, most)
	return nil
}
