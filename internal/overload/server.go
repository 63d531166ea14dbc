//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ldlm-io/ldlm/internal/server"
)

const (
	roleServer = "server"
	roleLoad   = "load"
	roleEcho   = "echo"
)

// setup is what a server is started with.
type setup struct {
	Limits server.Limits
	// Files is the most file descriptors that it may have; 0 is what this process may.
	Files uint64
	// Profile is where to write what the server spent its time on; "" is nowhere.
	Profile string
}

// serve is the server's process: it says where it listens, and ends when its input does.
func serve(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var s setup
	if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
		return err
	}
	if s.Files > 0 {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: s.Files, Max: s.Files}); err != nil {
			return err
		}
	}
	if s.Profile != "" {
		f, err := os.Create(s.Profile)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	srv, err := server.Start(server.Config{Listener: l, Logger: log, Limits: s.Limits})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, srv.Addr())
	_, _ = io.Copy(io.Discard, in) // until whoever started it ends
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return srv.Shutdown(ctx)
}

// running is a server's process, as seen by who started it.
type running struct {
	addr string
	pid  int
	log  *lockedBuffer

	cmd *exec.Cmd
	in  io.Closer
}

// startServer starts a server, which ends with this process at the latest.
func startServer(ctx context.Context, s setup) (*running, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	r := &running{log: &lockedBuffer{}}
	r.cmd = self(ctx, roleServer, string(text))
	r.cmd.Stderr = r.log
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	r.pid = r.cmd.Process.Pid
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil {
		_ = r.stop()
		return nil, fmt.Errorf("the server did not start: %w; it said %s", err, r.log)
	}
	r.addr = strings.TrimSpace(string(line[:n]))
	return r, nil
}

// stop ends the server and waits for its end.
func (r *running) stop() error {
	_ = r.in.Close()
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("the server's end: %w; it said %s", err, r.log)
	}
	return nil
}

// self is this program in another role.
func self(ctx context.Context, role string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "/proc/self/exe", args...)
	c.Env = append(os.Environ(), roleKey+"="+role)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// lockedBuffer keeps what a process writes while others read it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// String returns what was written so far.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
