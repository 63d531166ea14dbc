package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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

// inside says that the program runs in a mount namespace of its own, and rehearses that
// it only tries there what it needs.
const (
	inside    = "LDLM_VERIFY_INSIDE"
	rehearses = "rehearses"
)

// skip says why nothing can be verified here. In CI that is a failure.
func skip(out io.Writer, why error) error {
	if os.Getenv("CI") == "true" {
		return why
	}
	fmt.Fprintf(out, "skipped, nothing was verified: %v\n", why)
	return nil
}

// prepared says what keeps a run from beginning: what is missing, or what the machine
// does not let its root do, as in many containers.
func prepared(program string) error {
	if err := missing(program); err != nil {
		return err
	}
	var said bytes.Buffer
	if err := enclose(nil, &said, &said, rehearses); err != nil {
		return fmt.Errorf("this machine does not allow it: %w: %s"+
			"(it takes network and time namespaces, a tun device, mounts and loop devices)", err, &said)
	}
	return nil
}

// rehearse makes and ends one machine and one disk.
func rehearse(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "ldlm-verify-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m, err := newMachine("rehearsal", netip.AddrFrom4([4]byte{10, 77, 0, 1}))
	if err != nil {
		return err
	}
	defer m.close()
	if err := m.shiftClocks(1); err != nil {
		return err
	}
	disks := filepath.Join(dir, "disks")
	if err := inMemory(disks); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Unmount(disks, 0)) }()
	d, err := newDisk(ctx, filepath.Join(disks, "image"), filepath.Join(dir, "disk"))
	if err != nil {
		return err
	}
	return errors.Join(d.freeze(), d.unmount(), os.Remove(d.image))
}

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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch os.Getenv(inside) {
	case "":
		if err := prepared(s.program); err != nil {
			return skip(out, err)
		}
		return enclose(args, os.Stdout, os.Stderr, "1")
	case rehearses:
		return rehearse(ctx)
	}
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
// ends with it. how says for what.
func enclose(args []string, out, complaints io.Writer, how string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	signal.Ignore(os.Interrupt) // it is for the program inside, whose end is waited for
	c := exec.CommandContext(context.Background(), self, args...)
	c.Env = append(os.Environ(), inside+"="+how)
	c.Stdout, c.Stderr = out, complaints
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
