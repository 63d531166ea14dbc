package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ldlm-io/ldlm/examples/internal/stage"
)

// run is the proof or, with arguments, one of its processes.
func run(ctx context.Context, args []string) error {
	if len(args) == 4 {
		takes, err := time.ParseDuration(args[3])
		if err != nil {
			return err
		}
		w := worker{name: args[1], store: store(args[2]), takes: takes}
		if args[0] == "client" {
			return w.classic(stage.UntilEOF(ctx))
		}
		return w.modern(stage.UntilEOF(ctx))
	}
	dir, err := os.MkdirTemp("", "tasks")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return prove(ctx, store(filepath.Join(dir, "store")))
}

// prove starts a slow worker and four others, kills the slow one at its first
// task, and counts what was done by whom.
func prove(ctx context.Context, s store) error {
	slow, err := stage.Start(ctx, "slow", "ldlm", "slow", string(s), "1h")
	if err != nil {
		return err
	}
	defer slow.Kill()
	abandoned, err := slow.Read()
	if err != nil {
		return err
	}
	var workers []*stage.Process
	for i, pkg := range []string{"ldlm", "client", "ldlm", "client"} {
		name := fmt.Sprintf("%s-%d", pkg, i)
		w, err := stage.Start(ctx, name, pkg, name, string(s), "30ms")
		if err != nil {
			return err
		}
		defer w.Kill()
		workers = append(workers, w)
	}
	if err := stage.AwaitLines(ctx, string(s), "done", numberOfTasks/2); err != nil {
		return err
	}
	slow.Kill()
	for _, w := range workers {
		if err := w.Wait(); err != nil {
			return err
		}
	}
	return check(s, abandoned)
}

// check fails unless every task was begun once and done once; the abandoned one
// was begun twice.
func check(s store, abandoned string) error {
	for i := range numberOfTasks {
		task := fmt.Sprintf("task-%d", i)
		began, err := s.workers("start", task)
		if err != nil {
			return err
		}
		done, err := s.workers("done", task)
		if err != nil {
			return err
		}
		begun := 1
		if task == abandoned {
			begun = 2
			fmt.Printf("%s was begun by %s, who was killed, and done by %v\n", task, began[0], done)
		}
		if len(began) != begun || len(done) != 1 {
			return fmt.Errorf("%s was begun by %v and done by %v", task, began, done)
		}
	}
	fmt.Printf("%d tasks, five workers, one killed: each task done once\n", numberOfTasks)
	return nil
}
