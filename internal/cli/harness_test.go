package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// programs is the folder of the built programs; TestMain sets it.
var programs string

func TestMain(m *testing.M) {
	hearSignals()
	dir, err := os.MkdirTemp("", "ldlm-cli")
	if err == nil {
		var out []byte
		out, err = exec.Command("go", "build", "-o", dir+string(filepath.Separator), "../../cmd/...").CombinedOutput()
		os.Stderr.Write(out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot build the programs:", err)
		os.Exit(1)
	}
	programs = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// hearSignals keeps the programs that tests start from ignoring signals because
// whoever started the tests does, as nohup makes it: they would inherit that.
func hearSignals() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// golden compares with a file of testdata, and writes it if LDLM_REWRITE is set.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("LDLM_REWRITE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; LDLM_REWRITE=1 writes it anew. Got:\n%s", path, got)
	}
}

// output keeps what a program writes, and lets a test wait for a part of it.
type output struct {
	mu   sync.Mutex
	more *sync.Cond
	text bytes.Buffer
	over bool
}

func newOutput() *output {
	o := &output{}
	o.more = sync.NewCond(&o.mu)
	return o
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.more.Broadcast()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// end says that nothing more will come.
func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	o.more.Broadcast()
}

// await returns everything once part is in it.
func (o *output) await(t *testing.T, part string) string {
	t.Helper()
	return o.awaitCount(t, part, 1)
}

// awaitCount returns everything once part is in it so many times.
func (o *output) awaitCount(t *testing.T, part string, n int) string {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for strings.Count(o.text.String(), part) < n {
		if o.over {
			t.Fatalf("it ended without saying %q %d times:\n%s", part, n, o.text.String())
		}
		o.more.Wait()
	}
	return o.text.String()
}

// environment is a Process's environment, with TMPDIR a folder of the test's own
// unless it says otherwise.
type environment map[string]string

func (e environment) in(dir string) func(string) string {
	return func(name string) string {
		if v, ok := e[name]; ok {
			return v
		}
		if name == "TMPDIR" {
			return dir
		}
		return ""
	}
}

// list returns the variables as children get them.
func (e environment) list() []string {
	var all []string
	for name, v := range e {
		all = append(all, name+"="+v)
	}
	return all
}

// result is how a program ended.
type result struct {
	code           int
	stdout, stderr string
}

// call runs a program in this process, to its end.
func call(t *testing.T, program func(Process) int, env environment, args ...string) result {
	t.Helper()
	r := start(t, program, env, args...)
	return r.wait()
}

// running is a program that runs in this process.
type running struct {
	stdout, stderr *output
	signals        chan os.Signal
	hangups        chan os.Signal
	stopped        chan struct{}
	code           int    // once stopped is closed
	dir            string // TMPDIR
}

// start runs a program in this process.
func start(t *testing.T, program func(Process) int, env environment, args ...string) *running {
	t.Helper()
	r := &running{
		stdout: newOutput(), stderr: newOutput(), signals: make(chan os.Signal, 2), hangups: make(chan os.Signal), stopped: make(chan struct{}), dir: shortDir(t),
	}
	p := Process{
		Args: args, Stdin: strings.NewReader(""), Stdout: r.stdout, Stderr: r.stderr, Getenv: env.in(r.dir), Environ: env.list,
		Notify:  func() (<-chan os.Signal, func()) { return r.signals, func() {} },
		Hangups: func() (<-chan os.Signal, func()) { return r.hangups, func() {} },
		// A busy machine is slower than people are patient.
		CompleteWithin: time.Hour,
	}
	go func() {
		defer close(r.stopped)
		r.code = program(p)
		r.stdout.end()
		r.stderr.end()
	}()
	return r
}

func (r *running) wait() result {
	<-r.stopped
	return result{r.code, r.stdout.String(), r.stderr.String()}
}

// stop sends a signal and waits for the end.
func (r *running) stop(s os.Signal) result {
	r.signals <- s
	return r.wait()
}

// shortDir is a folder whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ldlm") //nolint:usetesting // the path of t.TempDir has the test's name in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// address waits until a server says where it listens, and returns that.
func (r *running) address(t *testing.T) string {
	t.Helper()
	return addressIn(t, r.stderr.await(t, `"msg":"Server runs"`))
}

// addressIn finds the address in a server's log.
func addressIn(t *testing.T, log string) string {
	t.Helper()
	for _, l := range logLines(t, log) {
		if l["msg"] == "Server runs" {
			return l["address"].(string)
		}
	}
	t.Fatalf("the log does not say where the server listens:\n%s", log)
	return ""
}

// logLines reads a log, of which every line must be what compatible logs have.
func logLines(t *testing.T, log string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for lines := bufio.NewScanner(strings.NewReader(log)); lines.Scan(); {
		var l map[string]any
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatalf("not a line of a log: %s", lines.Text())
		}
		stamp, _ := l["time"].(string)
		if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil || l["level"] == nil || l["msg"] == nil {
			t.Errorf("a line without time, level or msg: %s", lines.Text())
		}
		all = append(all, l)
	}
	return all
}

// wantLog checks that a log has a line of that level, message and attributes.
func wantLog(t *testing.T, log, level, msg string, attrs ...any) {
	t.Helper()
	for _, l := range logLines(t, log) {
		ok := l["level"] == level && l["msg"] == msg
		for i := 0; i < len(attrs); i += 2 {
			ok = ok && l[attrs[i].(string)] == attrs[i+1]
		}
		if ok {
			return
		}
	}
	t.Errorf("the log has no %s %q %v:\n%s", level, msg, attrs, log)
}

// child is a program that runs in a process of its own.
type child struct {
	*exec.Cmd
	stdout, stderr *output
	dir            string // TMPDIR
}

// spawn runs a built program. Signals are for systems that have them.
func spawn(t *testing.T, program string, args ...string) *child {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs signals")
	}
	return spawnIn(t, shortDir(t), program, args...)
}

func spawnIn(t *testing.T, dir, program string, args ...string) *child {
	t.Helper()
	c := &child{
		Cmd:    exec.CommandContext(t.Context(), filepath.Join(programs, program), args...),
		stdout: newOutput(), stderr: newOutput(), dir: dir,
	}
	c.Env = []string{"TMPDIR=" + dir}
	c.Stdout, c.Stderr = c.stdout, c.stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// end waits for the end, and returns the exit code.
func (c *child) end(t *testing.T) int {
	t.Helper()
	err := c.Wait()
	c.stdout.end()
	c.stderr.end()
	if e := (*exec.ExitError)(nil); err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode()
}

// signal sends a signal and returns the exit code.
func (c *child) signal(t *testing.T, s os.Signal) int {
	t.Helper()
	if err := c.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	return c.end(t)
}

// kill ends a process without asking it.
func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil || c.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("it was to be killed: %v", err)
	}
}

// freePort returns an address of this machine that nobody listens at, and that
// stays so: its host is one of the many of loopback that others do not happen to
// use as well. Other systems than Linux have one alone.
func freePort(t *testing.T) string {
	t.Helper()
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), 1+rand.IntN(254), 1+rand.IntN(254))
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// takePort listens at a free address of this machine.
func takePort(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// listenUnix listens on a socket until the test ends.
func listenUnix(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// names lists a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}
