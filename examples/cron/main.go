// Command cron starts the same job on five machines at the same minute, and runs
// it on one.
//
// The lock is named for the job and the minute, and whoever has it keeps it until
// every machine has looked, however late its clock is: if it gave the lock back
// with the end of a short job, a machine whose clock is late would run it again.
//
// This file is what a program needs of it; proof.go starts the machines and counts.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ldlm-io/ldlm"
)

// tolerance is by how much clocks may differ. For clocks that are kept by NTP a
// minute is plenty; here nobody wants to wait for that.
const tolerance = 5 * time.Second

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cron:", err)
		os.Exit(1)
	}
}

// once runs the job of a minute unless another machine does or did. It reports
// whether it ran here.
func once(ctx context.Context, c *ldlm.Client, job, minute string, f func(ctx context.Context) error) (ran bool, err error) {
	lock, err := c.TryLock(ctx, "cron/"+job+"/"+minute, ldlm.Reason("job of "+minute))
	if errors.Is(err, ldlm.ErrHeld) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer lock.Release(ctx)
	all := time.After(tolerance) // by then every machine has looked
	err = f(lock.Context(ctx))
	select {
	case <-all:
	case <-ctx.Done():
	}
	return true, err
}

// address is where the server is.
func address() string { return cmp.Or(os.Getenv("LDLM_ADDRESS"), "127.0.0.1:3144") }
