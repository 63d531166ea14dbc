package compare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Machine says where, and with which versions, something was measured.
type Machine struct {
	Time    string   `json:"time"`
	CPU     string   `json:"cpu"`
	CPUs    int      `json:"cpus"`
	Memory  string   `json:"memory"`
	System  string   `json:"system"`
	Load    string   `json:"load_average_before"`
	After   string   `json:"load_average_after"`
	Go      string   `json:"go"`
	LDLM    string   `json:"ldlm"`
	Redis   string   `json:"redis"`
	Etcd    string   `json:"etcd"`
	Modules []string `json:"modules"`
}

// none stands for the version of what is not there.
const none = "none"

// look finds out. What the system does not tell is left empty; a program that does
// not tell its version is not there.
func look(ctx context.Context, ldlm, redis, etcd string) (Machine, error) {
	m := Machine{
		Time: time.Now().UTC().Format(time.DateTime + " MST"), CPU: entry("/proc/cpuinfo", "model name"), CPUs: runtime.NumCPU(),
		Memory: entry("/proc/meminfo", "MemTotal"), System: runtime.GOOS + " " + firstLine("/proc/sys/kernel/osrelease"),
		Load: loadAverage(), Go: runtime.Version(), Modules: modules(), Redis: none, Etcd: none,
	}
	version, err := run(ctx, ldlm, "version")
	if err != nil {
		return Machine{}, err
	}
	m.LDLM = strings.Join(strings.Split(strings.TrimSpace(version), "\n"), ", ")
	if redis != "" {
		version, err := run(ctx, redis, "--version")
		if err != nil {
			return Machine{}, err
		}
		m.Redis = strings.TrimSpace(version)
	}
	if etcd != "" {
		version, err := run(ctx, etcd, "version")
		if err != nil {
			return Machine{}, err
		}
		m.Etcd = strings.TrimSpace(version)
	}
	return m, nil
}

// lookAgain notes what may have changed during a run.
func (m *Machine) lookAgain() { m.After = loadAverage() }

// loadAverage returns the means of the last minute, five, and fifteen.
func loadAverage() string {
	const means = 3
	fields := strings.Fields(firstLine("/proc/loadavg"))
	return strings.Join(fields[:min(means, len(fields))], " ")
}

// run returns the output of a program.
func run(ctx context.Context, path string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, path, args...).Output() //nolint:gosec // the programs that are compared
	if err != nil {
		said := ""
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			said = ": " + strings.TrimSpace(string(exit.Stderr))
		}
		return "", fmt.Errorf("%s %s: %w%s", path, strings.Join(args, " "), err, said)
	}
	return string(out), nil
}

// entry returns the value of the first line that begins with name and a colon.
func entry(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(text) {
		if key, value, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func firstLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// modules returns the versions of what the other side's clients and echoes are
// made of.
func modules() []string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	var all []string
	for _, d := range info.Deps {
		switch d.Path {
		case "github.com/redis/go-redis/v9", "github.com/redis/rueidis", "google.golang.org/grpc", "go.etcd.io/etcd/client/v3":
			all = append(all, d.Path+" "+d.Version)
		}
	}
	return all
}

func (m *Machine) write(w io.Writer) {
	fmt.Fprintf(w, "- Machine: %d x %s, %s, %s; load average before: %s, after: %s\n",
		m.CPUs, m.CPU, m.Memory, m.System, m.Load, m.After)
	other := "Redis: " + m.Redis
	if m.Etcd != none {
		other = "etcd: " + m.Etcd
	}
	fmt.Fprintf(w, "- Versions: %s; %s; %s; %s\n", m.LDLM, m.Go, other, strings.Join(m.Modules, ", "))
	fmt.Fprintf(w, "- Time: %s\n", m.Time)
}
