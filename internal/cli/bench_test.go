package cli

import (
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// bench runs the command against a server, at a small size.
func bench(t *testing.T, address string, args ...string) result {
	t.Helper()
	return call(t, Ldlm, nil, append([]string{"bench", "--address", address, "--warm-up", "0"}, args...)...)
}

func TestBench(t *testing.T) {
	address := startServer(t, nil).address(t)
	for _, args := range []string{
		"--workers 1",
		"--workers 3 --connections each",
		"--workers 4 --connections 2 --carrier grpc",
		"--workers 4 --carrier v1 --workload handoffs",
		"--workers 2 --workload held --held 50",
	} {
		r := bench(t, address, append(strings.Fields(args), "--pairs", "100", "-o", "json")...)
		var got struct {
			Address     string             `json:"address"`
			HeldLocks   int                `json:"held_locks"`
			Pairs       int                `json:"pairs"`
			Interrupted bool               `json:"interrupted"`
			ServerPID   int                `json:"server_pid"`
			Latency     map[string]float64 `json:"latency_us"`
			Server      map[string]float64 `json:"server"`
		}
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != 0 {
			t.Fatalf("%s: exit code %d, %v, stderr %q, stdout\n%s", args, r.code, err, r.stderr, r.stdout)
		}
		if got.Address != address || got.Pairs != 100 || got.Interrupted || got.Latency["max"] <= 0 || got.Latency["p50"] > got.Latency["p99_9"] {
			t.Errorf("%s: got %+v", args, got)
		}
		if !strings.Contains(args, "--workload held") != (got.HeldLocks == 0) {
			t.Errorf("%s: %d locks were held", args, got.HeldLocks)
		}
		// The server runs in this very process.
		if runtime.GOOS == "linux" && (got.ServerPID != os.Getpid() || got.Server["cpu_us_per_pair"] <= 0) {
			t.Errorf("%s: the server's process is %d, it used %+v", args, got.ServerPID, got.Server)
		}
	}
}

func TestBenchForPeople(t *testing.T) {
	address := startServer(t, nil).address(t)
	r := bench(t, address, "--workers", "2", "--pairs", "10", "--carrier", "v1")
	if r.code != 0 || r.stderr != "ldlm: measuring\n" {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	for _, part := range []string{
		"Server:     " + address + "\n", "Work:       pairs, 2 workers over 1 connection, v1\n", "Measured:   10 pairs in ",
		"Pairs/s:    ", "Latency:    50% ", "Workers:    ",
	} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("it does not say %q:\n%s", part, r.stdout)
		}
	}
	if r := bench(t, address, "--pairs", "10", "-q"); r.stderr != "" {
		t.Errorf("it was to be quiet, and says %q", r.stderr)
	}
	if r := bench(t, address, "--pairs", "10", "-o", "name"); r.stdout != address+"\n" {
		t.Errorf("got %q", r.stdout)
	}
}

// Ctrl-C ends it, and what was measured is printed.
func TestBenchInterrupted(t *testing.T) {
	address := startServer(t, nil).address(t)
	r := start(t, Ldlm, nil, "bench", "--address", address, "--warm-up", "0", "--duration", "1h")
	r.stderr.await(t, "measuring")
	got := r.stop(syscall.SIGINT)
	if got.code != 130 || !strings.Contains(got.stdout, ", interrupted\n") {
		t.Errorf("exit code %d, stderr %q, stdout\n%s", got.code, got.stderr, got.stdout)
	}
}

func TestBenchRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--workers 0":                    "workers: 0, want 1 to 65536",
		"--workers -1":                   "workers: -1, want 1 to 65536",
		"--connections 0":                `connections: "0", want a number or each`,
		"--connections many":             `connections: "many", want a number or each`,
		"--workers 2 --connections 3":    "connections: 3, want 1 to 2, the number of workers",
		"--duration 0":                   "duration and pairs are both 0: the run would not end",
		"--pairs -1":                     "warm-up, duration and pairs: 1s, 10s, -1; none may be negative",
		"--held 5":                       "held locks: 5, but the workload pairs holds none; want the workload held",
		"--workload held --held -1":      "held locks: -1, want 1 to 16777216",
		"--workload chaos":               `invalid argument "chaos" for "--workload" flag: want pairs, handoffs or held`,
		"--carrier pigeon":               `invalid argument "pigeon" for "--carrier" flag: want plain, grpc or v1`,
		"--server-pid -1":                "--server-pid: -1 is no process",
		"more":                           `takes no arguments, but was given "more"`,
		"--workload handoffs --held 100": "held locks: 100, but the workload handoffs holds none; want the workload held",
	} {
		r := call(t, Ldlm, nil, append([]string{"bench"}, strings.Fields(args)...)...)
		if want := "ldlm bench: " + want + "\nSee: ldlm bench --help\n"; r.code != 64 || r.stderr != want || r.stdout != "" {
			t.Errorf("%s: exit code %d, stdout %q, stderr\n%swant\n%s", args, r.code, r.stdout, r.stderr, want)
		}
	}
}

func TestBenchWithoutServer(t *testing.T) {
	for _, carrier := range []string{"plain", "grpc", "v1"} {
		r := bench(t, freePort(t), "--carrier", carrier)
		if r.code != 69 || r.stdout != "" || !strings.Contains(r.stderr, "Is a server there?") {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", carrier, r.code, r.stdout, r.stderr)
		}
	}
}

func TestBenchOfNoProcess(t *testing.T) {
	address := startServer(t, nil).address(t)
	r := bench(t, address, "--server-pid", "4194304")
	if r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, "process") {
		t.Errorf("exit code %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
	}
}

func TestMicrosText(t *testing.T) {
	for us, want := range map[float64]string{0: "0s", 0.5: "500ns", 12.345: "12.3µs", 123.456: "123µs", 1234.5: "1.23ms", 98765432: "1m38.8s"} {
		if got := microsText(us); got != want {
			t.Errorf("%v: got %s, want %s", us, got, want)
		}
	}
}

func TestBenchHelp(t *testing.T) {
	r := call(t, Ldlm, nil, "bench", "--help")
	if r.code != 0 || r.stderr != "" {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	golden(t, "ldlm_bench.txt", r.stdout)
}
