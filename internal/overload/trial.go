//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/ldlm-io/ldlm/internal/proc"
)

// A trial is one way to put a server under load.
type trial struct {
	name string
	// setup of the server; in small, another.
	setup, small setup
	// bring brings the load, of so many of whatever it is, and says what came of it.
	bring       func(ctx context.Context, addr string, n int) (outcome, error)
	full, least int // how many, and how many in small
	// judge looks at what came of it, beside that everybody was served.
	judge func(n int, o *outcome, log string) error
}

// outcome is what the process that brought the load tells.
type outcome struct {
	// Reached is how much of the load the server took, Refused how much it refused
	// with a status that names a field and a limit.
	Reached, Refused int64
	Field            string
	Limit            int64
	// Note says more in a few words.
	Note string
}

// findings are what a trial has shown.
type findings struct {
	N                     int
	Before, During, After served
	// EchoBefore and EchoDuring are the p99 of those who talk to the echo.
	EchoBefore, EchoDuring time.Duration
	// Memory of the server in bytes: before, at most, and when it was over.
	MemoryBefore, MemoryMost, MemoryAfter int64
	Outcome                               outcome
	Took                                  time.Duration
}

// try runs a trial with processes of its own.
func try(ctx context.Context, t trial, small bool) (f findings, err error) {
	s := t.setup
	if f.N = t.full; small {
		f.N, s = t.least, t.small
	}
	server, err := startServer(ctx, s)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	all, err := newCrowd(server.addr)
	if err != nil {
		return f, err
	}
	defer all.close()
	aside, err := newBystanders(ctx)
	if err != nil {
		return f, err
	}
	defer aside.stop()
	calm := 5 * time.Second
	if small {
		calm = 100 * time.Millisecond
	}
	if f.Before, f.EchoBefore, err = workFor(ctx, calm, all, aside); err != nil {
		return f, err
	}
	f.MemoryBefore, _ = proc.PSS(server.pid)
	nice := 19
	if small {
		nice = 0 // it is to be over soon, whatever else the machine does
	}
	if err := f.load(ctx, t, nice, server, all, aside); err != nil {
		return f, err
	}
	if f.After, _, err = workFor(ctx, calm, all, aside); err != nil {
		return f, err
	}
	f.MemoryAfter, _ = proc.PSS(server.pid)
	if err := t.judge(f.N, &f.Outcome, server.log.String()); err != nil || small {
		return f, err
	}
	return f, f.fair()
}

// fair wants what others saw to be bounded by what they saw before, and by what the
// machine did to those whom the load did not concern.
func (f *findings) fair() error {
	const most = 3
	if f.ratio() > most*max(f.echoRatio(), 1) {
		return fmt.Errorf("the p99 of others grew more than %d times as much as that of the echo", most)
	}
	return nil
}

// ratio is how many times longer the p99 of others was during the load than before,
// echoRatio that of the echo; 0 if there was none before.
func (f *findings) ratio() float64     { return ratio(f.During.P99, f.Before.P99) }
func (f *findings) echoRatio() float64 { return ratio(f.EchoDuring, f.EchoBefore) }

func ratio(during, before time.Duration) float64 {
	if before == 0 {
		return 0
	}
	return float64(during) / float64(before)
}

func workFor(ctx context.Context, d time.Duration, all crowd, aside *bystanders) (served, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return work(ctx, all, aside)
}

// work has all of them go on until ctx ends.
func work(ctx context.Context, all crowd, aside *bystanders) (s served, echoed time.Duration, err error) {
	var working sync.WaitGroup
	var echoErr error
	working.Go(func() { echoed, echoErr = aside.work(ctx) })
	s, err = all.work(ctx)
	working.Wait()
	return s, echoed, errors.Join(err, echoErr)
}

// load has another process bring the load while the others go on, and be so nice to them.
func (f *findings) load(ctx context.Context, t trial, nice int, server *running, all crowd, aside *bystanders) error {
	began := time.Now()
	defer func() { f.Took = time.Since(began) }()
	working, rest := context.WithCancel(ctx)
	var inner sync.WaitGroup
	var workErr error
	inner.Go(func() { f.During, f.EchoDuring, workErr = work(working, all, aside) })
	inner.Go(func() { f.MemoryMost = watchMemory(working, server.pid) })
	cmd := self(ctx, roleLoad, t.name, server.addr, strconv.Itoa(f.N))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		if nice > 0 {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, nice) // or it is as good as the others
		}
		text, _ := io.ReadAll(out)
		if err = cmd.Wait(); err == nil {
			err = json.Unmarshal(text, &f.Outcome)
		}
	}
	rest()
	inner.Wait()
	if err != nil {
		err = fmt.Errorf("the load: %w", err)
	}
	return errors.Join(err, workErr)
}

// watchMemory returns the most memory that a process had until ctx ends.
func watchMemory(ctx context.Context, pid int) int64 {
	t := time.NewTicker(250 * time.Millisecond)
	defer t.Stop()
	var most int64
	for {
		if n, err := proc.PSS(pid); err == nil {
			most = max(most, n)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return most
		}
	}
}

// bring is the process of the load: name of the trial, address, how many.
func bring(ctx context.Context, args []string, out io.Writer) error {
	for _, t := range trials() {
		if t.name != args[0] {
			continue
		}
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		o, err := t.bring(ctx, args[1], n)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(o)
	}
	return fmt.Errorf("there is no trial %q", args[0])
}
