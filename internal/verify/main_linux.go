package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// settings are what a run is asked to be.
type settings struct {
	duration time.Duration
	rounds   int
	only     string
	seed     uint64
	floor    float64
	program  string
	dir      string
	out      io.Writer
}

func main() {
	if isAsked() {
		if err := serveClients(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "clients:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
		os.Exit(1)
	}
}

// inside says that the program runs in a mount namespace of its own.
const inside = "LDLM_VERIFY_INSIDE"

func run(args []string, out io.Writer) error {
	s := settings{out: out}
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.DurationVar(&s.duration, "duration", time.Minute, "how long at least")
	flags.IntVar(&s.rounds, "rounds", 1, "how many faults of each kind at least")
	flags.StringVar(&s.only, "only", "", "only kinds of faults whose names contain this")
	flags.Uint64Var(&s.seed, "seed", 0, "what chance begins with; 0 draws one")
	flags.Float64Var(&s.floor, "floor", 100, "operations a second between faults, below which a run is void")
	flags.StringVar(&s.program, "ldlm", ".bin/ldlm", "the program ldlm")
	flags.StringVar(&s.dir, "dir", "", "directory, new or empty, for what is kept of the run; empty for one in the directory of temporary files")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if missing := missing(s.program); missing != nil {
		if os.Getenv("CI") == "true" {
			return missing
		}
		fmt.Fprintf(out, "skipped, nothing was verified: %v\n", missing)
		return nil
	}
	if os.Getenv(inside) == "" {
		return enclose(args)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	if err := s.makeDir(); err != nil {
		return err
	}
	return verify(ctx, s)
}

// missing says what this machine lacks.
func missing(program string) error {
	var all []error
	if os.Geteuid() != 0 {
		all = append(all, errors.New("network namespaces and file systems need root"))
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		all = append(all, err)
	}
	for _, name := range []string{"mkfs.ext4", "mount"} {
		if _, err := exec.LookPath(name); err != nil {
			all = append(all, fmt.Errorf("%w: apt-get install e2fsprogs mount", err))
		}
	}
	if _, err := os.Stat(program); err != nil {
		all = append(all, fmt.Errorf("%w: make build", err))
	}
	return errors.Join(all...)
}

// enclose runs the program once more, in a mount namespace of its own: what it mounts
// ends with it.
func enclose(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	signal.Ignore(os.Interrupt) // it is for the program inside, whose end is waited for
	c := exec.CommandContext(context.Background(), self, args...)
	c.Env = append(os.Environ(), inside+"=1")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return c.Run()
}

func (s *settings) makeDir() (err error) {
	if s.dir == "" {
		s.dir, err = os.MkdirTemp("", "ldlm-verify-")
		return err
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return err
	}
	if err = os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if files, err := os.ReadDir(s.dir); err != nil || len(files) > 0 {
		return fmt.Errorf("%s is not empty, or cannot be read: %w", s.dir, err)
	}
	return nil
}
