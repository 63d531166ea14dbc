// Command tasks has several processes work through one list of tasks. Each task
// is done once, also the one whose worker is killed in the midst of it.
//
// This file is what a program needs of it, with package ldlm and with package
// client; proof.go starts, kills and counts.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/client"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tasks:", err)
		os.Exit(1)
	}
}

// A worker does what is left of the tasks until nothing is.
type worker struct {
	name  string
	store store         // who knows which tasks are done
	takes time.Duration // how long one task takes it
}

// tasks goes through the open tasks in any order, again and again.
func (w worker) tasks(ctx context.Context, attempt func(ctx context.Context, task string) error) error {
	for {
		open, err := w.store.open()
		if err != nil || len(open) == 0 {
			return err
		}
		for _, i := range rand.Perm(len(open)) {
			if err := attempt(ctx, open[i]); err != nil {
				return fmt.Errorf("%s: %w", open[i], err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond): // the rest is being done by others
		}
	}
}

// modern is a worker in the terms of package ldlm. The death of its process gives
// its tasks back at once, since it asks for that.
func (w worker) modern(ctx context.Context) error {
	c, err := ldlm.Dial(address(), ldlm.WithReleaseOnDisconnect())
	if err != nil {
		return err
	}
	defer c.Close()
	return w.tasks(ctx, func(ctx context.Context, task string) error {
		lock, err := c.TryLock(ctx, "example/"+task, ldlm.Reason("worker "+w.name))
		if errors.Is(err, ldlm.ErrHeld) {
			return nil // somebody else is at it
		}
		if err != nil {
			return err
		}
		defer lock.Release(ctx)
		return w.once(lock.Context(ctx), task)
	})
}

// classic is a worker in the terms of package client.
func (w worker) classic(ctx context.Context) error {
	c, err := client.New(ctx, client.Config{Address: address()})
	if err != nil {
		return err
	}
	defer c.Close()
	return w.tasks(ctx, func(ctx context.Context, task string) error {
		lock, err := c.TryLock("example/"+task, nil)
		if err != nil || !lock.Locked {
			return err
		}
		defer lock.Unlock()
		return w.once(lock.Context(ctx), task)
	})
}

// once does a task under its lock. It looks first whether the task is done by
// now: between the look at the list and the lock somebody may have done it.
func (w worker) once(ctx context.Context, task string) error {
	if done, err := w.store.isDone(task); err != nil || done {
		return err
	}
	if err := w.store.note("start", task, w.name); err != nil {
		return err
	}
	fmt.Println(task)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(w.takes): // the work
	}
	return w.store.note("done", task, w.name)
}

// address is where the server is.
func address() string { return cmp.Or(os.Getenv("LDLM_ADDRESS"), "127.0.0.1:3144") }
