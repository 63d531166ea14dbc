package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ldlm-io/ldlm/examples/internal/stage"
)

// Six processes use the thing five times each.
const users, times = 6, 5

// run is the proof or, with arguments, one of its processes.
func run(ctx context.Context, args []string) error {
	if len(args) == 2 {
		u := user{times: times, use: journal(args[1]).use}
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
	file := filepath.Join(dir, "journal")
	var all []*stage.Process
	for i := range users {
		pkg := []string{"ldlm", "client"}[i%2]
		p, err := stage.Start(ctx, fmt.Sprintf("%s-%d", pkg, i), pkg, file)
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
	return check(journal(file))
}

// A journal is the file where uses are written down: "+" is one that begins, "-" one
// that ends.
type journal string

// use takes a moment. Whoever is among the first stays until there are three.
func (j journal) use(ctx context.Context) error {
	file, err := os.OpenFile(string(j), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := fmt.Fprintln(file, "+"); err != nil {
		return err
	}
	if err := stage.AwaitLines(ctx, string(j), "+", atOnce); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(60 * time.Millisecond):
	}
	_, err = fmt.Fprintln(file, "-")
	return err
}

// check counts who is in at each line of the journal: never more than three, and
// three at least once, since one at a time would be no semaphore.
func check(j journal) error {
	lines, err := stage.Lines(string(j))
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
