package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// serveVariable names the carrier that this process is to serve instead of
// running tests.
const serveVariable = "LDLM_BENCH_SERVE"

func TestMain(m *testing.M) {
	name := os.Getenv(serveVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := serve(name, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench server:", err)
		os.Exit(1)
	}
}

// serve serves a carrier on loopback until in ends. It says its address on the
// first line of out, and then the processor time that it has used, in
// nanoseconds, for each line of in.
func serve(name string, in io.Reader, out io.Writer) error {
	c, ok := carriers[name]
	if !ok {
		return fmt.Errorf("there is no carrier %q", name)
	}
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stop := c.serve(l)
	defer stop()
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		used, err := processorTime()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, used.Nanoseconds()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// A server is a process that serves a carrier. It ends with the benchmark.
type server struct {
	address string
	ask     io.Writer
	answers *bufio.Scanner
}

// startServer starts this test program anew as a server.
func startServer(b *testing.B, carrier string) *server {
	b.Helper()
	// It ends with its input, in the cleanup below, which comes after the
	// benchmark's context.
	c := exec.CommandContext(context.WithoutCancel(b.Context()), os.Args[0])
	c.Env = append(c.Environ(), serveVariable+"="+carrier)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		if err := c.Wait(); err != nil {
			b.Error("server:", err)
		}
	})
	s := &server{ask: in, answers: bufio.NewScanner(out)}
	if !s.answers.Scan() {
		b.Fatal("the server does not say where it listens:", s.answers.Err())
	}
	s.address = s.answers.Text()
	return s
}

// processorTime returns what the server has used so far.
func (s *server) processorTime(b *testing.B) time.Duration {
	b.Helper()
	if _, err := fmt.Fprintln(s.ask, "cpu"); err != nil {
		b.Fatal(err)
	}
	if !s.answers.Scan() {
		b.Fatal("the server does not say what it used:", s.answers.Err())
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s.answers.Text()), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(n)
}
