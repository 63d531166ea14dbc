//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// echo is the process that only echoes, until its input ends.
func echo(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, l.Addr())
	var talking sync.WaitGroup
	talking.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			talking.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, struct{ io.Reader }{c}) // through this process, and not in the kernel
			})
		}
	})
	_, _ = io.Copy(io.Discard, in)
	return l.Close() // the process ends, and whoever talks with it
}

// bystanders talk to an echo as the well-behaved clients do to the server.
type bystanders struct {
	cmd   *exec.Cmd
	in    io.Closer
	conns []net.Conn
}

// newBystanders starts an echo, which ends with this process at the latest, and
// connects as many clients as there are well-behaved ones.
func newBystanders(ctx context.Context) (*bystanders, error) {
	b := &bystanders{cmd: self(ctx, roleEcho)}
	var err error
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	line := make([]byte, 64)
	n, err := out.Read(line)
	for range victims {
		var c net.Conn
		if err == nil {
			c, err = net.Dial("tcp", strings.TrimSpace(string(line[:n])))
		}
		if err != nil {
			b.stop()
			return nil, fmt.Errorf("the echo: %w", err)
		}
		b.conns = append(b.conns, c)
	}
	return b, nil
}

func (b *bystanders) stop() {
	for _, c := range b.conns {
		_ = c.Close()
	}
	_ = b.in.Close()
	_ = b.cmd.Wait()
}

// work has all of them talk until ctx ends, and returns the p99 of two rounds, as a
// lock and its release are.
func (b *bystanders) work(ctx context.Context) (time.Duration, error) {
	seen, errs := make([][]time.Duration, len(b.conns)), make([]error, len(b.conns))
	var working sync.WaitGroup
	for i, c := range b.conns {
		working.Go(func() { seen[i], errs[i] = rounds(ctx, c) })
	}
	working.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, fmt.Errorf("the echo: %w", err)
		}
	}
	all := slices.Concat(seen...)
	slices.Sort(all)
	return all[len(all)*99/100], nil
}

// rounds talks to the echo, again and again; once at least.
func rounds(ctx context.Context, c net.Conn) ([]time.Duration, error) {
	t := time.NewTicker(pace)
	defer t.Stop()
	var seen []time.Duration
	word := make([]byte, 64)
	for {
		began := time.Now()
		for range 2 {
			if _, err := c.Write(word); err != nil {
				return nil, err
			}
			if _, err := io.ReadFull(c, word); err != nil {
				return nil, err
			}
		}
		seen = append(seen, time.Since(began))
		select {
		case <-t.C:
		case <-ctx.Done():
			return seen, nil
		}
	}
}
