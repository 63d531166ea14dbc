package compare

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// patience bounds how long a process may take until it is ready, on a busy machine.
const patience = 2 * time.Minute

// A process is one that a measurement has started. Whoever starts it ends it.
type process struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser // its stdin: closed with this process, should that be killed
	out  *lines         // stdout and stderr
	done chan struct{}  // closed when it has ended
}

// start starts a program in a process group of its own, so that what a terminal
// sends to this process reaches it only through us.
func start(ctx context.Context, name, path string, args ...string) (*process, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, args...) //nolint:gosec // the programs that are compared
	p := &process{name: name, cmd: cmd, out: newLines(), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.SysProcAttr = apart()
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.in = in
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended matters to nobody, why is in its output
		p.out.end()
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the process at once, and returns when it has ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// await returns what follows prefix in a line of the output, once there is one.
func (p *process) await(ctx context.Context, prefix string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not ready within %s", patience))
	defer cancel()
	rest, err := p.out.await(ctx, prefix)
	if err != nil {
		return "", fmt.Errorf("%s: %w; it says: %s", p.name, err, p.out.tail())
	}
	return rest, nil
}

// awaitPort returns once somebody listens at an address.
func (p *process) awaitPort(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not ready within %s", patience))
	defer cancel()
	const pause = 10 * time.Millisecond
	for {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; it says: %s", p.name, context.Cause(ctx), p.out.tail())
		case <-p.done:
			return fmt.Errorf("%s has ended; it says: %s", p.name, p.out.tail())
		}
	}
}

// lines keeps the output of a process, its beginning and as much as that, and
// lets others wait for a line.
type lines struct {
	mu    sync.Mutex
	text  bytes.Buffer
	over  bool
	wrote chan struct{} // closed, and made anew, with each change
}

// maxOutputBytes bounds what is kept of the output of a process.
const maxOutputBytes = 1 << 20

func newLines() *lines { return &lines{wrote: make(chan struct{})} }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len() < maxOutputBytes {
		l.text.Write(b)
	}
	close(l.wrote)
	l.wrote = make(chan struct{})
	return len(b), nil
}

func (l *lines) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	close(l.wrote)
	l.wrote = make(chan struct{})
}

// find returns what follows prefix in a whole line; changed is closed when there
// is more to look at.
func (l *lines) find(prefix string) (rest string, found, over bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := bufio.NewScanner(bytes.NewReader(l.text.Bytes())); s.Scan(); {
		if _, rest, ok := strings.Cut(s.Text(), prefix); ok {
			return rest, true, l.over, nil
		}
	}
	return "", false, l.over, l.wrote
}

func (l *lines) await(ctx context.Context, prefix string) (string, error) {
	for {
		rest, found, over, changed := l.find(prefix)
		switch {
		case found:
			return rest, nil
		case over:
			return "", errors.New("it has ended")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// tail returns the end of the output, for people.
func (l *lines) tail() string {
	const most = 500
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSpace(l.text.String())
	if text == "" {
		return "nothing"
	}
	return text[max(0, len(text)-most):]
}
