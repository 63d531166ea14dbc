package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// lives reports whether a process lives: one that only waits for somebody to ask
// how it ended does not.
func lives(pid int) bool {
	stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// killGuardian kills the guardian that a process has.
func killGuardian(t *testing.T, parent int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		stat, _ := os.ReadFile(file) // it may be gone
		_, after, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after)
		line, _ := os.ReadFile(filepath.Dir(file) + "/cmdline")
		if len(fields) < 2 || fields[1] != itoa(parent) || !strings.Contains(string(line), "guard") {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("process %d has no guardian", parent)
}

// awaitState waits until a process is in a state of /proc/PID/stat, such as T. No
// event tells of that.
func awaitState(t *testing.T, pid int, state string) {
	t.Helper()
	for t.Context().Err() == nil {
		stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(stat), ") "+state+" ") {
			return
		}
		runtime.Gosched()
	}
}
